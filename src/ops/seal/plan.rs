//! Which source feeds which dataset, decided before a row is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;

use super::super::{Error, places, sources};
use crate::config::Case;
use crate::config::case::{ProjectRow, SourceConfig, SourceLocation};
use crate::fsio;
use crate::mapping::{Mapping, Part};
use crate::schema::{self, Dataset, Raised};
use crate::source::bills;
use crate::source::bills::{Bill, Given};
use crate::source::canonical_files::{self, CanonicalFile, FileKind};
use crate::source::database::TableInfo;
use crate::source::register::{self, RegisterFile};

/// One supply of rows for a dataset.
#[derive(Debug)]
pub(in crate::ops) enum Feed {
    /// A SELECT of a mapping on the database of this index.
    Query { database: usize, part: Box<Part> },
    /// A canonical file of the named source.
    File { source: String, file: CanonicalFile },
    /// The one row that describes a platform bill.
    Bill(usize),
    /// The lines of a platform bill.
    BillLines(usize),
    /// A register.
    Register(RegisterFile),
    /// The project of the case.
    Project(ProjectRow),
}

/// A database and the mapping that reads it.
#[derive(Debug)]
pub(in crate::ops) struct Database {
    pub(in crate::ops) name: String,
    pub(in crate::ops) config: SourceConfig,
    pub(in crate::ops) mapping: Mapping,
    /// SHA-256 of the mapping file.
    pub(in crate::ops) mapping_sha256: String,
}

/// Everything the case supplies.
#[derive(Debug, Default)]
pub(in crate::ops) struct Plan {
    pub(in crate::ops) databases: Vec<Database>,
    pub(in crate::ops) bills: Vec<Bill>,
    pub(in crate::ops) feeds: BTreeMap<&'static str, Vec<Feed>>,
    /// Per dataset, the columns whose class some part made stronger: one table, one class per column.
    pub(in crate::ops) raised: BTreeMap<&'static str, Raised>,
    /// Datasets that a mapping declares absent, with its words.
    pub(in crate::ops) absent: BTreeMap<String, String>,
    /// Bill patterns that match no file.
    pub(in crate::ops) unmatched: Vec<String>,
    /// Registers that `SHA256SUMS` lists and that are not there.
    pub(in crate::ops) missing_registers: Vec<String>,
}

/// A list of digests beside bills is short.
const SUMS_BYTES_MAX: u64 = 16 << 20;
/// Lists beside bills: SHA-1 as the platform stated it, SHA-256 as the files arrived.
const DIGEST_LISTS: [&str; 2] = ["SHA1SUMS", "SHA256SUMS"];

impl Plan {
    /// Reads mappings, lists files and inspects bills; nothing is extracted yet.
    pub(in crate::ops) fn of(case: &Case) -> Result<Self, Error> {
        let mut plan = Self::default();
        for config in &case.sources {
            match (&config.location, sources::engine(config), &config.mapping) {
                (_, Some(engine), Some(reference)) => {
                    let (mapping, mapping_sha256) = sources::load_mapping(reference)?;
                    let mapping = mapping.bind(engine, &config.params)?;
                    plan.absent.extend(mapping.absent().clone());
                    let database = plan.databases.len();
                    for part in mapping.parts() {
                        plan.feed(part.dataset, Feed::Query { database, part: Box::new(part.clone()) });
                    }
                    plan.databases.push(Database {
                        name: config.name.clone(),
                        config: config.clone(),
                        mapping,
                        mapping_sha256,
                    });
                }
                (SourceLocation::ParquetDir(dir), ..) => plan.files(&config.name, dir, FileKind::Parquet)?,
                (SourceLocation::CsvDir(dir), ..) => plan.files(&config.name, dir, FileKind::Csv)?,
                // A database without a mapping is a mistake that reading the case reports.
                (SourceLocation::Sqlite(_) | SourceLocation::Files(_) | SourceLocation::Server { .. }, ..) => {}
            }
        }
        plan.add_bills(case)?;
        refuse_workbooks(&case.registers)?;
        let registers = register::list(&case.registers)?;
        plan.missing_registers = registers.absent;
        for file in registers.files {
            if let Some(dataset) = schema::dataset(&file.dataset) {
                plan.feed(dataset, Feed::Register(file));
            }
        }
        for (name, row) in [("dereg_projects", &case.deregistration), ("migration_projects", &case.migration)] {
            // A case without such a project has an empty table, so that policies can say "not applicable".
            if let Some(dataset) = schema::dataset(name) {
                let feeds = plan.feeds.entry(dataset.name).or_default();
                feeds.extend(row.clone().map(Feed::Project));
            }
        }
        let nothing = plan.feeds.values().all(Vec::is_empty);
        if let (true, Some(pattern)) = (nothing, plan.unmatched.first()) {
            return Err(Error::usage(
                format!("no file matches the bills pattern `{pattern}`, and the case names no other source"),
                "请核对 case.toml 中 [[bills]] 的 `glob`；相对路径从案件文件夹算起。",
                "check `glob` of [[bills]] in case.toml; a relative path starts at the case folder",
            ));
        }
        if nothing {
            return Err(Error::usage(
                "the case names no source",
                "请在 case.toml 中填写 [[source]] 或 [[bills]]。",
                "add a [[source]] or [[bills]] to case.toml",
            ));
        }
        plan.raise();
        // What is supplied is not absent, whatever another mapping says.
        plan.absent.retain(|name, _| !plan.feeds.contains_key(name.as_str()));
        Ok(plan)
    }

    /// Replaces each part that stands for many tables by one part per table of its database, in name order.
    ///
    /// # Errors
    /// When a pattern matches no table.
    pub(in crate::ops) fn name_tables(&mut self, tables: &[Vec<TableInfo>]) -> Result<(), Error> {
        for feeds in self.feeds.values_mut() {
            let mut named = Vec::with_capacity(feeds.len());
            for feed in feeds.drain(..) {
                match feed {
                    Feed::Query { database, part } if part.pattern().is_some() => {
                        let present = tables.get(database).into_iter().flatten().map(|t| t.name.as_str());
                        let parts = sources::parts_of(&part, present)?;
                        named.extend(parts.into_iter().map(|p| Feed::Query { database, part: Box::new(p) }));
                    }
                    other => named.push(other),
                }
            }
            *feeds = named;
        }
        Ok(())
    }

    /// All SELECTs on the database of this index.
    pub(in crate::ops) fn parts(&self, database: usize) -> impl Iterator<Item = &Part> {
        self.feeds.values().flatten().filter_map(move |feed| match feed {
            Feed::Query { database: of, part } if *of == database => Some(part.as_ref()),
            _ => None,
        })
    }

    /// The classes that hold for a dataset's columns beyond the schema's.
    pub(in crate::ops) fn raised(&self, dataset: &str) -> Raised {
        self.raised.get(dataset).cloned().unwrap_or_default()
    }

    /// Gathers what the parts declare about classes and tells every part of the same dataset, so that no value is
    /// clear in some rows of a column and replaced in others.
    fn raise(&mut self) {
        for (name, feeds) in &mut self.feeds {
            let mut raised = Raised::default();
            for feed in feeds.iter() {
                if let Feed::Query { part, .. } = feed {
                    part.class_overrides().into_iter().for_each(|(column, class)| raised.raise(column, class));
                }
            }
            if raised.is_empty() {
                continue;
            }
            for feed in feeds {
                if let Feed::Query { part, .. } = feed {
                    part.raise(&raised);
                }
            }
            self.raised.insert(name, raised);
        }
    }

    fn feed(&mut self, dataset: &'static Dataset, feed: Feed) {
        self.feeds.entry(dataset.name).or_default().push(feed);
    }

    fn files(&mut self, source: &str, dir: &Path, kind: FileKind) -> Result<(), Error> {
        for file in canonical_files::list(dir, kind)? {
            if let Some(dataset) = schema::dataset(&file.dataset) {
                self.feed(dataset, Feed::File { source: source.to_owned(), file });
            }
        }
        Ok(())
    }

    fn add_bills(&mut self, case: &Case) -> Result<(), Error> {
        let (Some(files), Some(lines)) = (schema::dataset("bills"), schema::dataset("bill_lines")) else {
            return Ok(());
        };
        for config in &case.bills {
            let mut paths = matching(&case.dir, &config.glob)?;
            // The lists of digests lie beside the bills, so that a wide pattern takes them in.
            paths.retain(|path| !DIGEST_LISTS.contains(&places::name(path).as_str()));
            if paths.is_empty() {
                self.unmatched.push(config.glob.clone());
            }
            for path in paths {
                let sha1 = match &config.sha1 {
                    Some(sha1) => Some(sha1.clone()),
                    None => stated_digest(&path, DIGEST_LISTS[0], 40)?,
                };
                let given = Given {
                    mch_id: config.mch_id.clone(),
                    account_kind: config.account_kind.clone(),
                    bill_on: config.bill_on,
                    sha1,
                    sha256: stated_digest(&path, DIGEST_LISTS[1], 64)?,
                };
                self.bills.extend(bills::inspect(&path, &given)?);
            }
        }
        // Copies and overlaps are facts of the bills; the order makes the archive reproducible.
        bills::relate(&mut self.bills);
        for index in 0..self.bills.len() {
            self.feed(files, Feed::Bill(index));
            self.feed(lines, Feed::BillLines(index));
        }
        Ok(())
    }
}

/// A workbook among the registers would be passed over without a word.
fn refuse_workbooks(dir: &Path) -> Result<(), Error> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if [".xlsx", ".xls", ".xlsm", ".ods", ".et"].iter().any(|e| name.ends_with(e)) && !name.starts_with(['~', '.'])
        {
            return Err(Error::usage(
                format!("the register `{}` is a workbook", places::name(&entry.path())),
                "请逐表另存为 CSV（UTF-8），文件名为数据集名，例如 people.csv。",
                "save each sheet as CSV (UTF-8), named after its dataset, e.g. people.csv",
            ));
        }
    }
    Ok(())
}

/// Files below the case folder (or an absolute folder) that match a pattern, in path order.
fn matching(dir: &Path, pattern: &str) -> Result<Vec<PathBuf>, Error> {
    let full = dir.join(pattern);
    let text = full.to_string_lossy().into_owned();
    let glob = GlobBuilder::new(&text).literal_separator(true).build().map_err(|e| {
        Error::usage(
            format!("`{pattern}` is not a file pattern: {}", e.kind()),
            "示例：bills/*。",
            "an example: bills/*",
        )
    })?;
    let matcher = glob.compile_matcher();
    // Walk from the last folder before the first wildcard.
    let fixed: PathBuf =
        full.components().take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{'])).collect();
    let mut found = Vec::new();
    if fixed.is_file() {
        found.push(fixed);
    } else if fixed.is_dir() {
        walk(&fixed, 0, &mut |path| {
            if matcher.is_match(path) {
                found.push(path.to_owned());
            }
        })?;
    }
    found.sort();
    Ok(found)
}

const DEPTH_MAX: usize = 16;

fn walk(dir: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) -> Result<(), Error> {
    for entry in std::fs::read_dir(dir).map_err(|e| fsio::Error::io("list", dir, e))?.flatten() {
        match entry.file_type() {
            Ok(t) if t.is_file() => visit(&entry.path()),
            Ok(t) if t.is_dir() && depth < DEPTH_MAX => walk(&entry.path(), depth + 1, visit)?,
            _ => {}
        }
    }
    Ok(())
}

/// The digest that a list beside a bill states for it: `SHA1SUMS` holds the platform's, of the unpacked bill,
/// `SHA256SUMS` those of the files as they arrived.
fn stated_digest(path: &Path, list: &str, digits: usize) -> Result<Option<String>, Error> {
    let Some(sums) = path.parent().map(|p| p.join(list)).filter(|p| p.exists()) else { return Ok(None) };
    let text = fsio::read_text(&sums, SUMS_BYTES_MAX)?;
    let name = places::name(path);
    for line in text.lines() {
        if let Some((digest, file)) = line.split_once(' ')
            && file.trim_start_matches([' ', '*']) == name
            && digest.len() == digits
        {
            return Ok(Some(digest.to_ascii_lowercase()));
        }
    }
    Ok(None)
}
