//! Everything that can stop a use case.

use std::path::PathBuf;

use crate::config::document::{LoadError, Problems};
use crate::hint::Hint;
use crate::model::{Exit, Lang};
use crate::progress::Interrupted;
use crate::{archive, clock, crypto, fsio, mapping, policy, pseudonym, query, report, source, synth};

/// Why a use case stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// A file that people write is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A SELECT of a mapping failed.
    #[error("the SELECT for dataset `{dataset}` from table `{table}` failed")]
    Select {
        /// Which dataset.
        dataset: String,
        /// Its main table.
        table: String,
        /// What the source said.
        source: Box<source::Error>,
    },
    /// Rows do not fit the mapping.
    #[error(transparent)]
    Mapping(#[from] mapping::Error),
    /// Pseudonymisation stopped.
    #[error(transparent)]
    Pseudonym(#[from] pseudonym::Error),
    /// An archive could not be written or read.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A query failed.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// Policies could not run.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A document could not be written.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// The sample merchant could not be written.
    #[error(transparent)]
    Synth(#[from] synth::Error),
    /// A key could not be used.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] clock::NoRandomness),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The time the user allowed is over.
    #[error("the time allowed with `--until` is over ({} UTC); nothing was sealed", at.format("%Y-%m-%d %H:%M"))]
    Deadline {
        /// When it was over.
        at: chrono::DateTime<chrono::Utc>,
    },
    /// A seal ended early, and its finished tables are kept.
    #[error(transparent)]
    Kept(Box<Kept>),
    /// The case or the command lacks something.
    #[error("{message}")]
    Usage {
        /// What is missing.
        message: String,
        /// What to do, Chinese.
        zh: String,
        /// What to do, English.
        en: String,
    },
    /// A staff identifier would have entered the archive.
    #[error("a staff identifier would have leaked into {}; nothing was sealed", places.join(", "))]
    Leak {
        /// `dataset.column (n)`.
        places: Vec<String>,
        /// Local list of the hits, readable by its owner only.
        list: PathBuf,
    },
    /// Rows or sums of the source do not agree with what was written.
    #[error("control totals do not agree: {}", mismatches.join("; "))]
    Reconcile {
        /// Which dataset and figure.
        mismatches: Vec<String>,
    },
    /// The archive did not verify.
    #[error("the archive does not verify: {summary}")]
    NotVerified {
        /// The failed step and its code.
        summary: String,
        /// The verifier's exit code.
        exit: Exit,
    },
    /// A signing key of the case is not one that its keyring trusts.
    #[error("the keyring `{}` does not trust the signing key `{}` as {role}", keyring.display(), key.display())]
    UntrustedKey {
        /// The private key's file.
        key: PathBuf,
        /// The keyring's file.
        keyring: PathBuf,
        /// What it would sign as.
        role: &'static str,
    },
    /// A worker thread ended without an answer.
    #[error("a worker thread failed while {doing}")]
    Worker {
        /// What it was doing.
        doing: &'static str,
    },
}

/// What stopped a seal whose finished tables are kept; speaks as that error does.
#[derive(Debug)]
pub struct Kept {
    /// What stopped it.
    pub error: Error,
    /// Name of the folder beside the archives.
    pub folder: String,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Kept {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Load(LoadError::Invalid(problems))
    }
}

impl Error {
    /// A usage error with its remedy in both languages.
    pub(super) fn usage(message: impl Into<String>, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), zh: zh.into(), en: en.into() }
    }

    fn inner(&self) -> Option<&dyn Hint> {
        Some(match self {
            Self::File(e) => e,
            Self::Load(e) => e,
            Self::Source(e) => e,
            Self::Select { source, .. } => source.as_ref(),
            Self::Mapping(e) => e,
            Self::Pseudonym(e) => e,
            Self::Archive(e) => e,
            Self::Query(e) => e,
            Self::Policy(e) => e,
            Self::Report(e) => e,
            Self::Synth(e) => e,
            Self::Crypto(e) => e,
            Self::Kept(kept) => &kept.error,
            _ => return None,
        })
    }
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        if let Self::Kept(kept) = self {
            let Kept { error, folder } = kept.as_ref();
            let kept = match lang {
                Lang::Zh => format!(
                    "已完成的表保存在 out/archives/{folder}（尚未封存，请勿外传）：`seal --resume` 从那里继续，不带该选项的 `seal` 则删除它并重新开始。"
                ),
                Lang::En => format!(
                    "The tables finished so far are kept in out/archives/{folder} (not sealed: do not pass them on). `seal --resume` goes on from there; `seal` without it removes them and starts over."
                ),
            };
            let first = if error.exit() == Exit::Interrupted { None } else { error.hint(lang) };
            return Some(first.map_or(kept.clone(), |first| format!("{first} {kept}")));
        }
        // Whichever stage noticed the interruption first, the user is told the same.
        if self.exit() == Exit::Interrupted {
            let text = lang.pick(
                "没有留下半封存的存档；可随时重新运行。",
                "No half-sealed archive stands; run again whenever you like.",
            );
            return Some(text.to_owned());
        }
        match self {
            Self::Usage { zh, en, .. } => Some(lang.pick(zh, en).to_owned()),
            Self::Deadline { .. } => Some(
                lang.pick(
                    "请改用更晚的 --until、更高的 --max-rate，或从只读副本读取。",
                    "Allow more time with --until, more rows with --max-rate, or read from a replica.",
                )
                .to_owned(),
            ),
            Self::Leak { list, .. } => Some(match lang {
                Lang::Zh => format!("命中位置见 {}（仅本人可读，请勿外传）；请为该列设置正确的身份类别或在 case.toml 用 [[leak_exception]] 说明理由。", list.display()),
                Lang::En => format!("the places are listed in {} (readable by you only; do not pass it on); give the column its identity class in the mapping, or state a reason with [[leak_exception]] in case.toml", list.display()),
            }),
            Self::Reconcile { .. } => Some(lang.pick("源数据在读取期间可能有变化，或映射的金额换算有误；请核对后重新封存。", "The source may have changed while it was read, or a money conversion of the mapping is wrong; check and seal again.").into()),
            Self::NotVerified { .. } => Some(lang.pick("请运行 `sealport verify` 查看每一步。", "Run `sealport verify` to see every step.").into()),
            Self::UntrustedKey { .. } => Some(lang.pick(
                "请恢复与该密钥环配套的私钥（`sealport keys show 案件文件夹` 列出密钥编号）；尚未封存任何内容。",
                "Restore the private key that belongs to this keyring (`sealport keys show CASE` lists the key ids); nothing was sealed.",
            ).into()),
            Self::Worker { .. } => Some(lang.pick("这是程序缺陷，请报告。", "This is a bug; please report it.").into()),
            _ => self.inner().and_then(|e| e.hint(lang)),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Invalid,
            Self::Leak { .. } | Self::Reconcile { .. } => Exit::Integrity,
            Self::NotVerified { exit, .. } => *exit,
            Self::UntrustedKey { .. } => Exit::Trust,
            Self::Worker { .. } => Exit::Internal,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Deadline { .. } => Exit::Incomplete,
            Self::NoRandomness(_) => Exit::Io,
            _ => self.inner().map_or(Exit::Internal, Hint::exit),
        }
    }
}
