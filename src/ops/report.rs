//! `report`: the documents of a case, from its newest archive and assessment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Answer, Env, Error, check, journal, keys, places, verify};
use crate::archive::{Archive, FolderKind, VerifyReport, seal_folder};
use crate::config::Case;
use crate::config::case::CaseKind;
use crate::finding::Assessment;
use crate::fsio;
use crate::model::{Bilingual, Exit, Lang};
use crate::policy::Pack;
use crate::progress::Stage;
use crate::query::{Limits, Session};
use crate::report::{
    self as document, ArchiveFacts, ConflictText, Inputs, PackFacts, QuarantineLine, Reconciliation, ScheduleRow,
    SelectedTable, TableRows, UnmappedTable,
};

const ASSESSMENT_BYTES_MAX: u64 = 256 << 20;

/// Writes the documents of one kind in the given languages.
///
/// # Errors
/// When there is no archive or assessment yet, when one of them does not verify, or when files cannot be written.
pub async fn report(env: &Env, dir: &Path, kind: Option<CaseKind>, languages: &[Lang]) -> Result<Answer, Error> {
    let case = Case::load(dir)?;
    let kind = match kind.unwrap_or(case.kind) {
        CaseKind::Offboarding => {
            return Err(Error::usage(
                "there is no offboarding report in this version",
                "请用 --kind audit。",
                "use --kind audit",
            ));
        }
        kind => kind,
    };
    let task = env.progress.start(Stage::Report, Some(4 + languages.len() as u64));
    let archive_path = places::newest_archive(&case)?;
    let archive_name = places::name(&archive_path);
    let keyring = places::keyring(&case);
    let verified = verify::good(env, &archive_path, &keyring, false)?;
    task.advance(1);
    let assessment_path = newest_assessment(&case, &archive_name)?;
    verify::good(env, &assessment_path, &keyring, false)?;
    let assessment: Assessment = {
        let path = assessment_path.join("assessment.json");
        serde_json::from_slice(&fsio::read_bounded(&path, ASSESSMENT_BYTES_MAX)?)
            .map_err(|e| fsio::Error::io("read", &path, e.into()))?
    };
    task.advance(1);
    let archive = Archive::open(&archive_path)?;
    let spill = tempfile::tempdir().map_err(|e| fsio::Error::io("create", std::env::temp_dir(), e))?;
    let session = Session::new(&Limits::in_dir(spill.path().to_owned()))?;
    for table in archive.tables().iter().filter(|t| !t.is_raw()) {
        session.add_parquet(&table.name, &table.files, table.arrow_schema(), None).await?;
    }
    let as_of = assessment.as_of.parse().unwrap_or(case.as_of);
    let mut tables: BTreeSet<String> =
        archive.tables().iter().filter(|t| !t.is_raw()).map(|t| t.name.clone()).collect();
    // The same queries as the check's: the assessment carries the pack it was made with.
    let pack = Pack::load(&assessment_path.join("inputs/pack"))?;
    for derived in pack.derived().filter(|d| d.name == document::RECONCILIATION) {
        let sealed = check::tables(&archive)?;
        if let Some(table) = derived.table(&session, &sealed, spill.path(), &env.cancel).await? {
            session.add_parquet(&table.name, &table.files, table.schema, None).await?;
            tables.insert(table.name);
        }
    }
    let day = |text: &str, otherwise| text.parse().unwrap_or(otherwise);
    let window = (day(&assessment.window.0, case.window.0), day(&assessment.window.1, case.window.1));
    let facts = document::facts(&session, &tables, as_of, as_of.with_timezone(&case.zone).date_naive(), window).await?;
    task.advance(1);
    let pack = pack_facts(&Pack::embedded()?);
    let archive_facts = archive_facts(&archive, &archive_name, &verified)?;
    let out = places::out(&case).join("reports").join(&archive_name);
    fsio::create_dir(&out)?;
    let inputs = Inputs {
        kind,
        case: &case,
        assessment: &assessment,
        archive: &archive_facts,
        pack: &pack,
        facts: &facts,
        created_at: env.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        assessment_href: format!("../../../assessments/{}/", places::name(&assessment_path)),
    };
    let model = document::build(&inputs);
    task.advance(1);
    let folder = free_name(&out, kind.word());
    let work = tempfile::Builder::new()
        .prefix(".reporting-")
        .tempdir_in(&out)
        .map_err(|e| fsio::Error::io("create", &out, e))?;
    let staging = work.path().join("report");
    let mut names: Vec<String> = Vec::new();
    for lang in languages {
        env.cancel.check()?;
        let name = format!("{}.{}.html", kind.word(), lang.code());
        fsio::write_atomic(&staging.join(&name), document::html(&model, *lang)?.as_bytes())?;
        names.push(name);
        task.advance(1);
    }
    let name = format!("{}.json", kind.word());
    let text = serde_json::to_string_pretty(&document::json(&model)?).unwrap_or_default() + "\n";
    fsio::write_atomic(&staging.join(&name), text.as_bytes())?;
    names.push(name);
    let signing = keys::signing(&places::secrets(env, &case))?;
    let predicate = json!({
        "archive": { "id": assessment.archive_id, "digest": assessment.archive_digest, "statementHash": assessment.statement_hash },
        "assessment": { "folder": places::name(&assessment_path), "manifestDigest": folder_digest(&assessment_path)? },
        "pack": { "name": assessment.pack, "digest": assessment.pack_digest },
        "kind": kind.word(),
        "draft": archive_facts.draft,
    });
    let sealed = seal_folder(&staging, FolderKind::Report, predicate, &signing.producer, env.clock.as_ref())?;
    fsio::rename_new(&staging, &folder)?;
    drop(work);
    let documents: Vec<String> = names.iter().map(|n| folder.join(n).display().to_string()).collect();
    let facts = json!({ "kind": kind.word(), "folder": places::name(&folder), "digest": sealed.digest, "archive": archive_facts.digest });
    journal::append(&places::out(&case), env.clock.as_ref(), "report", Exit::Success.code(), facts)?;
    Ok(Answer {
        text: format!("{}\n  {}", env.lang.pick("报告", "report"), documents.join("\n  ")),
        json: json!({ "folder": folder.display().to_string(), "documents": documents, "digest": sealed.digest }),
        exit: Exit::Success,
    })
}

/// The newest assessment of an archive: `NAME`, `NAME-2`, `NAME-3` …
fn newest_assessment(case: &Case, archive: &str) -> Result<PathBuf, Error> {
    let mut best: Option<(u64, PathBuf)> = None;
    for path in places::folders(&places::out(case).join("assessments"))? {
        let name = places::name(&path);
        let number = match name.strip_prefix(archive) {
            Some("") => Some(1),
            Some(rest) => rest.strip_prefix(".a").and_then(|n| n.parse().ok()),
            None => None,
        };
        if let Some(number) = number
            && best.as_ref().is_none_or(|(n, _)| number > *n)
        {
            best = Some((number, path));
        }
    }
    best.map(|(_, path)| path).ok_or_else(|| {
        Error::usage(
            format!("the archive `{archive}` has no assessment"),
            format!("请先运行 `sealport check {}`。", case.dir.display()),
            format!("run `sealport check {}` first", case.dir.display()),
        )
    })
}

/// `dir/name`, or `dir/name.2`, `dir/name.3` … the first that is free: documents are never overwritten.
pub(super) fn free_name(dir: &Path, name: &str) -> PathBuf {
    let first = dir.join(name);
    if !first.exists() {
        return first;
    }
    (2_u64..).map(|n| dir.join(format!("{name}.a{n}"))).find(|p| !p.exists()).unwrap_or(first)
}

fn folder_digest(folder: &Path) -> Result<crate::model::Digest, Error> {
    Ok(crate::crypto::sha256_file(&folder.join("manifest-sha256.txt"))?.0)
}

fn archive_facts(archive: &Archive, folder: &str, verified: &VerifyReport) -> Result<ArchiveFacts, Error> {
    let statement = archive.statement();
    let reconciliation = archive.reconciliation()?;
    Ok(ArchiveFacts {
        id: statement.archive_id.clone(),
        digest: archive.digest(),
        statement_hash: archive.statement_hash(),
        stream: statement.stream.clone(),
        sequence: statement.sequence,
        draft: statement.is_draft,
        signers: verified.signers.iter().map(|s| s.key_id.clone()).collect(),
        created_at: statement.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        folder: folder.to_owned(),
        verification: verified
            .lines(Lang::Zh)
            .into_iter()
            .zip(verified.lines(Lang::En))
            .map(|(zh, en)| Bilingual { zh, en })
            .collect(),
        tables: archive
            .tables()
            .iter()
            .map(|t| TableRows { name: t.name.clone(), rows: t.rows, is_raw: t.is_raw() })
            .collect(),
        reconciliation: completeness(&reconciliation),
    })
}

/// What the report shows of `reconciliation.json`.
fn completeness(value: &Value) -> Reconciliation {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut out = Reconciliation::default();
    for t in value["notMapped"].as_array().into_iter().flatten() {
        out.unmapped.push(UnmappedTable {
            source: text(&t["source"]),
            table: text(&t["table"]),
            rows: t["rows"].as_u64().unwrap_or(0),
        });
    }
    for (dataset, entry) in value["datasets"].as_object().into_iter().flatten() {
        for feed in entry["feeds"].as_array().into_iter().flatten() {
            if feed["kind"] == "select" {
                let conditions: Vec<String> = feed["conditions"].as_array().into_iter().flatten().map(text).collect();
                let whole = feed["wholeTableRows"].as_u64().unwrap_or(0);
                let taken = feed["rowsRead"].as_u64().unwrap_or(0);
                out.selected.push(SelectedTable {
                    source: text(&feed["source"]),
                    table: text(&feed["table"]),
                    dataset: dataset.clone(),
                    whole_rows: whole,
                    taken_rows: taken,
                    excluded_rows: whole.saturating_sub(taken),
                    condition: conditions.join("; "),
                });
            }
            for (reason, rows) in feed["quarantinedByReason"].as_object().into_iter().flatten() {
                out.quarantine.push(QuarantineLine {
                    dataset: dataset.clone(),
                    column: String::new(),
                    reason: reason.clone(),
                    rows: rows.as_u64().unwrap_or(0),
                });
            }
        }
    }
    out
}

fn pack_facts(pack: &Pack) -> PackFacts {
    let mut schedule = Vec::new();
    for class in pack.schedule() {
        let any = ["any".to_owned()];
        let roles: &[String] = if class.roles.is_empty() { &any } else { &class.roles };
        for role in roles {
            schedule.push(ScheduleRow {
                data_class: class.data_class.clone(),
                title: class.title.clone(),
                legal_role: role.clone(),
                min_period: class.min_period.clone(),
                pi_max_period: class.pi_max_period.clone(),
                is_permanent: class.is_permanent,
                anchor_kind: class.anchor_kind.clone(),
                basis_refs: class.basis_ref.clone(),
                mark: class.mark.clone(),
                owner: class.owner.clone(),
                note: class.note.clone(),
                conflicts: class.conflicts.clone(),
            });
        }
    }
    let conflicts = pack.conflicts().map(|c| ConflictText { id: c.id.clone(), text: c.text.clone() }).collect();
    let titles = pack.law_titles().map(|(key, title)| (key.to_owned(), title.clone())).collect();
    let policy_ids = pack.policies().map(|p| p.id.clone()).collect();
    PackFacts { schedule, conflicts, policy_ids, titles }
}
