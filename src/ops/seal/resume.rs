//! Going on with a seal that ended early: what it finished, and whether everything is still as it was.
//!
//! After every table the state is written beside the archive under construction. A later seal may take it over if the
//! case, its mappings, files and keys are the same and the sources prove unchanged ([`super::proof`]); otherwise it
//! names what changed and starts over. The state is authenticated with the merchant's own key, so that a folder that
//! somebody edited is not continued, and the digests in it are compared with the files before they are taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::account::{Account, Ledger};
use super::plan::{Feed, Plan};
use super::proof::Proof;
use super::quarantine;
use crate::archive::{self, Producer, StagedTable};
use crate::config::Case;
use crate::crypto;
use crate::fsio;
use crate::model::Lang;
use crate::ops::inventory::Counted;
use crate::ops::{Env, Error, places};
use crate::pseudonym::Keys;

const FILE: &str = "state.json";
const BYTES_MAX: u64 = 1 << 30;
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
    pub(super) sequence: u64,
    /// Program, case, mappings, bills and keys, each by its digest.
    inputs: BTreeMap<String, String>,
    proof: Proof,
    pub(super) sittings: Vec<Sitting>,
    pub(super) tables: Vec<StagedTable>,
    pub(super) ledger: Ledger,
    pub(super) inventory: Counted,
    pub(super) redactions: Vec<Redacted>,
    pub(super) quarantine: quarantine::Mark,
}

impl State {
    /// The state of a seal that has finished nothing yet.
    pub(super) fn new(
        (archive_id, stream, sequence): (&str, &str, u64),
        inputs: BTreeMap<String, String>,
        proof: Proof,
    ) -> Self {
        Self {
            format: FORMAT,
            archive_id: archive_id.into(),
            stream: stream.into(),
            sequence,
            inputs,
            proof,
            sittings: Vec::new(),
            tables: Vec::new(),
            ledger: Ledger::default(),
            inventory: Counted::default(),
            redactions: Vec::new(),
            quarantine: quarantine::Mark::default(),
        }
    }

    /// Whether a table is finished.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|t| t.name() == table)
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
        Ok(fsio::write_atomic(&folder.join(FILE), &bytes)?)
    }

    /// Reads a state; `None` when it was not written by this version with these keys.
    fn load(folder: &Path, keys: &Keys) -> Option<Self> {
        let bytes = fsio::read_bounded(&folder.join(FILE), BYTES_MAX).ok()?;
        let end = bytes.iter().position(|b| *b == b'\n')?;
        let (code, text) = (&bytes[..end], &bytes[end + 1..]);
        if !keys.authenticates(text, code) {
            return None;
        }
        serde_json::from_slice::<Self>(text).ok().filter(|s| s.format == FORMAT)
    }

    /// Everything that is not as it was when the interrupted seal began, in words; empty when the seal can go on.
    ///
    /// # Errors
    /// When a file of the case cannot be read.
    pub(super) fn differences(
        &self,
        sequence: u64,
        inputs: &BTreeMap<String, String>,
        proof: &Proof,
        plan: &Plan,
    ) -> Result<Vec<String>, Error> {
        let mut changed = Vec::new();
        if self.sequence != sequence {
            changed.push("chain.json".to_owned());
        }
        let names: BTreeSet<&String> = self.inputs.keys().chain(inputs.keys()).collect();
        changed.extend(names.into_iter().filter(|n| self.inputs.get(*n) != inputs.get(*n)).cloned());
        changed.extend(self.proof.differences(proof));
        changed.extend(self.changed_files(plan)?);
        Ok(changed)
    }

    /// Registers and canonical files of finished tables that are not the ones that were read.
    fn changed_files(&self, plan: &Plan) -> Result<Vec<String>, Error> {
        let mut now: BTreeMap<String, &Path> = BTreeMap::new();
        for (_, feeds) in plan.feeds.iter().filter(|(name, _)| self.has(name)) {
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
                changed.push(file.file_ref.clone());
            }
        }
        changed.extend(now.into_keys());
        Ok(changed)
    }
}

/// Digests of everything besides rows and registers that an archive is made of.
///
/// # Errors
/// When the case file cannot be read.
pub(super) fn inputs(
    case: &Case,
    plan: &Plan,
    keys: &Keys,
    producer: &Producer,
) -> Result<BTreeMap<String, String>, Error> {
    let executable = producer.executable.map(|d| d.to_string()).unwrap_or_default();
    let mut inputs = BTreeMap::from([
        ("sealport".to_owned(), format!("{} {executable}", producer.version)),
        ("case.toml".to_owned(), crypto::sha256_file(&case.dir.join("case.toml"))?.0.to_string()),
        ("keys".to_owned(), [keys.id_staff(), keys.id_customer(), keys.id_fingerprint()].join(" ")),
    ]);
    for database in &plan.databases {
        inputs.insert(format!("mapping of {}", database.name), database.mapping_sha256.clone());
    }
    for bill in &plan.bills {
        inputs.insert(format!("bills/{}", bill.bill_ref), bill.sha256.to_string());
    }
    Ok(inputs)
}

/// The folder and state of the interrupted seal of a stream, if there is one. Folders whose state cannot be trusted
/// are removed, with a remark.
///
/// # Errors
/// When the folder of archives cannot be read.
pub(super) fn find(env: &Env, case: &Case, stream: &str, keys: &Keys) -> Result<Option<(PathBuf, State)>, Error> {
    let mut found = None;
    for folder in archive::interrupted(&places::archives(case))? {
        match State::load(&folder, keys) {
            Some(state) if state.stream != stream => {}
            Some(state) if found.is_none() => found = Some((folder, state)),
            // An older one of the same stream, or one that nobody can continue.
            _ => {
                let name = places::name(&folder);
                archive::discard(&folder)?;
                env.notices.tell(match env.lang {
                    Lang::Zh => format!("中断的封存 {name} 无法继续（状态文件不是本程序用本案密钥写的），已删除"),
                    Lang::En => format!("the interrupted seal {name} cannot be continued (its state was not written by this program with the keys of this case); it was removed"),
                });
            }
        }
    }
    Ok(found)
}

/// Whether what stopped a seal lies outside it, so that what is finished is worth keeping: an interruption, the time
/// allowed, a server or a disk; not rows, mappings, leaks or totals.
pub(super) fn is_passing(error: &Error) -> bool {
    use crate::hint::Hint as _;
    use crate::model::Exit;
    matches!(error, Error::Deadline { .. }) || matches!(error.exit(), Exit::Interrupted | Exit::Io)
}

/// Tells what a seal that ended early left.
pub(super) fn tell_kept(env: &Env, folder: &Path) {
    let name = places::name(folder);
    env.notices.tell(match env.lang {
        Lang::Zh => format!("已完成的表保存在 out/archives/{name}（尚未封存，请勿外传）；`seal --resume` 从那里继续，`seal` 则重新开始并删除它"),
        Lang::En => format!("the tables finished so far are kept in out/archives/{name} (not sealed; do not pass them on); `seal --resume` goes on from there, `seal` starts over and removes them"),
    });
}

/// Tells why a seal starts over.
pub(super) fn tell_changed(env: &Env, changed: &[String]) {
    /// So many changes are named.
    const NAMED: usize = 10;
    let mut list = changed.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if changed.len() > NAMED {
        list.push_str(&format!("; … ({})", changed.len()));
    }
    env.notices.tell(match env.lang {
        Lang::Zh => format!("中断的封存无法继续，因为以下内容已变化：{list}；重新开始"),
        Lang::En => format!("the interrupted seal cannot be continued, because this changed: {list}; starting over"),
    });
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
