//! Going on with a seal that ended early: what it finished, and whether everything is still as it was.
//!
//! After every table the state is written beside the archive under construction. A later seal may take it over if the
//! case, its mappings, files and keys are the same and the sources prove unchanged ([`super::proof`]); otherwise it
//! names what changed and starts over. The state is authenticated with the merchant's own key, and holds the digests of
//! everything else in the folder, so that a folder that somebody edited is not continued.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::account::{Account, Ledger, Record};
use super::plan::{Feed, Plan};
use super::proof::Proof;
use super::spool::{Mark, Spool};
use crate::archive::{self, Abandoned, Previous, Producer, STAGING_STATE, StagedTable};
use crate::config::Case;
use crate::crypto;
use crate::fsio;
use crate::model::Lang;
use crate::ops::inventory::Counted;
use crate::ops::{Env, Error, places};
use crate::pseudonym::Keys;

/// Rows that were set aside.
pub(super) const QUARANTINE: &str = "quarantine.jsonl";
/// What became of every supply of rows.
pub(super) const LEDGER: &str = "ledger.jsonl";
const BYTES_MAX: u64 = 256 << 20;
/// Version of the state; another one is not read.
const FORMAT: u32 = 1;

/// Spans redacted in a column: dataset, column, kind, number.
pub(super) type Redacted = (String, String, String, u64);

/// One run of a seal, from its start to its end or interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sitting {
    /// When it began (RFC 3339, UTC).
    pub(super) began_at: String,
    /// What made the view of each source consistent, by its name.
    pub(super) snapshots: BTreeMap<String, String>,
    /// Tables finished in it.
    pub(super) tables: Vec<String>,
}

/// What a seal is made of, and what of it is finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: u32,
    pub(super) archive_id: String,
    pub(super) stream: String,
    sequence: u64,
    /// Program, case, mappings, bills and keys, each by its digest.
    inputs: Inputs,
    proof: Proof,
    pub(super) sittings: Vec<Sitting>,
    pub(super) tables: Vec<StagedTable>,
    pub(super) inventory: Counted,
    pub(super) redactions: Vec<Redacted>,
    pub(super) ledger: Mark,
    pub(super) quarantine: Mark,
}

impl State {
    /// The state of a seal that has finished nothing yet.
    pub(super) fn new((archive_id, stream, sequence): (&str, &str, u64), inputs: Inputs, proof: Proof) -> Self {
        Self {
            format: FORMAT,
            archive_id: archive_id.into(),
            stream: stream.into(),
            sequence,
            inputs,
            proof,
            sittings: Vec::new(),
            tables: Vec::new(),
            inventory: Counted::default(),
            redactions: Vec::new(),
            ledger: Mark::nothing(),
            quarantine: Mark::nothing(),
        }
    }

    /// Whether a table is finished.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|t| t.name() == table)
    }

    /// Rows of the finished tables.
    pub(super) fn rows(&self) -> u64 {
        self.tables.iter().map(StagedTable::rows).sum()
    }

    /// Number of facts the sources are compared by.
    pub(super) fn facts(&self) -> usize {
        self.proof.len()
    }

    /// Writes the state durably.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn save(&self, folder: &Path, keys: &Keys) -> Result<(), Error> {
        let text = serde_json::to_vec(self).map_err(|_| Error::Worker { doing: "writing down what is finished" })?;
        let mut bytes = keys.authenticate(&text).into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&text);
        Ok(fsio::write_atomic(&folder.join(STAGING_STATE), &bytes)?)
    }

    /// Reads a state; `None` when it was not written by this version with these keys.
    fn load(folder: &Path, keys: &Keys) -> Result<Option<Self>, Error> {
        let bytes = fsio::read_bounded(&folder.join(STAGING_STATE), BYTES_MAX)?;
        let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return Ok(None) };
        let (code, text) = (&bytes[..end], &bytes[end + 1..]);
        if !keys.authenticates(text, code) {
            return Ok(None);
        }
        Ok(serde_json::from_slice::<Self>(text).ok().filter(|s| s.format == FORMAT))
    }
}

/// A seal that ended early and can be looked into: its folder is locked.
pub(super) struct Interrupted {
    pub(super) folder: Abandoned,
    pub(super) state: State,
    pub(super) ledger: Ledger,
    pub(super) ledger_spool: Spool,
    pub(super) quarantine_spool: Spool,
}

impl Interrupted {
    /// `Err` with the folder when it is not what this program left with these keys.
    fn open(folder: Abandoned, keys: &Keys) -> Result<Result<Self, Abandoned>, Error> {
        match folder.check() {
            Ok(()) => {}
            Err(archive::Error::Spec { .. }) => return Ok(Err(folder)),
            Err(e) => return Err(e.into()),
        }
        let Some(state) = State::load(folder.folder(), keys)? else { return Ok(Err(folder)) };
        let spools = (
            Spool::open(folder.folder(), LEDGER, &state.ledger)?,
            Spool::open(folder.folder(), QUARANTINE, &state.quarantine)?,
        );
        let (Some(mut ledger_spool), Some(quarantine_spool)) = spools else { return Ok(Err(folder)) };
        let mut ledger = Ledger::default();
        for record in ledger_spool.values::<Record>()? {
            ledger.push(record?);
        }
        Ok(Ok(Self { folder, state, ledger, ledger_spool, quarantine_spool }))
    }

    /// Everything that is not as it was when the interrupted seal began, in words; empty when the seal can go on.
    ///
    /// # Errors
    /// When a file of the case cannot be read.
    pub(super) fn differences(&self, now: &Now<'_>) -> Result<Vec<String>, Error> {
        let mut changed = BTreeSet::new();
        if self.state.sequence != now.sequence {
            changed.insert("file chain.json".to_owned());
        }
        let names: BTreeSet<&String> = self.state.inputs.keys().chain(now.inputs.keys()).collect();
        changed.extend(names.into_iter().filter(|n| self.state.inputs.get(*n) != now.inputs.get(*n)).cloned());
        changed.extend(self.state.proof.differences(now.proof));
        changed.extend(self.changed_files(now.plan)?);
        Ok(changed.into_iter().collect())
    }

    /// Registers and canonical files of finished tables that are not the ones that were read.
    fn changed_files(&self, plan: &Plan) -> Result<Vec<String>, Error> {
        let mut now: BTreeMap<String, &Path> = BTreeMap::new();
        for (_, feeds) in plan.feeds.iter().filter(|(name, _)| self.state.has(name)) {
            for feed in feeds {
                match feed {
                    Feed::File { source, file } => {
                        now.insert(format!("{source}/{}", places::name(&file.path)), &file.path);
                    }
                    Feed::Register(file) => {
                        now.insert(format!("registers/{}", places::name(&file.path)), &file.path);
                    }
                    Feed::Query { .. } | Feed::Bill(_) | Feed::BillLines(_) | Feed::Project(_) => {}
                }
            }
        }
        // Bills are compared as inputs.
        let bills: BTreeSet<String> = plan.bills.iter().map(|b| format!("bills/{}", b.bill_ref)).collect();
        let mut changed = Vec::new();
        for file in self.ledger.files().filter(|f| !bills.contains(&f.file_ref)) {
            let digest = match now.remove(&file.file_ref) {
                Some(path) => Some(crypto::sha256_file(path)?.0.to_string()),
                None => None,
            };
            if digest.as_deref() != Some(file.sha256.as_str()) {
                changed.push(format!("file {}", file.file_ref));
            }
        }
        changed.extend(now.into_keys().map(|name| format!("file {name}")));
        Ok(changed)
    }
}

/// What an archive is made of besides rows and registers: digests by name.
pub(super) type Inputs = BTreeMap<String, String>;

/// What an interrupted seal is compared with.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) stream: &'a str,
    pub(super) sequence: u64,
    pub(super) previous: Option<&'a Previous>,
    pub(super) plan: &'a Plan,
    pub(super) inputs: &'a Inputs,
    pub(super) proof: &'a Proof,
}

/// Digests of everything besides rows and registers that an archive is made of.
///
/// # Errors
/// When the case file cannot be read.
pub(super) fn inputs(case: &Case, plan: &Plan, keys: &Keys, producer: &Producer) -> Result<Inputs, Error> {
    let executable = producer.executable.map(|d| d.to_string()).unwrap_or_default();
    let mut inputs = Inputs::from([
        ("program".to_owned(), format!("{} {executable}", producer.version)),
        ("file case.toml".to_owned(), crypto::sha256_file(&case.dir.join("case.toml"))?.0.to_string()),
        ("keys".to_owned(), [keys.id_staff(), keys.id_customer(), keys.id_fingerprint()].join(" ")),
        ("file registers/SHA256SUMS".to_owned(), plan.missing_registers.join("\n")),
    ]);
    for database in &plan.databases {
        inputs.insert(format!("mapping {}", database.name), database.mapping_sha256.clone());
    }
    for bill in &plan.bills {
        // With what is stated about it: digests, days, its relation to other bills.
        let row = format!("{:?}", bill.row());
        inputs.insert(format!("file bills/{}", bill.bill_ref), crypto::sha256(row.as_bytes()).to_string());
    }
    for feed in plan.feeds.values().flatten() {
        if let Feed::Register(file) = feed {
            let stated = file.expected_sha256.map(|d| d.to_string()).unwrap_or_default();
            let sums = inputs.entry("file registers/SHA256SUMS".to_owned()).or_default();
            sums.push_str(&format!("\n{} {stated}", file.dataset));
        }
    }
    Ok(inputs)
}

/// The interrupted seal of a stream that has finished most, if there is one. What cannot be continued is removed, with
/// a remark.
///
/// # Errors
/// When a folder cannot be read or removed; when `is_wanted` and another seal is at work.
pub(super) fn find(
    env: &Env,
    case: &Case,
    now: &Now<'_>,
    keys: &Keys,
    is_wanted: bool,
) -> Result<Option<Interrupted>, Error> {
    let unfinished = archive::unfinished(&places::archives(case))?;
    if is_wanted && unfinished.live > 0 {
        return Err(Error::usage(
            "another seal of this case is under way",
            "请等它结束，或先中断它，再用 `--resume` 继续。",
            "wait for its end, or interrupt it, before you go on with `--resume`",
        ));
    }
    let mut found: Option<Interrupted> = None;
    for folder in unfinished.abandoned.into_iter().filter(Abandoned::can_go_on) {
        let name = places::name(folder.folder());
        let interrupted = match Interrupted::open(folder, keys)? {
            Ok(interrupted) => interrupted,
            Err(folder) => {
                folder.discard()?;
                env.notices.tell(match env.lang {
                    Lang::Zh => format!("中断的封存 {name} 无法继续：其内容不是本程序用本案密钥留下的原样；已删除"),
                    Lang::En => format!("the interrupted seal {name} cannot be continued, because it is not as this program left it with the keys of this case; it was removed"),
                });
                continue;
            }
        };
        if interrupted.state.stream != now.stream {
            tell_of_others(env, case, &name, &interrupted.state.stream);
            continue;
        }
        // It was sealed after all: the program was stopped between the two.
        if now.previous.is_some_and(|p| p.archive_id == interrupted.state.archive_id) {
            interrupted.folder.discard()?;
            continue;
        }
        let better = found.as_ref().is_none_or(|f| interrupted.state.rows() > f.state.rows());
        let other = if better { found.replace(interrupted) } else { Some(interrupted) };
        if let Some(other) = other {
            let name = places::name(other.folder.folder());
            other.folder.discard()?;
            env.notices.tell(match env.lang {
                Lang::Zh => format!("另一个中断的封存 {name} 完成得更少，已删除"),
                Lang::En => format!("another interrupted seal, {name}, had finished less; it was removed"),
            });
        }
    }
    Ok(found)
}

/// A stream that the case no longer writes would be forgotten.
fn tell_of_others(env: &Env, case: &Case, name: &str, stream: &str) {
    if stream == case.stream || stream == archive::Chain::draft_stream(&case.stream) {
        return;
    }
    env.notices.tell(match env.lang {
        Lang::Zh => format!("out/archives/{name} 是流 `{stream}` 的中断封存，本案已不再使用该流；不再需要时请删除"),
        Lang::En => format!("out/archives/{name} is an interrupted seal of the stream `{stream}`, which this case no longer writes; remove it when it is not needed"),
    });
}

/// Whether what stopped a seal lies outside it, so that what is finished is worth keeping: an interruption, the time
/// allowed, a server or a disk; not rows, mappings, leaks or totals.
pub(super) fn is_passing(error: &Error) -> bool {
    use crate::hint::Hint as _;
    use crate::model::Exit;
    matches!(error, Error::Deadline { .. }) || matches!(error.exit(), Exit::Interrupted | Exit::Io)
}

/// Tells why a seal starts over.
pub(super) fn tell_changed(env: &Env, changed: &[String]) {
    /// So many changes are named.
    const NAMED: usize = 10;
    let lang = env.lang;
    let mut list: Vec<String> = changed.iter().take(NAMED).map(|name| words(lang, name)).collect();
    if changed.len() > NAMED {
        list.push(format!("… ({})", changed.len()));
    }
    env.notices.tell(match lang {
        Lang::Zh => format!("中断的封存无法继续，因为以下内容已变化：{}；重新开始", list.join("；")),
        Lang::En => format!(
            "the interrupted seal cannot be continued, because this changed: {}; starting over",
            list.join("; ")
        ),
    });
}

/// A difference as people call it: its kind is the first word of its name.
fn words(lang: Lang, name: &str) -> String {
    let (kind, of) = name.split_once(' ').unwrap_or((name, ""));
    let kind = match kind {
        "program" => lang.pick("本程序的版本", "the version of this program"),
        "keys" => lang.pick("本案的假名密钥", "the pseudonym keys of the case"),
        "mapping" => lang.pick("映射文件，数据源", "the mapping of"),
        "engine" => lang.pick("数据库版本或设置，数据源", "the version or settings of"),
        "database" => lang.pick("数据库文件，数据源", "the database file of"),
        "columns" => lang.pick("列，表", "the columns of"),
        "rows" => lang.pick("行数，表", "the number of rows of"),
        "largest" => lang.pick("最大主键或最新时间，表", "the largest key or latest time of"),
        "changes" => lang.pick("服务器记录的改动，表", "what the server says about changes of"),
        "totals" => lang.pick("合计，", "the control totals of"),
        "table" => lang.pick("已完成的表", "the finished table"),
        _ => "",
    };
    format!("{kind} {of}").trim().to_owned()
}

/// Sums redactions per place and kind.
pub(super) fn merged(earlier: &[Redacted], now: &crate::pseudonym::RedactionCounts) -> Vec<Redacted> {
    let mut all: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for (dataset, column, kind, n) in earlier {
        *all.entry((dataset.clone(), column.clone(), kind.clone())).or_default() += n;
    }
    for (dataset, column, kind, n) in now.iter() {
        *all.entry((dataset.to_owned(), column.to_owned(), kind.to_owned())).or_default() += n;
    }
    all.into_iter().map(|((dataset, column, kind), n)| (dataset, column, kind, n)).collect()
}

/// The sitting that begins now.
pub(super) fn sitting(env: &Env, account: &Account) -> Sitting {
    Sitting {
        began_at: env.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        snapshots: account.snapshots(),
        tables: Vec::new(),
    }
}
