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
mod spool;
pub(super) mod staff;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde_json::{Map, Value, json};

use super::{Answer, Env, Error, Kept, journal, keys, places, sources, verify};
use crate::archive::{
    self, Archive, BagSpec, BagWriter, Chain, Closing, Keyring, Producer, ReadmeFacts, Sealed, Signers, TableSummary,
};
use crate::config::Case;
use crate::crypto;
use crate::model::{Engine, Exit, Lang};
use crate::progress::Stage;
use crate::pseudonym::{Keys, StaffMatcher, scan_bytes};
use crate::schema::{self, Class, Dataset};
use crate::source::RowSource;
use account::Account;
use flow::{Begun, Flow};
use pace::Pace;
pub use pace::{CONNECTIONS_DEFAULT, Limits};
use plan::Plan;
use proof::Controls;
use raw::RawPlan;
use resume::{Interrupted, Now, State};
use spool::Spool;

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
        Err(e) => {
            let mut facts = json!({ "error": e.to_string() });
            if let Error::Kept(kept) = e {
                facts["kept"] = json!(kept.folder);
            }
            (crate::hint::Hint::exit(e), facts)
        }
    };
    let mut command = "seal".to_owned();
    for (is_given, option) in [(is_draft, " --draft"), (options.is_resumed, " --resume")] {
        command.push_str(if is_given { option } else { "" });
    }
    let journaled = journal::append(&places::out(&case), env.clock.as_ref(), &command, exit.code(), facts);
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
    let now =
        Now { stream: &stream, sequence, previous: previous.as_ref(), plan: &plan, inputs: &inputs, proof: &proof };
    let earlier = earlier(env, case, &now, &pseudonym_keys, options.is_resumed)?;
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
        Some(earlier) => go_on(env, earlier, &mut account, &final_path, &spec, all)?,
    };
    let (bag, mut begun) = match continued {
        Some(continued) => continued,
        None => {
            let bag = BagWriter::create(&final_path, spec, env.random.as_ref(), env.clock.as_ref())?;
            let begun = Begun {
                state: State::new((bag.archive_id(), &stream, sequence), inputs, proof),
                tables: Vec::new(),
                ledger: Spool::create(bag.folder(), resume::LEDGER)?,
                quarantine: Spool::create(bag.folder(), resume::QUARANTINE)?,
            };
            (bag, begun)
        }
    };
    begun.state.sittings.push(resume::sitting(env, &account));
    let folder = bag.folder().to_owned();
    let job = Job { case, plan: &plan, raw: &raw, keys: &pseudonym_keys, signing: &signing, matcher, snapshots_began };
    let written = write(env, &job, (bag, controls, begun), databases, account, pace).await;
    let (sealed, account) = written.map_err(|error| left(error, &folder))?;
    chain.record(&stream, &sealed)?;
    chain.save(&chain_path)?;
    Ok((answer(env, &sealed, &account, is_draft), sealed))
}

/// What remains of a seal that ended with `error`: finished tables, if what stopped it may pass, else nothing.
fn left(error: Error, folder: &Path) -> Error {
    // A folder that holds no finished table is gone by now.
    if !folder.exists() {
        return error;
    }
    if resume::is_passing(&error) {
        return Error::Kept(Box::new(Kept { error, folder: places::name(folder) }));
    }
    // What cannot be removed now is no archive either; the error says more.
    let _ = std::fs::remove_dir_all(folder);
    error
}

/// The interrupted seal to go on with: asked for, there, and with nothing changed since.
fn earlier(env: &Env, case: &Case, now: &Now<'_>, keys: &Keys, is_wanted: bool) -> Result<Option<Interrupted>, Error> {
    let Some(found) = resume::find(env, case, now, keys, is_wanted)? else {
        if is_wanted {
            let words = ("没有可继续的封存；重新开始", "there is no interrupted seal to go on with; starting anew");
            env.notices.tell(env.lang.pick(words.0, words.1).into());
        }
        return Ok(None);
    };
    if is_wanted {
        let changed = found.differences(now)?;
        if changed.is_empty() {
            return Ok(Some(found));
        }
        resume::tell_changed(env, &changed);
    } else {
        let name = places::name(found.folder.folder());
        env.notices.tell(match env.lang {
            Lang::Zh => format!("删除中断的封存 {name}，重新开始（`--resume` 可继续）"),
            Lang::En => {
                format!("removing the interrupted seal {name} and starting over (`--resume` would go on with it)")
            }
        });
    }
    found.folder.discard()?;
    Ok(None)
}

/// The bag of an interrupted seal with its finished tables; `None`, with a remark, when they are not what was written.
fn go_on<'e>(
    env: &'e Env,
    earlier: Interrupted,
    account: &mut Account,
    final_path: &Path,
    spec: &BagSpec,
    (plan, raw): (&Plan, &RawPlan),
) -> Result<Option<(BagWriter<'e>, Begun)>, Error> {
    let Interrupted { folder, state, ledger, ledger_spool, quarantine_spool } = earlier;
    let spec = BagSpec { id: Some(state.archive_id.clone()), ..spec.clone() };
    let bag = BagWriter::resume(folder, &state.tables, final_path, spec, env.random.as_ref(), env.clock.as_ref())?;
    let mut tables = Vec::with_capacity(state.tables.len());
    for staged in &state.tables {
        env.cancel.check().map_err(|e| left(e.into(), bag.folder()))?;
        let spec = schema::dataset(staged.name())
            .map(|d| flow::table_spec(plan, d))
            .or_else(|| raw.entries.iter().find(|e| e.name == staged.name()).map(|e| e.spec.clone()));
        let Some(spec) = spec else { return Err(Error::Worker { doing: "going on with a table" }) };
        match bag.restore(spec, staged) {
            Ok(table) => tables.push(table),
            Err(archive::Error::ReadBack { .. } | archive::Error::Spec { .. }) => {
                resume::tell_changed(env, &[format!("table {}", staged.name())]);
                bag.discard();
                return Ok(None);
            }
            // The disk may be at fault, not the table: it stays for another try.
            Err(e) => return Err(left(e.into(), bag.folder())),
        }
    }
    let (done, rows) = (tables.len(), state.rows());
    env.notices.tell(match env.lang {
        Lang::Zh => format!("继续中断的封存：{done} 张表、{rows} 行已完成，数据源未变化"),
        Lang::En => format!(
            "going on with the interrupted seal: {done} tables with {rows} rows are finished, and the sources are unchanged"
        ),
    });
    account.go_on(ledger);
    Ok(Some((bag, Begun { state, tables, ledger: ledger_spool, quarantine: quarantine_spool })))
}

/// What writing an archive needs besides its sources.
struct Job<'a> {
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
    job: &Job<'_>,
    (mut bag, controls, begun): (BagWriter<'e>, Controls, Begun),
    mut databases: Vec<Box<dyn RowSource>>,
    mut account: Account,
    pace: Arc<Pace>,
) -> Result<(Sealed, Account), Error> {
    let (case, all, matcher) = (job.case, (job.plan, job.raw), &job.matcher);
    let task: Arc<dyn crate::progress::Task> =
        Arc::from(env.progress.start(Stage::Extract, Some(account.expected_rows())));
    let tools = (Arc::clone(matcher), Arc::clone(&task), pace);
    let mut flow = Flow::new(env, case, all, &bag, job.keys, tools, controls, begun)?;
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
        tell_of_long_snapshots(env, env.clock.now() - job.snapshots_began);
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
            return Err(gate::refuse(env, &hits, &list));
        }
    }
    bag.add_file("data/custody/custody.jsonl", &custody)?;
    bag.add_file("data/custody/reconciliation.json", &reconciliation)?;
    let closing = Closing { control_totals: account.control_totals(), readme: readme(job.plan, job.raw, &account) };
    let signers = Signers { statement: &job.signing.producer, checkpoint: &job.signing.checkpoint };
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
