//! `doctor`: everything that can be known about a case before it is sealed, without reading a row into memory.
//!
//! For each database: can it be reached and what answers, what may the account do besides reading, does the mapping fit
//! the tables as they are now, does every SELECT prepare, and do the newest instants lie where the declared zone says.
//! For the whole case: what a seal will read, how long it holds its snapshots, and whether the disk has room.
//!
//! Nothing is written, not even to the journal. The answer holds names, types, counts and instants, never a value of a
//! row that could belong to a person.

mod account;
mod findings;
mod fit;
mod load;
mod zones;

use std::path::Path;

use serde_json::json;

use super::seal::plan::{Database, Feed, Plan};
use super::{Answer, Env, Error, sources};
use crate::config::Case;
use crate::hint::Hint as _;
use crate::mapping::Part;
use crate::model::{Bilingual, Exit, Lang};
use crate::progress::{Stage, Task};
use crate::source::RowSource;
use findings::{Findings, Mark, Topic};
use load::Load;

/// Examines the case in `dir`.
///
/// # Errors
/// Mistakes in `case.toml` or a mapping, all at once; an interruption. What is wrong with a source is part of the
/// answer.
pub async fn doctor(env: &Env, dir: &Path) -> Result<Answer, Error> {
    let case = Case::load(dir)?;
    let plan = Plan::of(&case)?;
    let mut findings = Findings::default();
    let mut load = Load::default();
    let task = env.progress.start(Stage::Examine, None);
    for (index, database) in plan.databases.iter().enumerate() {
        env.cancel.check()?;
        let view = View { env, case: &case, database, declared: plan.parts(index).collect(), task: task.as_ref() };
        task.label(&database.name);
        match sources::open(env, &database.config).await {
            Ok(mut source) => {
                let examined = examine(&view, source.as_mut(), &mut findings, &mut load).await;
                refuse(examined, &database.name, &mut findings)?;
            }
            Err(error) => refuse(Err(error), &database.name, &mut findings)?,
        }
    }
    drop(task);
    files(&plan, &mut findings);
    load.judge(&case, &plan, &mut findings);
    let exit = findings.exit();
    let text = findings.text(env.lang);
    let json = json!({ "checks": findings.json(), "load": load.json(), "exit": exit.code() });
    Ok(Answer { text, json, exit })
}

/// A source that cannot be asked is a finding; an interruption ends the command.
fn refuse(result: Result<(), Error>, source: &str, findings: &mut Findings) -> Result<(), Error> {
    let Err(error) = result else { return Ok(()) };
    if error.exit() == Exit::Interrupted {
        return Err(error);
    }
    let hint = |lang: Lang| error.hint(lang).map(|h| format!(" — {h}")).unwrap_or_default();
    let words = words(&error);
    let text = Bilingual::new(format!("{words}{}", hint(Lang::Zh)), format!("{words}{}", hint(Lang::En)));
    findings.add(Mark::Problem, Topic::Connection, Some(source), text).exit(Exit::Io);
    Ok(())
}

/// An error with what lies under it, on one line.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut under = error.source();
    while let Some(inner) = under {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        under = inner.source();
    }
    text
}

/// A database of the case and what is to be read from it.
struct View<'a> {
    env: &'a Env,
    case: &'a Case,
    database: &'a Database,
    /// The SELECTs as the mapping has them; one may stand for many tables.
    declared: Vec<&'a Part>,
    /// Counting large tables takes a while, and the newest instants as well.
    task: &'a dyn Task,
}

async fn examine(
    view: &View<'_>,
    source: &mut dyn RowSource,
    findings: &mut Findings,
    load: &mut Load,
) -> Result<(), Error> {
    let database = view.database;
    account::look(&database.name, source, findings).await?;
    let tables = source.tables().await?;
    fit::required(database, &tables, findings);
    let parts = fit::named(view, &tables, findings);
    let closed = fit::closed(database, &parts, &tables, findings);
    let prepared = fit::selects(database, &parts, source, findings).await?;
    fit::left_over(database, &parts, &tables, findings);
    view.env.cancel.check()?;
    let is_open = |p: &Part| !p.tables.iter().any(|t| closed.contains(&t.to_lowercase()));
    let sound: Vec<&Part> =
        parts.iter().zip(prepared).filter(|(p, is_sound)| *is_sound && is_open(p)).map(|(p, _)| p).collect();
    zones::look(view, &sound, source, findings).await?;
    load.source(database, &parts, &tables);
    Ok(())
}

/// What the case holds besides databases.
fn files(plan: &Plan, findings: &mut Findings) {
    for pattern in &plan.unmatched {
        let text = Bilingual::new(
            format!("没有文件匹配账单路径 `{pattern}`"),
            format!("no file matches the bills pattern `{pattern}`"),
        );
        findings.add(Mark::Note, Topic::Files, None, text);
    }
    if !plan.missing_registers.is_empty() {
        let list = plan.missing_registers.join(", ");
        let text = Bilingual::new(
            format!("SHA256SUMS 列出但缺少的登记表：{list}"),
            format!("registers that SHA256SUMS lists and that are not there: {list}"),
        );
        findings.add(Mark::Note, Topic::Files, None, text);
    }
    let of = |wanted: fn(&Feed) -> bool| plan.feeds.values().flatten().filter(|f| wanted(f)).count();
    let registers = of(|f| matches!(f, Feed::Register(_)));
    let canonical = of(|f| matches!(f, Feed::File { .. }));
    let bills = plan.bills.len();
    let lines: u64 = plan.bills.iter().map(|b| b.rows).sum();
    let text = Bilingual::new(
        format!("账单 {bills} 份（{lines} 行）、登记表 {registers} 份、规范文件 {canonical} 份"),
        format!("{bills} bills ({lines} lines), {registers} registers, {canonical} canonical files"),
    );
    findings
        .add(Mark::Ok, Topic::Files, None, text)
        .facts(json!({ "bills": bills, "billLines": lines, "registers": registers, "canonicalFiles": canonical }));
}
