//! `check`: verify, then evaluate policies over the sealed archive; the result is a signed assessment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{Answer, Env, Error, assess, journal, places, verify, worklist};
use crate::archive::Archive;
use crate::config::Case;
use crate::finding::{Assessment, Outcome, Severity, Summary};
use crate::model::{Exit, Lang};
use crate::policy::{self, Attestations, Facts, Inputs, Pack, Profile, Table, Waivers};
use crate::query::{Limits, MEMORY_BYTES_DEFAULT};

/// What the user chose.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// Sets, instead of the profile's.
    pub sets: Vec<String>,
    /// Folder of policies, instead of the embedded pack.
    pub pack: Option<PathBuf>,
    /// Judge the data at this instant, instead of the case's.
    pub as_of: Option<DateTime<Utc>>,
    /// Local days under audit, end excluded, instead of the case's; for a bare archive, instead of all it covers.
    pub window: Option<(NaiveDate, NaiveDate)>,
    /// Day on which waivers and attestations must be in force.
    pub decided_on: Option<NaiveDate>,
    /// Lowest severity that makes the exit code 1; `None`: never.
    pub fail_on: Option<Severity>,
    /// Trusted keys, instead of the case's.
    pub keyring: Option<PathBuf>,
    /// Profile, instead of the case's.
    pub profile: Option<PathBuf>,
    /// Memory pool of the query engine.
    pub memory_bytes: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            sets: Vec::new(),
            pack: None,
            as_of: None,
            window: None,
            decided_on: None,
            fail_on: Some(Severity::Low),
            keyring: None,
            profile: None,
            memory_bytes: MEMORY_BYTES_DEFAULT,
        }
    }
}

/// What is checked: a case with its newest archive, or an archive alone.
struct Target {
    case: Option<Case>,
    archive: PathBuf,
    keyring: PathBuf,
    profile: PathBuf,
}

impl Target {
    fn of(path: &Path, options: &CheckOptions) -> Result<Self, Error> {
        if path.join("case.toml").exists() {
            let case = Case::load(path)?;
            return Ok(Self {
                archive: places::newest_archive(&case)?,
                keyring: options.keyring.clone().unwrap_or_else(|| places::keyring(&case)),
                profile: options.profile.clone().unwrap_or_else(|| case.dir.join("profile.toml")),
                case: Some(case),
            });
        }
        if !path.join("bagit.txt").exists() {
            return Err(Error::usage(
                format!("`{}` is neither a case folder nor an archive", path.display()),
                "案件文件夹含 case.toml；存档含 bagit.txt。",
                "a case folder holds case.toml, an archive bagit.txt",
            ));
        }
        let (Some(keyring), Some(profile)) = (&options.keyring, &options.profile) else {
            return Err(Error::usage(
                "a bare archive is checked against keys and a profile of yours",
                "请给出 --keyring 与 --profile。",
                "give --keyring and --profile",
            ));
        };
        Ok(Self { case: None, archive: path.to_owned(), keyring: keyring.clone(), profile: profile.clone() })
    }

    /// A file of the case folder, or of the profile's folder for a bare archive.
    fn beside(&self, name: &str) -> PathBuf {
        match &self.case {
            Some(case) => case.dir.join(name),
            None => self.profile.parent().unwrap_or(Path::new(".")).join(name),
        }
    }
}

/// What is checked against: pack, profile, waivers and attestations.
struct Rules {
    pack: Pack,
    profile: Profile,
    waivers: Waivers,
    attestations: Attestations,
}

impl Rules {
    /// Reads all of them; only the profile must exist.
    fn load(options: &CheckOptions, profile: &Path, waivers: &Path, attestations: &Path) -> Result<Self, Error> {
        let pack = match &options.pack {
            Some(dir) => Pack::load(dir)?,
            None => Pack::embedded()?,
        };
        let mut profile = Profile::load(profile, &pack)?;
        if !options.sets.is_empty() {
            if let Some(unknown) = options.sets.iter().find(|s| !pack.sets().contains_key(*s)) {
                let known: Vec<&str> = pack.sets().keys().map(String::as_str).collect();
                return Err(Error::usage(
                    format!("the pack has no set `{unknown}`"),
                    format!("可选：{}", known.join("、")),
                    format!("accepted: {}", known.join(", ")),
                ));
            }
            profile.sets.clone_from(&options.sets);
        }
        let waivers = if waivers.exists() { Waivers::load(waivers, &pack)? } else { Waivers::default() };
        let attestations =
            if attestations.exists() { Attestations::load(attestations, &pack)? } else { Attestations::default() };
        Ok(Self { pack, profile, waivers, attestations })
    }
}

/// Reads what a check of the case will need, so that a mistake in it stops a long job before it starts.
pub(super) fn ready(case: &Case, options: &CheckOptions) -> Result<(), Error> {
    let beside = |name: &str| case.dir.join(name);
    let profile = options.profile.clone().unwrap_or_else(|| beside("profile.toml"));
    Rules::load(options, &profile, &beside("waivers.toml"), &beside("attestations.toml"))?;
    Ok(())
}

/// Checks a case or a bare archive. A case gets a signed assessment and a local worklist; a bare archive only an
/// answer, because there is no key to sign with.
///
/// # Errors
/// Whatever stops it; findings are an answer, not an error.
pub async fn check(env: &Env, path: &Path, options: &CheckOptions) -> Result<(Answer, Assessment), Error> {
    let target = Target::of(path, options)?;
    let waivers_path = target.beside("waivers.toml");
    let attestations_path = target.beside("attestations.toml");
    let Rules { pack, profile, waivers, attestations } =
        Rules::load(options, &target.profile, &waivers_path, &attestations_path)?;

    let verified = verify::good(env, &target.archive, &target.keyring, false)?;
    let archive = Archive::open(&target.archive)?;
    let facts = facts(env, &target, &archive, &verified.scope_line, options)?;
    if profile.zone != facts.zone {
        return Err(Error::usage(
            format!("the profile's zone `{}` is not the archive's `{}`", profile.zone, facts.zone),
            "日期列在封存时按存档时区写入，请使用相同时区。",
            "dates were written in the archive's zone while sealing; use the same zone in the profile",
        ));
    }
    let opened = archive.statement().covered_from;
    if facts.as_of < opened {
        let day = opened.with_timezone(&facts.zone).date_naive();
        return Err(Error::usage(
            format!("`as_of` lies before the data, which begins on {day}"),
            "请用 --as-of 或 case.toml 的 `as_of` 给出数据覆盖期内或之后的时刻。",
            "give an instant within or after the days covered, with --as-of or as `as_of` in case.toml",
        ));
    }
    warn_newer_registers(env, &target, &archive);

    let spill = tempfile::tempdir().map_err(|e| crate::fsio::Error::io("create", std::env::temp_dir(), e))?;
    let mut limits = Limits::in_dir(spill.path().to_owned());
    limits.memory_bytes = options.memory_bytes;
    limits.seconds = Some(policy::SECONDS_DEFAULT);
    limits.rows_max = policy::FINDINGS_DEFAULT;
    let writer = assess::Writer::create(target.case.as_ref(), &target.archive, spill.path())?;
    let evidence = target.beside("evidence");
    let inputs = Inputs {
        pack: &pack,
        profile: &profile,
        waivers: &waivers,
        attestations: &attestations,
        evidence_dir: Some(&evidence),
        facts: &facts,
        only: &[],
        limits: &limits,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        input_digests: &BTreeMap::new(),
        findings_csv: "findings.csv",
    };
    let mut sink = writer.sink()?;
    let mut assessment = policy::run(&inputs, &mut sink, env.progress.as_ref(), &env.cancel).await?;
    let extra =
        [("profile.toml", &target.profile), ("waivers.toml", &waivers_path), ("attestations.toml", &attestations_path)];
    let stored = writer.finish(env, target.case.as_ref(), sink, &mut assessment, &pack, &extra)?;
    let exit = exit_of(&assessment, options.fail_on);
    let mut value = summary_json(&assessment, stored.as_deref());
    if let Some(case) = &target.case {
        let out = places::out(case);
        let names = worklist::names(env, case).await?;
        let list = match &stored {
            Some(folder) => worklist::write(&out, &folder.join("findings.csv"), &names)?,
            None => None,
        };
        if let (Value::Object(map), Some((file, lines))) = (&mut value, &list) {
            map.insert("worklist".into(), json!({ "file": file.display().to_string(), "lines": lines }));
        }
        let facts = json!({
            "archive": assessment.archive_digest, "summary": assessment.summary, "findings": assessment.findings_count,
            "worklist": list.is_some(),
        });
        journal::append(&out, env.clock.as_ref(), "check", exit.code(), facts)?;
    }
    Ok((Answer { text: text(env.lang, &assessment, stored.as_deref()), json: value, exit }, assessment))
}

/// The sealed tables with the days they cover.
pub(super) fn tables(archive: &Archive) -> Result<Vec<Table>, Error> {
    let reconciliation = archive.reconciliation()?;
    let coverage = |name: &str| {
        let span = &reconciliation["datasets"][name]["coverage"];
        Some((span["from"].as_str()?.parse().ok()?, span["to"].as_str()?.parse().ok()?))
    };
    let table = |t: &crate::archive::TableInfo| Table {
        name: t.name.clone(),
        files: t.files.clone(),
        schema: t.arrow_schema(),
        rows: t.rows,
        coverage: coverage(&t.name),
    };
    // Policies read datasets; the tables they were made from are evidence, not another dataset.
    Ok(archive.tables().iter().filter(|t| !t.is_raw()).map(table).collect())
}

fn facts(
    env: &Env,
    target: &Target,
    archive: &Archive,
    verification: &str,
    options: &CheckOptions,
) -> Result<Facts, Error> {
    let statement = archive.statement();
    let zone = statement.zone;
    let reconciliation = archive.reconciliation()?;
    let tables = tables(archive)?;
    let absent = reconciliation["absent"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect();
    let local = |t: DateTime<Utc>| t.with_timezone(&zone).date_naive();
    let covered = (local(statement.covered_from), local(statement.covered_to));
    let as_of = options.as_of.or(target.case.as_ref().map(|c| c.as_of)).unwrap_or(statement.covered_to);
    Ok(Facts {
        tables,
        absent,
        opened_on: Some(covered.0),
        archive_id: statement.archive_id.clone(),
        archive_digest: archive.digest(),
        statement_hash: archive.statement_hash(),
        verification: verification.to_owned(),
        as_of,
        window: options.window.or(target.case.as_ref().map(|c| c.window)).unwrap_or(covered),
        decided_on: options
            .decided_on
            .or(target.case.as_ref().and_then(|c| c.decided_on))
            .unwrap_or_else(|| local(env.clock.now())),
        zone,
    })
}

/// Says so when a register on disk is no longer the one that was sealed.
fn warn_newer_registers(env: &Env, target: &Target, archive: &Archive) {
    let Some(case) = &target.case else { return };
    let Ok(custody) = archive.custody() else { return };
    for entry in custody {
        let Some(name) = entry["file"].as_str().and_then(|f| f.strip_prefix("registers/")) else { continue };
        let now = crate::crypto::sha256_file(&case.registers.join(name)).ok().map(|(d, _)| d.to_string());
        if now.as_deref() != entry["sha256"].as_str() {
            env.notices.tell(match env.lang {
                Lang::Zh => format!("登记表 {name} 在封存之后有改动；检查依据的是已封存的版本，如需采用新版请重新封存"),
                Lang::En => format!("the register {name} changed after the seal; the check rests on the sealed one, seal again to use the new one"),
            });
        }
    }
}

/// Several results at once: incomplete before findings, as the table of exit codes says.
pub(super) fn exit_of(assessment: &Assessment, fail_on: Option<Severity>) -> Exit {
    let Summary { pass, fail, waived, not_evaluated, .. } = assessment.summary;
    let mut exit = Exit::Success;
    if pass + fail + waived + not_evaluated == 0 {
        exit = exit.worst(Exit::Nothing);
    }
    if not_evaluated > 0 {
        exit = exit.worst(Exit::Incomplete);
    }
    let failing = assessment
        .policies
        .iter()
        .filter(|p| p.outcome == Outcome::Fail)
        .any(|p| p.severity != Severity::Info && fail_on.is_some_and(|t| worst_reason(p) >= t));
    if failing {
        exit = exit.worst(Exit::Findings);
    }
    exit
}

/// The gravest severity among the findings a policy shows; the policy's own when it shows none.
fn worst_reason(policy: &crate::finding::PolicyResult) -> Severity {
    // Findings beyond the first fifty are in the file only; any of them may have the policy's own severity.
    if policy.findings > policy.first.len() as u64 {
        return policy.severity;
    }
    policy.first.iter().filter(|f| f.waiver.is_none()).map(|f| f.severity).max().unwrap_or(policy.severity)
}

fn summary_json(assessment: &Assessment, stored: Option<&Path>) -> Value {
    let policies: Vec<Value> = assessment
        .policies
        .iter()
        .map(|p| {
            json!({
                "id": p.id, "outcome": p.outcome.word(), "severity": p.severity.word(),
                "population": p.population, "findings": p.findings, "waived": p.waived, "why": p.why_code,
            })
        })
        .collect();
    json!({
        "summary": assessment.summary,
        "policies": policies,
        "findings_file": stored.map(|p| p.join("findings.csv").display().to_string()),
        "assessment": stored.map(|p| p.display().to_string()),
        "archive": { "id": assessment.archive_id, "digest": assessment.archive_digest },
        "as_of": assessment.as_of,
        "decided_on": assessment.decided_on,
    })
}

fn text(lang: Lang, assessment: &Assessment, stored: Option<&Path>) -> String {
    let s = &assessment.summary;
    let mut out = match lang {
        Lang::Zh => format!(
            "策略检查：通过 {}，不通过 {}，豁免 {}，不适用 {}，未评估 {}；发现 {} 条\n",
            s.pass, s.fail, s.waived, s.not_applicable, s.not_evaluated, assessment.findings_count
        ),
        Lang::En => format!(
            "check: {} pass, {} fail, {} waived, {} not applicable, {} not evaluated; {} findings\n",
            s.pass, s.fail, s.waived, s.not_applicable, s.not_evaluated, assessment.findings_count
        ),
    };
    let order: BTreeMap<&str, u8> =
        BTreeMap::from([("not-evaluated", 0), ("fail", 1), ("waived", 2), ("not-applicable", 3), ("pass", 4)]);
    let mut policies: Vec<_> = assessment.policies.iter().collect();
    policies.sort_by_key(|p| {
        (order.get(p.outcome.word()).copied().unwrap_or(9), std::cmp::Reverse(p.severity), p.id.clone())
    });
    for p in policies {
        let population = p.population.map_or_else(|| "-".into(), |n| n.to_string());
        let why = p.why.as_ref().map(|w| format!(" — {}", w.get(lang))).unwrap_or_default();
        out.push_str(&format!(
            "  {:<15}{:<9}{:<9}{:>6} / {:<9} {}{why}\n",
            p.outcome.word(),
            p.id,
            p.severity.word(),
            p.findings,
            population,
            p.title.get(lang),
        ));
    }
    if let Some(path) = stored {
        out.push_str(&format!("{} {}\n", lang.pick("评估结果（已签名）", "assessment (signed)"), path.display()));
    }
    out
}
