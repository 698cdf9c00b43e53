//! `policy list`, `show`, `lint`, `test`.

use std::path::Path;

use serde_json::{Value, json};

use super::{Answer, Env, Error};
use crate::fsio;
use crate::model::{Exit, Lang};
use crate::policy::{self as policies, Derived, Kind, Pack, Policy};
use crate::query::Limits;

fn pack(dir: Option<&Path>) -> Result<Pack, Error> {
    Ok(match dir {
        Some(dir) => Pack::load(dir)?,
        None => Pack::embedded()?,
    })
}

fn kind(policy: &Policy) -> &'static str {
    match policy.kind {
        Kind::Sql { .. } => "sql",
        Kind::Builtin { .. } => "builtin",
        Kind::Attestation(_) => "attestation",
    }
}

fn sql(policy: &Policy) -> Option<&str> {
    match &policy.kind {
        Kind::Sql { check, .. } => Some(check),
        Kind::Builtin { .. } | Kind::Attestation(_) => None,
    }
}

fn parameters(policy: &Policy) -> Vec<String> {
    policy.params.iter().map(|(name, param)| format!("{name} = {}", param.default)).collect()
}

/// Every policy of the pack in one line.
///
/// # Errors
/// When the pack is wrong.
pub fn list(env: &Env, dir: Option<&Path>) -> Result<Answer, Error> {
    let pack = pack(dir)?;
    let mut text = format!("{} {} · {}\n", pack.name(), pack.version(), pack.digest());
    let mut rows: Vec<Value> = Vec::new();
    for p in pack.policies() {
        text.push_str(&format!("{:<9}{:<9}{:<12}{}\n", p.id, p.severity.word(), kind(p), p.title.get(env.lang)));
        rows.push(json!({ "id": p.id, "severity": p.severity.word(), "kind": kind(p), "title": p.title, "sets": p.sets, "digest": p.digest }));
    }
    let mut derived: Vec<Value> = Vec::new();
    for d in pack.derived() {
        text.push_str(&format!("{} · {}\n", d.name, d.title.get(env.lang)));
        derived.push(json!({ "dataset": d.name, "title": d.title, "digest": d.digest }));
    }
    let json = json!({
        "pack": pack.name(), "version": pack.version(), "digest": pack.digest(), "policies": rows, "derived": derived,
    });
    Ok(Answer { text, json, exit: Exit::Success })
}

/// One policy: why, sources, parameters, reasons, SQL.
///
/// # Errors
/// When the pack is wrong or has no such policy.
pub fn show(env: &Env, dir: Option<&Path>, id: &str) -> Result<Answer, Error> {
    let pack = pack(dir)?;
    if let Some(d) = pack.derived().find(|d| d.name == id) {
        return Ok(show_derived(env, d));
    }
    let Some(p) = pack.policy(id) else {
        let derived = pack.derived().map(|d| d.name.as_str());
        let ids: Vec<&str> = pack.policies().map(|p| p.id.as_str()).chain(derived).collect();
        return Err(Error::usage(
            format!("the pack has no policy `{id}`"),
            format!("可选：{}", ids.join("、")),
            format!("accepted: {}", ids.join(", ")),
        ));
    };
    let l = env.lang;
    let mut text =
        format!("{} · {} · {}\n{}\n\n{}\n", p.id, p.severity.word(), kind(p), p.title.get(l), p.rationale.get(l));
    text.push_str(&format!("\n{}\n", l.pick("依据", "sources")));
    for b in &p.basis {
        text.push_str(&format!("  {} {} ({}, {})\n", b.source, b.place, b.force, b.mark));
    }
    text.push_str(&format!("\n{}\n", l.pick("判定原因", "reasons")));
    for (code, reason) in &p.reasons {
        text.push_str(&format!("  {code}: {}\n", reason.text.get(l)));
    }
    let parameters = parameters(p);
    if !parameters.is_empty() {
        text.push_str(&format!("\n{}\n", l.pick("参数", "parameters")));
        for line in &parameters {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text.push_str(&format!("\n{}\n  {}\n", l.pick("整改", "remedy"), p.remedy.text.get(l)));
    if let Some(sql) = sql(p) {
        text.push_str(&format!("\n{sql}\n"));
    }
    let json = json!({
        "id": p.id, "severity": p.severity.word(), "kind": kind(p), "title": p.title, "rationale": p.rationale,
        "sets": p.sets, "digest": p.digest, "parameters": parameters, "sql": sql(p),
    });
    Ok(Answer { text, json, exit: Exit::Success })
}

/// A derived dataset: what its query reads, what a missing value does, the query.
fn show_derived(env: &Env, d: &Derived) -> Answer {
    let l = env.lang;
    let mut text = format!("{} · {}\n\n{}\n", d.name, d.title.get(l), l.pick("读取", "reads"));
    for (dataset, columns) in &d.needs {
        text.push_str(&format!("  {dataset}: {}\n", columns.join(", ")));
    }
    text.push_str(&format!("\n{}\n", l.pick("缺值", "missing values")));
    for (column, effect) in &d.nulls {
        text.push_str(&format!("  {column}: {effect}\n"));
    }
    text.push_str(&format!("\n{}\n", d.sql));
    let json = json!({
        "dataset": d.name, "title": d.title, "revision": d.revision, "digest": d.digest, "needs": d.needs,
        "nulls": d.nulls, "sql": d.sql,
    });
    Answer { text, json, exit: Exit::Success }
}

/// Every mistake of the pack at once.
///
/// # Errors
/// The mistakes, or when the pack cannot be read.
pub async fn lint(env: &Env, dir: Option<&Path>) -> Result<Answer, Error> {
    let pack = pack(dir)?;
    let spill = tempfile::tempdir().map_err(|e| fsio::Error::io("create", std::env::temp_dir(), e))?;
    pack.lint(&Limits::in_dir(spill.path().to_owned())).await?.or(())?;
    let count = pack.policies().count();
    Ok(Answer {
        text: match env.lang {
            Lang::Zh => format!("{} {}：{count} 条策略，未发现错误", pack.name(), pack.version()),
            Lang::En => format!("{} {}: {count} policies, no mistakes", pack.name(), pack.version()),
        },
        json: json!({ "pack": pack.name(), "policies": count, "problems": [] }),
        exit: Exit::Success,
    })
}

/// Runs the cases of policies; a case that does not give what it expects makes the exit code 1.
///
/// # Errors
/// When the pack is wrong or an id is unknown.
pub async fn test(env: &Env, dir: Option<&Path>, ids: &[String]) -> Result<Answer, Error> {
    let pack = pack(dir)?;
    for id in ids {
        if pack.policy(id).is_none() && !pack.derived().any(|d| d.name == *id) {
            return Err(Error::usage(
                format!("the pack has no policy `{id}`"),
                "请用 `sealport policy list` 查看。",
                "`sealport policy list` names them",
            ));
        }
    }
    let spill = tempfile::tempdir().map_err(|e| fsio::Error::io("create", std::env::temp_dir(), e))?;
    let cases = policies::test(&pack, ids, &Limits::in_dir(spill.path().to_owned())).await?;
    if cases.is_empty() {
        return Ok(Answer {
            text: env.lang.pick("没有可运行的用例", "no case to run").into(),
            json: json!([]),
            exit: Exit::Nothing,
        });
    }
    let failed: Vec<_> = cases.iter().filter(|c| !c.differences.is_empty()).collect();
    let mut text = String::new();
    for case in &failed {
        text.push_str(&format!("{} · {}\n", case.policy, case.case));
        for line in &case.differences {
            text.push_str(&format!("    {line}\n"));
        }
    }
    let passed = cases.len() - failed.len();
    text.push_str(&match env.lang {
        Lang::Zh => format!("通过 {passed}，失败 {}\n", failed.len()),
        Lang::En => format!("{passed} passed, {} failed\n", failed.len()),
    });
    Ok(Answer {
        text,
        json: json!({ "passed": cases.len() - failed.len(), "failed": failed.len() }),
        exit: if failed.is_empty() { Exit::Success } else { Exit::Findings },
    })
}
