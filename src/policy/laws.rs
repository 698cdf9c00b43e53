//! What a pack says beside its policies: law register, conflicts, retention schedule, reference tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;

use super::definition::{Citation, FORCES, MARKS, ROLES};
use super::params::parse_period;
use crate::config::{Document, Problem, Problems, Reader};
use crate::finding::{Basis, Conflict};
use crate::model::Bilingual;
use crate::schema::{self, ColumnType, Dataset, Origin};

/// An instrument of the law register.
#[derive(Debug, Clone)]
pub(super) struct Law {
    pub(super) title: Bilingual,
    force: String,
    /// Whom it binds, in its own words, and which roles that is; empty: any.
    addressees: BTreeMap<String, Vec<String>>,
    versions: Vec<NaiveDate>,
}

/// One line of the retention schedule.
#[derive(Debug, Clone)]
pub struct RetentionClass {
    /// Data class.
    pub data_class: String,
    /// Roles it concerns; empty: any.
    pub roles: Vec<String>,
    /// Shortest period; `None`: no minimum.
    pub min_period: Option<String>,
    /// Longest period for personal data; `None`: no maximum.
    pub pi_max_period: Option<String>,
    /// Whether it is kept for ever.
    pub is_permanent: bool,
    /// What starts the period.
    pub anchor_kind: String,
    /// What it is.
    pub title: Bilingual,
    /// Sources.
    pub basis_ref: Vec<String>,
    /// How well the source is known.
    pub mark: String,
    /// Responsible role.
    pub owner: String,
    /// Remark.
    pub note: Option<Bilingual>,
    /// Conflicts between sources that concern it.
    pub conflicts: Vec<String>,
}

pub(super) fn read_laws(file: &str, text: &str) -> Result<BTreeMap<String, Law>, Problems> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    root.format_one();
    let mut laws = BTreeMap::new();
    for l in root.tables("law") {
        let key = l.text("key");
        let mut addressees = BTreeMap::new();
        if let Some(table) = l.opt_table("addressees") {
            for who in table.keys() {
                let roles = table.text_list(&who);
                addressees.insert(who.clone(), roles_of(&table, &who, &roles));
            }
            table.finish();
        }
        let mut versions = Vec::new();
        for v in l.tables("version") {
            let from = v.date("effective_from");
            if v.opt_date("effective_to").is_some_and(|to| to <= from) {
                v.problem_at("effective_to", "`effective_to` must be after `effective_from`");
            }
            v.opt_one_of("mark", &MARKS);
            v.opt_bilingual("note");
            for m in v.tables("moves") {
                m.text("from");
                m.text("to");
                m.finish();
            }
            v.finish();
            versions.push(from);
        }
        l.opt_one_of("mark", &MARKS);
        l.opt_bilingual("note");
        l.opt_text("url");
        let law = Law { title: l.bilingual("title"), force: l.one_of("force", &FORCES).into(), addressees, versions };
        l.finish();
        if laws.insert(key.clone(), law).is_some() {
            l.problem(format!("`{key}` is registered twice"));
        }
    }
    root.finish();
    document.into_problems().or(laws)
}

fn roles_of(reader: &Reader<'_>, key: &str, roles: &[String]) -> Vec<String> {
    if roles == ["any"] {
        return Vec::new();
    }
    if roles.is_empty() || roles.iter().any(|r| !ROLES.contains(&r.as_str())) {
        reader.problem_at(key, format!("roles must be `any` or some of {}", ROLES.join(", ")));
    }
    roles.to_vec()
}

pub(super) fn read_conflicts(file: &str, text: &str) -> Result<BTreeMap<String, Conflict>, Problems> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    root.format_one();
    let mut conflicts = BTreeMap::new();
    for c in root.tables("conflict") {
        let conflict = Conflict { id: c.text("id"), text: c.bilingual("text") };
        c.finish();
        let id = conflict.id.clone();
        if conflicts.insert(id.clone(), conflict).is_some() {
            c.problem(format!("`{id}` is described twice"));
        }
    }
    root.finish();
    document.into_problems().or(conflicts)
}

pub(super) fn read_schedule(file: &str, text: &str) -> Result<Vec<RetentionClass>, Problems> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    root.format_one();
    let mut classes: Vec<RetentionClass> = Vec::new();
    for c in root.tables("class") {
        let period = |key: &str| {
            let text = c.opt_text(key)?;
            if parse_period(&text).is_none() {
                c.problem_at(key, format!("`{key}` must be a period such as \"10 years\""));
            }
            Some(text)
        };
        let class = RetentionClass {
            data_class: c.text("data_class"),
            roles: roles_of(&c, "roles", &c.text_list("roles")),
            min_period: period("min_period"),
            pi_max_period: period("pi_max_period"),
            is_permanent: c.opt_bool("is_permanent").unwrap_or(false),
            anchor_kind: c.text("anchor_kind"),
            title: c.bilingual("title"),
            basis_ref: c.text_list("basis_ref"),
            mark: c.one_of("mark", &MARKS).into(),
            owner: c.text("owner"),
            note: c.opt_bilingual("note"),
            conflicts: c.text_list("conflicts"),
        };
        c.finish();
        let clash = classes.iter().any(|o| {
            o.data_class == class.data_class
                && (o.roles.is_empty() || class.roles.is_empty() || o.roles.iter().any(|r| class.roles.contains(r)))
        });
        if clash {
            c.problem(format!("`{}` is scheduled twice for the same role", class.data_class));
        }
        classes.push(class);
    }
    root.finish();
    document.into_problems().or(classes)
}

/// Rows of the dataset `retention_schedule`: one per class and concrete role.
pub(super) fn schedule_rows(classes: &[RetentionClass]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for class in classes {
        let roles: Vec<&str> =
            if class.roles.is_empty() { ROLES.to_vec() } else { class.roles.iter().map(String::as_str).collect() };
        for role in roles {
            rows.push(vec![
                Some(class.data_class.clone()),
                Some(role.to_owned()),
                class.min_period.clone(),
                class.pi_max_period.clone(),
                Some(class.is_permanent.to_string()),
                Some(class.anchor_kind.clone()),
                Some(class.basis_ref.join("; ")),
                Some(class.owner.clone()),
            ]);
        }
    }
    rows.sort();
    rows
}

/// Reads `tables/NAME.csv`, where NAME is a reference dataset and the header its columns.
pub(super) fn read_table(file: &str, name: &str, text: &str) -> Result<RecordBatch, Problems> {
    let Some(dataset) = schema::dataset(name).filter(|d| d.origin == Origin::Reference) else {
        let known: Vec<&str> = schema::datasets().filter(|d| d.origin == Origin::Reference).map(|d| d.name).collect();
        return Err(Problems::in_file(
            file,
            format!("`{name}` is not a reference dataset; accepted: {}", known.join(", ")),
        ));
    };
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header: Vec<String> = match reader.headers() {
        Ok(h) => h.iter().map(str::to_owned).collect(),
        Err(e) => return Err(Problems::in_file(file, format!("not readable as CSV: {e}"))),
    };
    let expected: Vec<&str> = dataset.columns.iter().map(|c| c.name).collect();
    if header != expected {
        return Err(Problems(vec![Problem {
            file: file.into(),
            line: 1,
            column: 1,
            message: format!("the header must be {}", expected.join(",")),
        }]));
    }
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, |p| usize::try_from(p.line()).unwrap_or(0));
                let row: Vec<Option<String>> =
                    record.iter().map(|cell| (!cell.is_empty()).then(|| cell.to_owned())).collect();
                for (column, cell) in dataset.columns.iter().zip(&row) {
                    if let Some(message) = cell_mistake(column, cell.as_deref()) {
                        problems.push(Problem { file: file.into(), line, column: 1, message });
                    }
                }
                rows.push(row);
            }
            Err(e) => problems.push(Problem { file: file.into(), line: 0, column: 0, message: e.to_string() }),
        }
    }
    Problems(problems).or(())?;
    batch_of_texts(dataset, &rows).map_err(|message| Problems::in_file(file, message))
}

fn cell_mistake(column: &schema::Column, cell: Option<&str>) -> Option<String> {
    let name = column.name;
    let Some(text) = cell else {
        return (!column.nullable).then(|| format!("`{name}` is a key column and must not be empty"));
    };
    let ok = match column.ty {
        ColumnType::Int => text.parse::<i64>().is_ok(),
        ColumnType::Bool => matches!(text, "true" | "false"),
        ColumnType::Text => true,
        ColumnType::Date | ColumnType::Instant | ColumnType::Decimal(_) => false,
    };
    (!ok).then(|| format!("`{name}` does not accept `{text}`"))
}

/// Turns texts, already checked, into a batch of the dataset.
pub(super) fn batch_of_texts(dataset: &Dataset, rows: &[Vec<Option<String>>]) -> Result<RecordBatch, String> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(dataset.columns.len());
    for (i, column) in dataset.columns.iter().enumerate() {
        let cells = rows.iter().map(|row| row.get(i).and_then(Option::as_deref));
        arrays.push(match column.ty {
            ColumnType::Int => Arc::new(cells.map(|c| c.and_then(|c| c.parse::<i64>().ok())).collect::<Int64Array>()),
            ColumnType::Bool => Arc::new(cells.map(|c| c.map(|c| c == "true")).collect::<BooleanArray>()),
            _ => Arc::new(cells.collect::<StringArray>()),
        });
    }
    RecordBatch::try_new(dataset.arrow_schema(), arrays).map_err(|e| e.to_string())
}

/// Reports what a policy's citation gets wrong about the register.
pub(super) fn check_citation(laws: &BTreeMap<String, Law>, citation: &Citation) -> Vec<String> {
    let key = &citation.source;
    let Some(law) = laws.get(key) else {
        return vec![format!("source `{key}` is not in laws.toml")];
    };
    let mut mistakes = Vec::new();
    if let Some(version) = citation.version
        && !law.versions.contains(&version)
    {
        mistakes.push(format!("laws.toml has no version of `{key}` effective from {version}"));
    }
    if let Some(addressee) = &citation.addressee
        && !law.addressees.contains_key(addressee)
    {
        let known: Vec<&str> = law.addressees.keys().map(String::as_str).collect();
        mistakes.push(format!("`{key}` does not name `{addressee}` as an addressee; accepted: {}", known.join(", ")));
    }
    if rank(&citation.force) < rank(&law.force) {
        mistakes.push(format!("`{key}` is registered as {}, so it cannot be cited as {}", law.force, citation.force));
    }
    mistakes
}

/// Position in the hierarchy of sources, strongest first.
fn rank(force: &str) -> usize {
    FORCES.iter().position(|f| *f == force).unwrap_or(FORCES.len())
}

/// The citation as reports print it, judged for a merchant of this role.
pub(super) fn basis(laws: &BTreeMap<String, Law>, citation: &Citation, role: &str) -> Basis {
    let law = laws.get(&citation.source);
    let binds = law
        .zip(citation.addressee.as_ref())
        .and_then(|(law, who)| law.addressees.get(who))
        .is_some_and(|roles| roles.is_empty() || roles.iter().any(|r| r == role));
    Basis {
        source: citation.source.clone(),
        title: law.map(|l| l.title.clone()).unwrap_or_default(),
        place: citation.place.clone(),
        version: citation.version.map(|d| d.to_string()),
        force: citation.force.clone(),
        mark: citation.mark.clone(),
        is_legal: rank(&citation.force) < 3 && citation.mark == "read" && binds,
    }
}
