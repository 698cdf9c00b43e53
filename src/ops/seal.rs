//! `seal`: extract, map, pseudonymise, archive, sign — in one streaming pass.
//!
//! Order of things: read the case and every mapping; open the sources and hold one snapshot; read the staff
//! identifiers into memory; stream every dataset, in name order, through conversion and pseudonymisation into the
//! bag; compare with the source's own totals; scan what was written for leaks; write custody and reconciliation; sign.
//! Nothing stands under a final name before the last step. An error at any point removes what was written; an
//! interruption, or a server or disk that fails, leaves the finished tables for `--resume` ([`resume`]).

mod account;
pub(super) mod flow;
mod gate;
pub(super) mod pace;
pub(super) mod plan;
mod proof;
mod quarantine;
pub(super) mod raw;
mod resume;
pub(super) mod staff;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde_json::{Map, Value, json};

use super::{Answer, Env, Error, journal, keys, places, sources, verify};
use crate::archive::{
    self, Archive, BagSpec, BagWriter, Chain, Closing, Keyring, Producer, ReadmeFacts, Sealed, Signers, StagedTable,
    TableSpec, TableSummary,
};
use crate::config::Case;
use crate::crypto;
use crate::model::{Engine, Exit, Lang};
use crate::progress::Stage;
use crate::pseudonym::{Keys, StaffMatcher, scan_bytes};
use crate::schema::{self, Class, Dataset};
use crate::source::RowSource;
use account::Account;
use flow::Flow;
use pace::Pace;
pub use pace::{CONNECTIONS_DEFAULT, Limits};
use plan::Plan;
use proof::{Controls, Proof};
use raw::RawPlan;
use resume::State;

/// How to seal.
#[derive(Debug, Clone, Copy, Default)]
pub struct SealOptions {
    /// Into a stream of its own, marked as a draft everywhere.
    pub is_draft: bool,
    /// Goes on with a seal of the same stream that ended early, if nothing changed since.
    pub is_resumed: bool,
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
    let chain_path = case.dir.join("chain.json");
    let mut chain = Chain::load(&chain_path)?;
    let stream = if is_draft { Chain::draft_stream(&case.stream) } else { case.stream.clone() };
    adopt(env, case, &mut chain, &chain_path, &stream)?;
    let (sequence, previous) = chain.next(&stream);

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
    let (proof, controls) = proof::ask(env, all, &mut databases, &account, &pseudonym_keys).await?;
    let producer = producer(env);
    let inputs = resume::inputs(case, &plan, &pseudonym_keys, &producer)?;
    let earlier = earlier(env, case, &plan, &pseudonym_keys, options, (&stream, sequence), (&inputs, &proof))?;
    let matcher = Arc::new(staff::identifiers(env, case, all, &mut databases, &pseudonym_keys, &pace).await?);
    account.not_searched(matcher.skipped());

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
        producer,
        keyring: BagSpec::keyring_of(&keyring),
        extra: extra(case),
    };
    let final_path = places::archives(case).join(folder_name(&stream, sequence));
    let continued = match earlier {
        None => None,
        Some(earlier) => go_on(env, earlier, &final_path, &spec, all)?,
    };
    let (bag, mut state, restored) = match continued {
        Some(continued) => continued,
        None => {
            let bag = BagWriter::create(&final_path, spec, env.random.as_ref(), env.clock.as_ref())?;
            let state = State::new((bag.archive_id(), &stream, sequence), inputs, proof);
            (bag, state, Vec::new())
        }
    };
    account.go_on(state.ledger.clone());
    state.sittings.push(resume::sitting(env, &account));
    let folder = bag.folder().to_owned();
    let work =
        Work { case, plan: &plan, raw: &raw, keys: &pseudonym_keys, signing: &signing, matcher, snapshots_began };
    let written = write(env, &work, (bag, controls, state, restored), databases, account, pace).await;
    let (sealed, account) = match written {
        Ok(done) => done,
        Err(error) => {
            // Kept tables are still there; whether they are worth anything depends on what went wrong.
            if folder.exists() {
                if resume::is_passing(&error) {
                    resume::tell_kept(env, &folder);
                } else {
                    archive::discard(&folder)?;
                }
            }
            return Err(error);
        }
    };
    chain.record(&stream, &sealed)?;
    chain.save(&chain_path)?;
    Ok((answer(env, &sealed, &account, is_draft), sealed))
}

/// The interrupted seal to go on with: asked for, there, and with nothing changed since.
fn earlier(
    env: &Env,
    case: &Case,
    plan: &Plan,
    keys: &Keys,
    options: &SealOptions,
    (stream, sequence): (&str, u64),
    (inputs, proof): (&BTreeMap<String, String>, &Proof),
) -> Result<Option<(PathBuf, State)>, Error> {
    let found = resume::find(env, case, stream, keys)?;
    let Some((folder, state)) = found else {
        if options.is_resumed {
            env.notices.tell(
                env.lang
                    .pick("没有可继续的封存；重新开始", "there is no interrupted seal to go on with; starting anew")
                    .into(),
            );
        }
        return Ok(None);
    };
    if options.is_resumed {
        let changed = state.differences(sequence, inputs, proof, plan)?;
        if changed.is_empty() {
            let (done, rows) = (state.tables.len(), state.tables.iter().map(StagedTable::rows).sum::<u64>());
            env.notices.tell(match env.lang {
                Lang::Zh => format!("继续中断的封存：{done} 张表、{rows} 行已完成，数据源未变化"),
                Lang::En => format!(
                    "going on with the interrupted seal: {done} tables with {rows} rows are finished, and the sources are unchanged"
                ),
            });
            return Ok(Some((folder, state)));
        }
        resume::tell_changed(env, &changed);
    } else {
        env.notices.tell(match env.lang {
            Lang::Zh => format!("删除中断的封存 {}，重新开始（`--resume` 可继续）", places::name(&folder)),
            Lang::En => format!(
                "removing the interrupted seal {} and starting over (`--resume` would go on with it)",
                places::name(&folder)
            ),
        });
    }
    archive::discard(&folder)?;
    Ok(None)
}

/// The bag of an interrupted seal with its finished tables; `None`, with a remark, when they are not what was written.
fn go_on<'e>(
    env: &'e Env,
    (folder, state): (PathBuf, State),
    final_path: &Path,
    spec: &BagSpec,
    (plan, raw): (&Plan, &RawPlan),
) -> Result<Option<(BagWriter<'e>, State, Vec<TableSummary>)>, Error> {
    let spec = BagSpec { id: Some(state.archive_id.clone()), ..spec.clone() };
    let (random, clock) = (env.random.as_ref(), env.clock.as_ref());
    let bag = BagWriter::resume(&folder, &state.tables, final_path, spec, random, clock)?;
    let mut restored = Vec::with_capacity(state.tables.len());
    for staged in &state.tables {
        env.cancel.check()?;
        let spec = schema::dataset(staged.name())
            .map(|d| TableSpec::of(d).raised(&plan.raised(d.name)))
            .or_else(|| raw.entries.iter().find(|e| e.name == staged.name()).map(|e| e.spec.clone()));
        let table = match spec {
            Some(spec) => bag.restore(spec, staged),
            None => return Err(Error::Worker { doing: "going on with a table" }),
        };
        match table {
            Ok(table) => restored.push(table),
            // A missing file is as good as a damaged one.
            Err(archive::Error::ReadBack { .. } | archive::Error::File(_) | archive::Error::Spec { .. }) => {
                resume::tell_changed(env, &[format!("{}/{}", places::name(&folder), staged.name())]);
                return Ok(None);
            }
            Err(e) => return Err(e.into()),
        }
    }
    // From here on an interruption leaves the folder as it was found.
    bag.keep();
    Ok(Some((bag, state, restored)))
}

/// What writing an archive needs besides its sources.
struct Work<'a> {
    case: &'a Case,
    plan: &'a Plan,
    raw: &'a RawPlan,
    keys: &'a Keys,
    signing: &'a keys::SealKeys,
    matcher: Arc<StaffMatcher>,
    snapshots_began: DateTime<Utc>,
}

/// Streams everything that is not finished, compares, looks for leaks, and seals.
async fn write<'e>(
    env: &'e Env,
    work: &Work<'_>,
    (mut bag, controls, state, restored): (BagWriter<'e>, Controls, State, Vec<TableSummary>),
    mut databases: Vec<Box<dyn RowSource>>,
    mut account: Account,
    pace: Arc<Pace>,
) -> Result<(Sealed, Account), Error> {
    let (case, all, matcher) = (work.case, (work.plan, work.raw), &work.matcher);
    let task: Arc<dyn crate::progress::Task> =
        Arc::from(env.progress.start(Stage::Extract, Some(account.expected_rows())));
    let tools = (Arc::clone(matcher), Arc::clone(&task), pace);
    let mut flow = Flow::new(env, case, all, &bag, work.keys, tools, controls, (state, restored))?;
    flow.all(&mut databases, &mut account).await?;
    let (tables, redactions, state) = flow.finish()?;
    drop(task);

    tell_of_tables(env, &tables, matcher);
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
        tell_of_long_snapshots(env, env.clock.now() - work.snapshots_began);
    }
    account.reconcile()?;
    let list = places::out(case).join("leak-hits.txt");
    let accepted = gate::scan(env, matcher, &tables, &case.leak_exceptions, &list)?;
    account.accepted_leaks(&accepted, &case.leak_exceptions);

    let reconciliation = account.reconciliation(case, &tables);
    let custody = account.custody(&state.sittings, state.facts());
    for (name, bytes) in [("reconciliation.json", &reconciliation), ("custody.jsonl", &custody)] {
        let hits = scan_bytes(matcher, name, bytes);
        if !hits.is_empty() {
            return Err(gate::refuse(&hits, &list)?);
        }
    }
    bag.add_file("data/custody/custody.jsonl", &custody)?;
    bag.add_file("data/custody/reconciliation.json", &reconciliation)?;
    let closing = Closing { control_totals: account.control_totals(), readme: readme(work.plan, work.raw, &account) };
    let signers = Signers { statement: &work.signing.producer, checkpoint: &work.signing.checkpoint };
    let task = env.progress.start(Stage::Seal, None);
    let cancel = env.cancel.clone();
    let sealed = bag.seal(signers, tables, &closing, &mut |_| {
        task.advance(1);
        cancel.check()
    })?;
    Ok((sealed, account))
}

/// Remarks on what was written: keys that repeat, identifiers that cannot be searched for.
fn tell_of_tables(env: &Env, tables: &[TableSummary], matcher: &StaffMatcher) {
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
