//! `seal`: extract, map, pseudonymise, archive, sign — in one streaming pass.
//!
//! Order of things: read the case and every mapping; open the sources and hold one snapshot; read the staff
//! identifiers into memory; stream every dataset, in name order, through conversion and pseudonymisation into the
//! bag; compare with the source's own totals; scan what was written for leaks; write custody and reconciliation; sign.
//! Nothing stands under a final name before the last step, and an error or interruption at any point removes what was
//! written.

mod account;
pub(super) mod flow;
mod gate;
pub(super) mod pace;
pub(super) mod plan;
pub(super) mod raw;
pub(super) mod staff;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde_json::{Map, Value, json};

use super::{Answer, Env, Error, journal, keys, places, sources, verify};
use crate::archive::{Archive, BagSpec, BagWriter, Chain, Closing, Keyring, Producer, ReadmeFacts, Sealed, Signers};
use crate::config::Case;
use crate::crypto;
use crate::model::{Engine, Exit, Lang};
use crate::progress::Stage;
use crate::pseudonym::{Keys, scan_bytes};
use crate::schema::{self, Class, Dataset};
use account::Account;
use flow::Flow;
use pace::Pace;
pub use pace::{CONNECTIONS_DEFAULT, Limits};
use plan::Plan;
use raw::RawPlan;

/// How to seal.
#[derive(Debug, Clone, Copy, Default)]
pub struct SealOptions {
    /// Into a stream of its own, marked as a draft everywhere.
    pub is_draft: bool,
    /// What the sources can bear.
    pub limits: Limits,
}

/// Seals the case in `dir`.
///
/// # Errors
/// Whatever stops it; nothing that looks sealed remains.
pub async fn seal(env: &Env, dir: &Path, options: &SealOptions) -> Result<(Answer, Sealed), Error> {
    let case = Case::load(dir)?;
    let result = run(env, &case, options).await;
    let is_draft = options.is_draft;
    let (exit, facts) = match &result {
        Ok((answer, sealed)) => {
            // The journal may be handed on with the case: it names the folder, not where this machine keeps it.
            let mut facts = answer.json.clone();
            facts["archive"] = json!(places::name(&sealed.path));
            (answer.exit, facts)
        }
        Err(e) => (crate::hint::Hint::exit(e), json!({ "error": e.to_string() })),
    };
    let command = if is_draft { "seal --draft" } else { "seal" };
    let journaled = journal::append(&places::out(&case), env.clock.as_ref(), command, exit.code(), facts);
    // What stopped the seal is told even when the journal cannot be written for the same reason.
    let sealed = result?;
    journaled?;
    Ok(sealed)
}

async fn run(env: &Env, case: &Case, options: &SealOptions) -> Result<(Answer, Sealed), Error> {
    let is_draft = options.is_draft;
    let secrets = places::secrets(env, case);
    let signing = keys::signing(&secrets)?;
    let keyring_path = places::keyring(case);
    let keyring = Keyring::load(&keyring_path)?;
    keys::trusted(&signing, &secrets, &keyring, &keyring_path)?;
    let pseudonym_keys = Keys::load(&secrets)?;
    let mut plan = Plan::of(case)?;
    for pattern in &plan.unmatched {
        env.notices.tell(match env.lang {
            Lang::Zh => format!("没有文件匹配账单路径 `{pattern}`"),
            Lang::En => format!("no file matches the bills pattern `{pattern}`"),
        });
    }
    env.cancel.check()?;

    let pace = Arc::new(Pace::new(env, case.zone, options.limits));
    let snapshots_began = env.clock.now();
    let mut databases = Vec::new();
    for database in &plan.databases {
        let source = sources::open(env, &database.config).await?;
        databases.push(sources::with_readers(env, &database.config, source, options.limits.connections()));
    }
    let mut tables = Vec::with_capacity(databases.len());
    for source in &mut databases {
        tables.push(source.tables().await?);
    }
    plan.name_tables(&tables)?;
    let mut account = Account::start(case, &plan, &databases, tables)?;
    let raw = RawPlan::of(case, &plan, &account, &mut databases).await?;
    account.expect_raw(&raw);
    let all = (&plan, &raw);
    let matcher = Arc::new(staff::identifiers(env, case, all, &mut databases, &pseudonym_keys, &pace).await?);

    account.not_searched(matcher.skipped());
    let chain_path = case.dir.join("chain.json");
    let mut chain = Chain::load(&chain_path)?;
    let stream = if is_draft { Chain::draft_stream(&case.stream) } else { case.stream.clone() };
    adopt(env, case, &mut chain, &chain_path, &stream)?;
    let (sequence, previous) = chain.next(&stream);
    let coverage = coverage(case);
    let spec = BagSpec {
        id: None,
        stream: stream.clone(),
        sequence,
        previous,
        organisation: case.organisation.clone(),
        custodian: if case.custodian.is_empty() { case.organisation.clone() } else { case.custodian.clone() },
        coverage: (start_of(case, coverage.0), start_of(case, coverage.1)),
        zone: case.zone,
        is_draft,
        pseudonymisation: pseudonymisation(&pseudonym_keys, &plan, &raw),
        producer: producer(env),
        keyring: BagSpec::keyring_of(&keyring),
        extra: extra(case),
    };
    let final_path = places::archives(case).join(folder_name(&stream, sequence));
    let mut bag = BagWriter::create(&final_path, spec, env.random.as_ref(), env.clock.as_ref())?;

    let total: u64 = account.expected_rows();
    let task: Arc<dyn crate::progress::Task> = Arc::from(env.progress.start(Stage::Extract, Some(total)));
    let mut flow = Flow::new(env, case, all, &bag, &pseudonym_keys, Arc::clone(&matcher), Arc::clone(&task), pace)?;
    for (name, feeds) in &plan.feeds {
        let Some(dataset) = schema::dataset(name) else { continue };
        // Counted rows join the register of the same name, so it goes last.
        if dataset.name == "record_inventory" {
            continue;
        }
        task.label(dataset.title_en);
        flow.dataset(dataset, feeds, &mut databases, &mut account).await?;
        let (from, to) = dataset_coverage(case, dataset);
        flow.covered.push((dataset, from, to));
    }
    let empty = Vec::new();
    let register = plan.feeds.get("record_inventory").unwrap_or(&empty);
    flow.inventory(register, &mut databases, &mut account).await?;
    flow.loaded_files(&mut databases, &mut account).await?;
    flow.raw_tables(&mut databases, &mut account).await?;
    let (tables, redactions) = flow.finish()?;
    drop(task);

    for table in tables.iter().filter(|t| !t.is_key_unique && t.has_key() && t.rows > 0) {
        env.notices.tell(match env.lang {
            Lang::Zh => format!("数据集 {} 的主键有重复；重复行已原样保留", table.name),
            Lang::En => format!("the key of dataset {} repeats; the rows are kept as they are", table.name),
        });
    }
    let skipped = matcher.skipped();
    if skipped.too_short + skipped.too_long > 0 {
        let (short, long) = (skipped.too_short, skipped.too_long);
        env.notices.tell(match env.lang {
            Lang::Zh => format!("{short} 个员工标识太短、{long} 个太长，无法在自由文本中查找；数量已写入 reconciliation.json"),
            Lang::En => format!("{short} staff identifiers are too short and {long} too long to be looked for in free text; the counts stand in reconciliation.json"),
        });
    }
    account.redactions(&redactions);
    let moved = account.look_for_moved(&mut databases).await?;
    if !moved.is_empty() {
        let list = moved.join(", ");
        env.notices.tell(match env.lang {
            Lang::Zh => format!("以下表不受事务保护，读取期间内容有变化，已在 custody 中标明：{list}"),
            Lang::En => format!(
                "these tables lie outside the snapshot and changed while they were read; custody says so: {list}"
            ),
        });
    }
    // The sources are needed no longer; a snapshot that lives on costs its server.
    let is_remote = databases.iter().any(|d| d.engine() != Engine::Sqlite);
    drop(databases);
    if is_remote {
        tell_of_long_snapshots(env, env.clock.now() - snapshots_began);
    }
    account.reconcile()?;
    let list = places::out(case).join("leak-hits.txt");
    let accepted = gate::scan(env, &matcher, &tables, &case.leak_exceptions, &list)?;
    account.accepted_leaks(&accepted, &case.leak_exceptions);

    let reconciliation = account.reconciliation(case, &tables);
    let custody = account.custody();
    for (name, bytes) in [("reconciliation.json", &reconciliation), ("custody.jsonl", &custody)] {
        let hits = scan_bytes(&matcher, name, bytes);
        if !hits.is_empty() {
            return Err(gate::refuse(&hits, &list)?);
        }
    }
    bag.add_file("data/custody/custody.jsonl", &custody)?;
    bag.add_file("data/custody/reconciliation.json", &reconciliation)?;
    let closing = Closing { control_totals: account.control_totals(), readme: readme(&plan, &raw, &account) };
    let signers = Signers { statement: &signing.producer, checkpoint: &signing.checkpoint };
    let task = env.progress.start(Stage::Seal, None);
    let cancel = env.cancel.clone();
    let sealed = bag.seal(signers, tables, &closing, &mut |_| {
        task.advance(1);
        cancel.check()
    })?;
    drop(task);
    chain.record(&stream, &sealed)?;
    chain.save(&chain_path)?;
    Ok((answer(env, &sealed, &account, is_draft), sealed))
}

/// Minutes after which a snapshot is worth a remark: servers keep old versions of rows as long as it lives.
const LONG_SNAPSHOT_MINUTES: i64 = 10;

fn tell_of_long_snapshots(env: &Env, lived: chrono::TimeDelta) {
    let minutes = lived.num_minutes();
    if minutes >= LONG_SNAPSHOT_MINUTES {
        env.notices.tell(match env.lang {
            Lang::Zh => format!("数据库快照保持了 {minutes} 分钟；生产库上请改用只读副本，或在夜间执行（--until）"),
            Lang::En => format!("the snapshots of the databases lived {minutes} minutes; on a production server use a replica, or run at night (--until)"),
        });
    }
}

/// Takes archives into the chain that stand sealed but were not recorded: the program was stopped between moving the
/// archive into place and writing `chain.json`.
fn adopt(env: &Env, case: &Case, chain: &mut Chain, chain_path: &Path, stream: &str) -> Result<(), Error> {
    loop {
        let (sequence, _) = chain.next(stream);
        let path = places::archives(case).join(folder_name(stream, sequence));
        if !path.exists() {
            return Ok(());
        }
        verify::good(env, &path, &places::keyring(case), false)?;
        let archive = Archive::open(&path)?;
        let statement = archive.statement();
        if statement.stream != stream || statement.sequence != sequence {
            return Err(crate::fsio::Error::Exists { path }.into());
        }
        let sealed = Sealed {
            digest: archive.digest(),
            statement_hash: archive.statement_hash(),
            archive_id: statement.archive_id.clone(),
            sequence,
            path: path.clone(),
        };
        chain.record(stream, &sealed)?;
        chain.save(chain_path)?;
        env.notices.tell(match env.lang {
            Lang::Zh => format!("上次中断前已封存的 {} 已补登入 chain.json", places::name(&path)),
            Lang::En => {
                format!("{} was sealed before an interruption and is now entered in chain.json", places::name(&path))
            }
        });
    }
}

/// Days the archive covers: as the case says, else from the window's start to the day of `as_of`.
pub(super) fn coverage(case: &Case) -> (NaiveDate, NaiveDate) {
    case.coverage.unwrap_or_else(|| {
        let as_of = case.as_of.with_timezone(&case.zone).date_naive();
        (case.window.0, case.window.1.max(as_of))
    })
}

pub(super) fn dataset_coverage(case: &Case, dataset: &Dataset) -> (NaiveDate, NaiveDate) {
    case.dataset_coverage.get(dataset.name).copied().unwrap_or_else(|| coverage(case))
}

/// First instant of a local day.
fn start_of(case: &Case, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    (0..24)
        .find_map(|h| case.zone.from_local_datetime(&(midnight + chrono::TimeDelta::hours(h))).earliest())
        .map_or_else(|| midnight.and_utc(), |t| t.with_timezone(&Utc))
}

fn folder_name(stream: &str, sequence: u64) -> String {
    format!("{stream}-{sequence:04}")
}

fn producer(env: &Env) -> Producer {
    Producer {
        tool: "sealport".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        executable: env.executable.as_ref().and_then(|p| crypto::sha256_file(p).ok()).map(|(digest, _)| digest),
    }
}

/// Scheme, key ids and the columns that were replaced or masked; never a key.
fn pseudonymisation(keys: &Keys, plan: &Plan, raw: &RawPlan) -> Value {
    let mut columns: BTreeMap<&str, Vec<String>> = raw.treated();
    for name in plan.feeds.keys() {
        let Some(dataset) = schema::dataset(name) else { continue };
        let raised = plan.raised(name);
        for c in &dataset.columns {
            let treatment = match raised.class_of(c) {
                Class::StaffId => "staff",
                Class::CustomerId => "customer",
                Class::PerRow(_) => "perRow",
                Class::Contact => "masked",
                Class::FreeText => "redacted",
                Class::None | Class::BusinessId | Class::Network => continue,
            };
            columns.entry(treatment).or_default().push(format!("{name}.{}", c.name));
        }
    }
    let raised: BTreeMap<String, &str> = plan
        .raised
        .iter()
        .flat_map(|(name, raised)| raised.iter().map(move |(column, class)| (format!("{name}.{column}"), class.name())))
        .collect();
    json!({
        "scheme": "sealport-token-v1",
        "staffKeyId": keys.id_staff(),
        "customerKeyId": keys.id_customer(),
        "fingerprintKeyId": keys.id_fingerprint(),
        "columns": columns,
        "raisedByMapping": raised,
    })
}

fn extra(case: &Case) -> Map<String, Value> {
    let mut extra = Map::new();
    extra.insert("caseKind".into(), json!(case.kind.word()));
    extra.insert("schemaVersion".into(), json!(schema::VERSION));
    if !case.leak_exceptions.is_empty() {
        let list: Vec<Value> = case
            .leak_exceptions
            .iter()
            .map(|e| json!({ "dataset": e.dataset, "column": e.column, "reason": e.reason }))
            .collect();
        extra.insert("leakExceptions".into(), Value::Array(list));
    }
    extra
}

fn readme(plan: &Plan, raw: &RawPlan, account: &Account) -> ReadmeFacts {
    let mut masked = Vec::new();
    for name in plan.feeds.keys() {
        let Some(dataset) = schema::dataset(name) else { continue };
        let raised = plan.raised(name);
        let columns = dataset.columns.iter().filter(|c| raised.class_of(c).is_replaced());
        masked.extend(columns.map(|c| format!("{name}.{}", c.name)));
    }
    // Free text of raw tables is listed in the statement; here it would bury the rest.
    masked.extend(raw.treated().into_iter().filter(|(treatment, _)| *treatment != "redacted").flat_map(|(_, c)| c));
    ReadmeFacts {
        retention_until: None,
        masked,
        not_taken: account.not_taken(),
        legal_status: Some("rules not legally reviewed / 规则未经法律审阅".into()),
    }
}

fn answer(env: &Env, sealed: &Sealed, account: &Account, is_draft: bool) -> Answer {
    let l = env.lang;
    let quarantined = account.quarantined();
    let mut text = format!(
        "{}{} {}\n{}  {}\n  sha256sum {}/tagmanifest-sha256.txt\n{} {} · {} {}\n",
        if is_draft { l.pick("草稿 ", "DRAFT ") } else { "" },
        l.pick("已封存", "sealed"),
        sealed.path.display(),
        l.pick("存档摘要", "archive digest"),
        sealed.digest,
        sealed.path.display(),
        l.pick("序号", "sequence"),
        sealed.sequence,
        account.rows_written(),
        l.pick("行", "rows"),
    );
    if quarantined > 0 {
        text.push_str(&match l {
            Lang::Zh => format!("注意：{quarantined} 行无法转换，已进入隔离表 quarantine（不含原值）\n"),
            Lang::En => format!("note: {quarantined} rows could not be converted; the table `quarantine` says which and why, without values\n"),
        });
    }
    Answer {
        text,
        json: json!({
            "archive": sealed.path.display().to_string(),
            "id": sealed.archive_id,
            "digest": sealed.digest,
            "statement_hash": sealed.statement_hash,
            "sequence": sealed.sequence,
            "draft": is_draft,
            "rows": account.rows_written(),
            "raw_rows": account.raw_rows(),
            "quarantined": quarantined,
        }),
        exit: if quarantined > 0 { Exit::Incomplete } else { Exit::Success },
    }
}
