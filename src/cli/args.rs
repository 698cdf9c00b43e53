//! What can be typed. These types only record; [`super::settings`] resolves them.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::ops::seal::CONNECTIONS_DEFAULT;

/// Compliance audit and migration toolkit for mini-programs
#[derive(Debug, Parser)]
#[command(name = "sealport", version, disable_help_subcommand = true, after_help = TOP_EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const TOP_EXAMPLES: &str = "\
Examples:
  sealport demo                                    the whole job on a sample merchant
  sealport run my-case                             seal, verify, check and report a case
  sealport verify ARCHIVE --keyring keyring.json   is this archive what was signed?

Exit codes: 0 clean, 1 findings, 2 invalid input, 3 nothing to evaluate, 4 integrity, 5 incomplete,
6 trust, 7 cannot judge, 70 internal, 74 I/O, 130 interrupted.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Form of the answer on stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Print nothing but the answer and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print the developer log to stderr
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to colour messages
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Language of messages [default: from the locale, else en]
    #[arg(long, global = true, value_enum)]
    pub lang: Option<LangArg>,
}

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// 中文
    Zh,
    /// English
    En,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole job on a sample merchant: make it, seal, verify, check, report
    #[command(after_help = "Example:\n  sealport demo --out sealport-demo --orders 2000 --seed 7")]
    Demo(DemoArgs),
    /// Write a sample merchant with planted, listed faults
    #[command(
        after_help = "Examples:\n  sealport synth --out shop --orders 50000\n  sealport synth --out clean --faults none\n  sealport synth --out one --faults TXN-001,FND-007\n  sealport synth --system litemall --out mall --orders 5000"
    )]
    Synth(SynthArgs),
    /// Create a commented case folder
    #[command(
        after_help = "Example:\n  sealport init my-case --kind deregistration --source sqlite://shop.db --mapping mapping.toml"
    )]
    Init(InitArgs),
    /// Make and show keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Find out whom a token stands for (lawful re-identification; journaled)
    #[command(
        after_help = "Example:\n  sealport lookup my-case --key staff --roster hr.csv --out answer.csv --reason \"court order 2026-88\""
    )]
    Lookup(LookupArgs),
    /// Examine a case before it is sealed: connection, account, mapping, zones, load, disk; writes nothing
    #[command(after_help = "Examples:\n  sealport doctor my-case\n  sealport doctor my-case --format json")]
    Doctor {
        /// Case folder
        case: PathBuf,
    },
    /// Extract, map, pseudonymise, archive and sign
    #[command(
        after_help = "Examples:\n  sealport seal my-case\n  sealport seal my-case --draft\n  sealport seal my-case --max-rate 5000 --until 06:00\n  sealport seal my-case --resume"
    )]
    Seal(SealArgs),
    /// Verify an archive, an assessment or a report against trusted keys
    #[command(
        after_help = "Example:\n  sealport verify my-case/out/archives/NAME --keyring my-case/keyring/keyring.json"
    )]
    Verify(VerifyArgs),
    /// Evaluate policies over a sealed archive
    #[command(
        after_help = "Examples:\n  sealport check my-case\n  sealport check ARCHIVE --keyring keyring.json --profile profile.toml --fail-on high --format json"
    )]
    Check(CheckArgs),
    /// Write the documents of a case
    #[command(after_help = "Example:\n  sealport report my-case --kind deregistration --report-lang zh,en")]
    Report(ReportArgs),
    /// Seal, verify, check and report in one go
    Run(RunArgs),
    /// List, show, lint and test policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Propose, lint, try and explain mappings; what they cover
    #[command(subcommand)]
    Mapping(MappingCommand),
    /// Print the canonical schema: every dataset and column
    Schema,
    /// Print a shell completion script
    #[command(after_help = "Example:\n  sealport completions bash > /etc/bash_completion.d/sealport")]
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder to create
    #[arg(long, default_value = "sealport-demo")]
    pub out: PathBuf,
    /// Orders of the sample merchant
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub orders: u64,
    /// Seed of the sample merchant
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Arguments of `synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Folder to create
    #[arg(long)]
    pub out: PathBuf,
    /// Orders
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub orders: u64,
    /// Seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Planted faults: all, none, or policy ids separated by commas
    #[arg(long, default_value = "all")]
    pub faults: String,
    /// Write rows for the tables of a known system (data.sql) instead of the sample shop's own database
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(crate::synth::system_names()))]
    pub system: Option<String>,
    /// Engine of data.sql, where a system has several
    #[arg(long, requires = "system")]
    pub dialect: Option<String>,
    /// Address of the database that data.sql is loaded into, for case.toml
    #[arg(long, requires = "system")]
    pub url: Option<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder to create
    pub dir: PathBuf,
    /// What the case is for
    #[arg(long, value_parser = crate::config::case::CaseKind::WORDS)]
    pub kind: String,
    /// Where the data lies: sqlite://FILE, postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE, files:DIR, parquet:DIR or csv:DIR
    #[arg(long)]
    pub source: Option<String>,
    /// Mapping file for a database, or preset:ID
    #[arg(long)]
    pub mapping: Option<String>,
    /// Platform bill files, as a pattern
    #[arg(long)]
    pub bills: Option<String>,
}

/// Subcommands of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make pseudonym keys, signing keys and the keyring of a case; never overwrites
    New {
        /// Case folder
        case: PathBuf,
    },
    /// Show the public keys and key ids of a case
    Show {
        /// Case folder
        case: PathBuf,
    },
    /// List the keys of a keyring
    List {
        /// Keyring file
        #[arg(long)]
        keyring: PathBuf,
    },
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
pub struct LookupArgs {
    /// Case folder
    pub case: PathBuf,
    /// Which key the tokens were made with
    #[arg(long, value_parser = ["staff", "customer"])]
    pub key: String,
    /// CSV with one identifier per line in the column `value` (other columns are copied)
    #[arg(long)]
    pub roster: PathBuf,
    /// Where to write the answer (mode 0600; must not exist)
    #[arg(long)]
    pub out: PathBuf,
    /// Why this is lawful; written to the journal
    #[arg(long)]
    pub reason: Option<String>,
}

/// Arguments of `seal`.
#[derive(Debug, Args)]
pub struct SealArgs {
    /// Case folder
    pub case: PathBuf,
    /// How to seal
    #[command(flatten)]
    pub how: SealHow,
}

/// Options of `seal` and `run`.
#[derive(Debug, Clone, Args)]
pub struct SealHow {
    /// Seal into a stream of its own, marked DRAFT everywhere
    #[arg(long)]
    pub draft: bool,
    /// Go on with a seal that was interrupted, if the sources and the case are unchanged; else start over
    #[arg(long)]
    pub resume: bool,
    /// Rows a second taken from the sources, at most
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_rate: Option<u64>,
    /// Give up at this time of the case's zone, e.g. 06:00, so that a production server has its day
    #[arg(long, value_name = "HH:MM", value_parser = time_of_day)]
    pub until: Option<chrono::NaiveTime>,
    /// Connections to one server at a time, at most; 1 holds the snapshot, the others read large PostgreSQL tables
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub max_connections: u16,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Archive, assessment or report folder
    pub path: PathBuf,
    /// Trusted public keys, received another way than the archive
    #[arg(long)]
    pub keyring: PathBuf,
    /// What to verify; rows includes files
    #[arg(long, value_enum, default_value_t = ScopeArg::Rows)]
    pub scope: ScopeArg,
    /// Refuse an archive of another stream
    #[arg(long)]
    pub stream: Option<String>,
    /// Refuse a lower sequence number (an older archive posing as the newest)
    #[arg(long)]
    pub min_sequence: Option<u64>,
}

/// What to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// Signatures, digests, file set, checkpoints.
    Files,
    /// Everything, every row included.
    Rows,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Case folder, or a bare archive
    pub target: PathBuf,
    /// Options of the evaluation
    #[command(flatten)]
    pub options: CheckOptions,
}

/// Options of `check` and `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckOptions {
    /// Policy set, instead of the profile's (repeatable)
    #[arg(long)]
    pub set: Vec<String>,
    /// Folder of policies, instead of the built-in pack
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// Judge the data at this instant, e.g. 2026-10-01T00:00:00+08:00
    #[arg(long, value_parser = plausible)]
    pub as_of: Option<DateTime<Utc>>,
    /// Local days under audit, the last one excluded, e.g. 2026-07-01..2026-10-01
    #[arg(long, value_name = "FROM..TO", value_parser = window)]
    pub window: Option<(NaiveDate, NaiveDate)>,
    /// Waivers and attestations must be in force on this day
    #[arg(long)]
    pub decided_on: Option<NaiveDate>,
    /// Lowest severity that makes the exit code 1
    #[arg(long, default_value = "low", value_parser = ["critical", "high", "medium", "low", "never"])]
    pub fail_on: String,
    /// Trusted keys; required for a bare archive
    #[arg(long)]
    pub keyring: Option<PathBuf>,
    /// Profile; required for a bare archive
    #[arg(long)]
    pub profile: Option<PathBuf>,
    /// Memory of the query engine in MiB
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(64..=65_536))]
    pub memory_mib: u64,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Case folder
    pub case: PathBuf,
    /// Kind of report [default: the case's kind]
    #[arg(long, value_parser = ["deregistration", "migration", "audit"])]
    pub kind: Option<String>,
    /// Languages of the documents, separated by commas
    #[arg(long, default_value = "zh,en")]
    pub report_lang: String,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Case folder
    pub case: PathBuf,
    /// How to seal
    #[command(flatten)]
    pub how: SealHow,
    /// Options of the evaluation
    #[command(flatten)]
    pub options: CheckOptions,
}

/// Subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// List the policies of the pack
    List {
        /// Folder of policies, instead of the built-in pack
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// Show one policy: sources, parameters, SQL
    Show {
        /// Policy id
        id: String,
        /// Folder of policies, instead of the built-in pack
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// Find every mistake in a pack
    Lint {
        /// Folder of policies, instead of the built-in pack
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// Run the tests of policies
    Test {
        /// Policy ids; all when none is given
        ids: Vec<String>,
        /// Folder of policies, instead of the built-in pack
        #[arg(long)]
        policy: Option<PathBuf>,
    },
}

/// Subcommands of `mapping`.
#[derive(Debug, Subcommand)]
pub enum MappingCommand {
    /// List the mappings of a case
    List {
        /// Case folder
        case: PathBuf,
    },
    /// Show what a mapping fills
    Show {
        /// Mapping file, or preset:ID
        mapping: String,
    },
    /// Find every mistake in a mapping
    Lint {
        /// Mapping file, or preset:ID
        mapping: String,
    },
    /// What is filled of what the policies need, and what each gap costs
    #[command(
        after_help = "Examples:\n  sealport mapping coverage my-case\n  sealport mapping coverage mapping.toml --fail-under 80"
    )]
    Coverage {
        /// Case folder, mapping file, or preset:ID
        target: String,
        /// Exit with 5 when less than this percentage of the needed columns is filled
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        fail_under: Option<u8>,
    },
    /// Propose a mapping for an unknown database; guesses are marked, no value that may be personal is written
    #[command(
        after_help = "Examples:\n  sealport mapping init --source sqlite://shop.db --out mapping.toml\n  sealport mapping init --source mysql://reader@db.example/shop --name shop --out mapping.toml"
    )]
    Init {
        /// Where the data lies: sqlite://FILE, postgres://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE
        #[arg(long)]
        source: String,
        /// Id of the mapping; the password is looked up under it [default: the database's name]
        #[arg(long)]
        name: Option<String>,
        /// File to write; must not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// Show the first rows of each SELECT as they would stand in an archive: people as tokens, secrets as fingerprints
    #[command(after_help = "Example:\n  sealport mapping try my-case --dataset refunds --rows 20")]
    Try {
        /// Case folder
        case: PathBuf,
        /// Only this source
        #[arg(long)]
        source: Option<String>,
        /// Only this dataset
        #[arg(long)]
        dataset: Option<String>,
        /// Rows of each SELECT, at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        rows: u64,
    },
    /// How the engine would run each SELECT, with its rows, conditions and warnings
    #[command(after_help = "Example:\n  sealport mapping explain my-case --dataset trade_orders")]
    Explain {
        /// Case folder
        case: PathBuf,
        /// Only this dataset
        #[arg(long)]
        dataset: Option<String>,
    },
}

fn time_of_day(text: &str) -> Result<chrono::NaiveTime, String> {
    chrono::NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "expected a time of day such as 06:00".to_owned())
}

/// Two local days with `..` between them, the first before the second.
fn window(text: &str) -> Result<(NaiveDate, NaiveDate), String> {
    let days = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match days {
        Some((from, to)) if from < to => Ok((from, to)),
        Some(_) => Err("the window must begin before it ends (the end is excluded)".into()),
        None => Err("expected two days such as 2026-07-01..2026-10-01".into()),
    }
}

fn plausible(text: &str) -> Result<DateTime<Utc>, String> {
    let at: DateTime<Utc> =
        text.parse().map_err(|_| "an instant with offset, e.g. 2026-10-01T00:00:00+08:00".to_owned())?;
    if crate::config::case::is_plausible(at) { Ok(at) } else { Err("the year must lie between 1990 and 2200".into()) }
}
