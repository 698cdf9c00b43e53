//! `case.toml`: what is closed, migrated or audited, from which sources, judged when.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use url::Url;

use super::document::{Document, LoadError, Reader};
use crate::model::Engine;
use crate::schema;

/// What the case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseKind {
    /// Closing a mini-program, merchant numbers, or the trade itself.
    Deregistration,
    /// Moving to another account, entity, merchant number or system.
    Migration,
    /// One person leaving.
    Offboarding,
    /// Looking, without an irreversible step ahead.
    Audit,
}

impl CaseKind {
    /// All kinds, as spelled in files and flags.
    pub const WORDS: [&'static str; 4] = ["deregistration", "migration", "offboarding", "audit"];

    /// The word used in files and flags.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deregistration => "deregistration",
            Self::Migration => "migration",
            Self::Offboarding => "offboarding",
            Self::Audit => "audit",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Deregistration, Self::Migration, Self::Offboarding, Self::Audit].into_iter().find(|k| k.word() == word)
    }
}

/// One database or export folder and the mapping that reads it.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Name unique in the case; used in custody and `src_system`.
    pub name: String,
    /// Kind and location.
    pub location: SourceLocation,
    /// Mapping; `None` for exports that already have canonical names.
    pub mapping: Option<MappingRef>,
    /// Values for the mapping's parameters.
    pub params: BTreeMap<String, String>,
}

/// Which mapping reads a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingRef {
    /// A file.
    File(PathBuf),
    /// One that the program brings along, by its id.
    Preset(String),
}

impl MappingRef {
    /// Reads `preset:ID`, or a path that starts at this folder.
    pub fn parse(text: &str, dir: &Path) -> Self {
        match text.strip_prefix("preset:") {
            Some(id) => Self::Preset(id.to_owned()),
            None => Self::File(dir.join(text)),
        }
    }
}

impl std::fmt::Display for MappingRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Preset(id) => write!(f, "preset:{id}"),
        }
    }
}

/// Where a source lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceLocation {
    /// SQLite file.
    Sqlite(PathBuf),
    /// PostgreSQL, MySQL or MariaDB.
    Server {
        /// Engine.
        engine: Engine,
        /// Address, without a password.
        url: Url,
        /// File that holds the password, if the case names one.
        password_file: Option<PathBuf>,
    },
    /// Folder of exported files that a mapping reads like tables.
    Files(PathBuf),
    /// Folder with one Parquet file per canonical dataset.
    ParquetDir(PathBuf),
    /// Folder with one CSV file per canonical dataset.
    CsvDir(PathBuf),
}

impl SourceLocation {
    /// Reads an address as it stands in a case; relative paths start at `dir`. The error is what is wrong with it and
    /// never repeats it: it may hold a password.
    ///
    /// # Errors
    /// When it cannot be understood or holds a password.
    pub fn parse(url: &str, dir: &Path, password_file: Option<PathBuf>) -> Result<Self, &'static str> {
        match url.split_once(':') {
            Some(("sqlite", rest)) => Ok(Self::Sqlite(dir.join(rest.trim_start_matches("//")))),
            Some((scheme, _)) if Engine::of_scheme(scheme).is_some() => server(url, password_file),
            Some(("files", rest)) => Ok(Self::Files(dir.join(rest))),
            Some(("parquet", rest)) => Ok(Self::ParquetDir(dir.join(rest))),
            Some(("csv", rest)) => Ok(Self::CsvDir(dir.join(rest))),
            _ => Err("`url` must start with sqlite://, postgres://, mysql://, files:, parquet: or csv:"),
        }
    }
}

/// Platform bill files and what their names do not say.
#[derive(Debug, Clone)]
pub struct BillsConfig {
    /// File pattern, relative to the case folder.
    pub glob: String,
    /// Merchant number, where the file does not state it.
    pub mch_id: Option<String>,
    /// Account of a fund bill: basic, operation, fee.
    pub account_kind: Option<String>,
    /// Bill day, where known.
    pub bill_on: Option<NaiveDate>,
    /// SHA-1 given by the platform for the uncompressed file, lower-case hex.
    pub sha1: Option<String>,
}

/// A project row as the case states it: canonical column name to value text (dates and instants ISO).
pub type ProjectRow = BTreeMap<String, String>;

/// A valid case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Folder of `case.toml`; all relative paths start here.
    pub dir: PathBuf,
    /// What for.
    pub kind: CaseKind,
    /// Title on documents.
    pub title: String,
    /// Merchant's name on documents.
    pub merchant: String,
    /// Who hands the archive over; `Source-Organization` of the bag.
    pub organisation: String,
    /// Who keeps the archive afterwards.
    pub custodian: String,
    /// Business zone.
    pub zone: Tz,
    /// The data is judged at this instant.
    pub as_of: DateTime<Utc>,
    /// Local dates under audit, end excluded.
    pub window: (NaiveDate, NaiveDate),
    /// Day on which waivers and attestations must be in force; `None`: the day of the check.
    pub decided_on: Option<NaiveDate>,
    /// Opaque id of merchant and purpose inside which archives are numbered.
    pub stream: String,
    /// Local days the data covers, end excluded; default: the first merchant's opening to `as_of`.
    pub coverage: Option<(NaiveDate, NaiveDate)>,
    /// Datasets that cover other days than [`Case::coverage`], end excluded.
    pub dataset_coverage: BTreeMap<String, (NaiveDate, NaiveDate)>,
    /// Databases and exports.
    pub sources: Vec<SourceConfig>,
    /// Platform bills.
    pub bills: Vec<BillsConfig>,
    /// Folder of registers.
    pub registers: PathBuf,
    /// Folder of keys; `SEALPORT_SECRETS` overrides it.
    pub secrets: PathBuf,
    /// The deregistration project, if any.
    pub deregistration: Option<ProjectRow>,
    /// The migration project, if any.
    pub migration: Option<ProjectRow>,
    /// Datasets and columns in which a leak hit is accepted, each with the reason (stands in the statement).
    pub leak_exceptions: Vec<LeakException>,
    /// Whether the tables that mappings read are archived as well, column for column.
    pub keeps_raw: bool,
}

/// A column that may hold what looks like a staff identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeakException {
    /// Dataset.
    pub dataset: String,
    /// Column.
    pub column: String,
    /// Why it is acceptable.
    pub reason: String,
}

impl Case {
    /// Loads `DIR/case.toml`.
    ///
    /// # Errors
    /// File errors, or every mistake in the file at once.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join("case.toml");
        let document = Document::load(&path)?;
        let case = Self::read(dir, &document.root());
        Ok(document.into_problems().or(case)?)
    }

    fn read(dir: &Path, root: &Reader<'_>) -> Self {
        root.format_one();
        let empty = Document::parse("case.toml", "").unwrap_or_else(|_| unreachable!("an empty document parses"));
        let case = root.table("case");
        let fallback = empty.root();
        let c = case.as_ref().unwrap_or(&fallback);
        let kind = CaseKind::from_word(c.one_of("kind", &CaseKind::WORDS)).unwrap_or(CaseKind::Audit);
        let zone_text = c.opt_text("zone").unwrap_or_else(|| "Asia/Shanghai".into());
        let zone = Tz::from_str(&zone_text).unwrap_or_else(|_| {
            c.problem_at("zone", format!("`{zone_text}` is not an IANA time zone such as Asia/Shanghai"));
            Tz::Asia__Shanghai
        });
        let as_of = c.instant("as_of");
        if c.has("as_of") && !is_plausible(as_of) {
            c.problem_at("as_of", "`as_of` must lie between 1990 and 2200");
        }
        let window = span(c, "window").unwrap_or_else(|| {
            if !c.has("window") {
                c.problem("missing key `window` ({ from = 2026-01-01, to = 2026-04-01 }, end excluded)");
            }
            Default::default()
        });
        let merchant = c.text("merchant");
        let value = Self {
            dir: dir.to_owned(),
            kind,
            title: c.text("title"),
            organisation: c.opt_text("organisation").unwrap_or_else(|| merchant.clone()),
            custodian: c.opt_text("custodian").unwrap_or_default(),
            merchant,
            zone,
            as_of,
            window,
            decided_on: c.opt_date("decided_on"),
            stream: stream(c),
            coverage: span(c, "coverage"),
            dataset_coverage: dataset_coverage(root),
            registers: dir.join(c.opt_text("registers").unwrap_or_else(|| "registers".into())),
            secrets: dir.join(c.opt_text("secrets").unwrap_or_else(|| "secrets".into())),
            sources: sources(dir, root),
            bills: bills(root),
            deregistration: None,
            migration: None,
            leak_exceptions: leak_exceptions(root),
            keeps_raw: keeps_raw(c),
        };
        let mut value = value;
        if let Some(project) = root.opt_table("project") {
            value.deregistration = project.opt_table("deregistration").map(|t| project_row(&t, "dereg_projects"));
            value.migration = project.opt_table("migration").map(|t| project_row(&t, "migration_projects"));
            project.finish();
        }
        c.finish();
        root.finish();
        value
    }
}

/// Whether an instant can be one of a case: between 1990 and 2200.
pub fn is_plausible(at: DateTime<Utc>) -> bool {
    (1990..2200).contains(&chrono::Datelike::year(&at))
}

/// Whether the raw layer is kept: `layers`, by default both. Without the canonical layer there is nothing to check.
fn keeps_raw(c: &Reader<'_>) -> bool {
    if !c.has("layers") {
        return true;
    }
    let layers = c.text_list("layers");
    for layer in layers.iter().filter(|l| !["canonical", "raw"].contains(&l.as_str())) {
        c.problem_at("layers", format!("layer `{layer}` does not exist; accepted: canonical, raw"));
    }
    if !layers.iter().any(|l| l == "canonical") {
        c.problem_at("layers", "`layers` must name `canonical`, which policies read; accepted: canonical, raw");
    }
    layers.iter().any(|l| l == "raw")
}

fn stream(c: &Reader<'_>) -> String {
    let stream = c.text("stream");
    let ok = !stream.is_empty()
        && stream.len() <= 100
        && stream.chars().all(|ch| ch.is_ascii_alphanumeric() || "-_.".contains(ch));
    if c.has("stream") && !ok {
        c.problem_at("stream", "`stream` must be 1 to 100 letters, digits, dots, dashes or underscores");
    }
    stream
}

fn span(table: &Reader<'_>, key: &str) -> Option<(NaiveDate, NaiveDate)> {
    let t = table.opt_table(key)?;
    let span = (t.date("from"), t.date("to"));
    if t.has("from") && t.has("to") && span.0 >= span.1 {
        t.problem(format!("`{key}` must begin before it ends (the end is excluded)"));
    }
    t.finish();
    Some(span)
}

fn dataset_coverage(root: &Reader<'_>) -> BTreeMap<String, (NaiveDate, NaiveDate)> {
    let mut out = BTreeMap::new();
    for t in root.tables("coverage") {
        let dataset = t.text("dataset");
        let (from, to) = (t.date("from"), t.date("to"));
        if t.has("dataset") && schema::dataset(&dataset).is_none() {
            t.problem_at("dataset", format!("no dataset is called `{dataset}`; `sealport schema` lists them"));
        }
        if t.has("from") && t.has("to") && from >= to {
            t.problem("coverage must begin before it ends (the end is excluded)");
        }
        t.finish();
        out.insert(dataset, (from, to));
    }
    out
}

fn sources(dir: &Path, root: &Reader<'_>) -> Vec<SourceConfig> {
    let mut out: Vec<SourceConfig> = Vec::new();
    for (i, s) in root.tables("source").iter().enumerate() {
        let url = s.text("url");
        let mapping = s.opt_text("mapping").map(|m| MappingRef::parse(&m, dir));
        let password_file = s.opt_text("password_file").map(|f| dir.join(f));
        let location = SourceLocation::parse(&url, dir, password_file).unwrap_or_else(|problem| {
            if s.has("url") {
                s.problem_at("url", problem);
            }
            SourceLocation::CsvDir(PathBuf::new())
        });
        let is_database =
            matches!(location, SourceLocation::Sqlite(_) | SourceLocation::Files(_) | SourceLocation::Server { .. });
        if is_database && mapping.is_none() {
            s.problem("a database needs `mapping = \"FILE\"` or `mapping = \"preset:ID\"`; see docs/mappings.md");
        }
        if s.has("password_file") && !matches!(location, SourceLocation::Server { .. }) {
            s.problem_at("password_file", "only a database server takes a password");
        }
        let name = s.opt_text("name").unwrap_or_else(|| format!("source-{}", i + 1));
        if out.iter().any(|o| o.name == name) {
            s.problem(format!("two sources are named `{name}`; give each its own `name`"));
        }
        let mut params = BTreeMap::new();
        if let Some(t) = s.opt_table("params") {
            for key in t.keys() {
                params.insert(key.clone(), t.text(&key));
            }
        }
        s.finish();
        out.push(SourceConfig { name, location, mapping, params });
    }
    out
}

/// An address without a password: a case folder is handed on, and with it whatever its files say.
fn server(text: &str, password_file: Option<PathBuf>) -> Result<SourceLocation, &'static str> {
    let (url, engine) = Url::parse(text).ok().and_then(|u| Engine::of_scheme(u.scheme()).map(|e| (u, e))).ok_or(
        "the address cannot be read; write postgres://USER@HOST:5432/DATABASE or mysql://USER@HOST:3306/DATABASE",
    )?;
    let hides_password = |key: &str| matches!(key, "password" | "passwd" | "pwd");
    if url.password().is_some() || url.query_pairs().any(|(key, _)| hides_password(&key)) {
        return Err(
            "the address holds a password; take it out and give it as SEALPORT_PASSWORD_<SOURCE>, `password_file` or at the prompt",
        );
    }
    Ok(SourceLocation::Server { engine, url, password_file })
}

fn bills(root: &Reader<'_>) -> Vec<BillsConfig> {
    let mut out = Vec::new();
    for b in root.tables("bills") {
        let sha1 = b.opt_text("sha1").map(|s| s.to_ascii_lowercase());
        if let Some(s) = &sha1
            && (s.len() != 40 || !s.chars().all(|c| c.is_ascii_hexdigit()))
        {
            b.problem_at("sha1", "`sha1` must be 40 hex digits, as the platform gave them");
        }
        out.push(BillsConfig {
            glob: b.text("glob"),
            mch_id: b.opt_text("mch_id"),
            account_kind: b.opt_one_of("account_kind", &["basic", "operation", "fee"]).map(Into::into),
            bill_on: b.opt_date("bill_on"),
            sha1,
        });
        b.finish();
    }
    out
}

fn leak_exceptions(root: &Reader<'_>) -> Vec<LeakException> {
    let mut out = Vec::new();
    for e in root.tables("leak_exception") {
        let exception =
            LeakException { dataset: e.text("dataset"), column: e.text("column"), reason: e.text("reason") };
        let known = schema::dataset(&exception.dataset).and_then(|d| d.column(&exception.column));
        // Columns of raw tables are known only when the database is open.
        if known.is_none() && !exception.dataset.starts_with("raw_") {
            e.problem(format!("no column `{}` in dataset `{}`", exception.column, exception.dataset));
        }
        e.finish();
        out.push(exception);
    }
    out
}

/// Reads a project table: its keys are canonical columns of the dataset, dates and instants as TOML values.
fn project_row(table: &Reader<'_>, dataset: &str) -> ProjectRow {
    let mut row = ProjectRow::new();
    let Some(dataset) = schema::dataset(dataset) else { return row };
    for column in dataset.own_columns() {
        if !table.has(column.name) {
            continue;
        }
        let text = match column.ty {
            schema::ColumnType::Date => table.opt_date(column.name).map(|d| d.to_string()),
            schema::ColumnType::Instant => {
                table.opt_instant(column.name).map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
            }
            _ => table.opt_text(column.name),
        };
        if let (Some(text), Some(vocabulary)) = (&text, column.vocabulary)
            && !vocabulary.contains(&text.as_str())
        {
            table
                .problem_at(column.name, format!("`{}` is `{text}`; accepted: {}", column.name, vocabulary.join(", ")));
        }
        if let Some(text) = text {
            row.insert(column.name.to_owned(), text);
        }
    }
    for key in dataset.key {
        if !row.contains_key(*key) {
            table.problem(format!("missing key `{key}`"));
        }
    }
    table.finish();
    row
}
