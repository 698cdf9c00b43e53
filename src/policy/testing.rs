//! Policy tests: `tests.toml` beside a policy, run on the same engine and code path as a check.
//!
//! A case of a policy gives rows, parameters and a moment, and states outcome, population and every finding. Coverage
//! is taken as given; calendars, schedule and code tables come from the pack unless the case lists rows for them.
//! A case of a derived dataset gives rows and lists every row that must come out.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::definition::{Kind, Policy, Status};
use super::derived::{self, Derived};
use super::evaluate::{self, Bound};
use super::facts::{Moment, epoch_days};
use super::pack::Pack;
use super::params::ParamValue;
use super::run::outcome;
use crate::config::document::Value;
use crate::config::{Document, Problem, Problems, Reader};
use crate::finding::Outcome;
use crate::fsio;
use crate::progress::Cancel;
use crate::query::{Limits, Session};
use crate::schema::{self, Column, ColumnType, Dataset};

const COVERS: [&str; 5] = ["fail", "pass", "boundary", "null", "empty"];
const OUTCOMES: [&str; 5] = ["pass", "fail", "waived", "not-applicable", "not-evaluated"];

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Policy id, or name of a derived dataset.
    pub policy: String,
    /// Name of the case.
    pub case: String,
    /// What differs from the expectation; empty: it passed.
    pub differences: Vec<String>,
}

/// One expected finding.
#[derive(Debug, Clone)]
struct Expected {
    subject: String,
    reason: String,
    evidence: BTreeMap<String, Option<String>>,
}

struct Case {
    name: String,
    covers: Vec<String>,
    moment: Moment,
    values: BTreeMap<String, ParamValue>,
    rows: BTreeMap<String, RecordBatch>,
    absent: Vec<String>,
    outcome: String,
    population: Option<i64>,
    findings: Vec<Expected>,
}

/// A case of a derived dataset.
struct DerivedCase {
    name: String,
    rows: BTreeMap<String, RecordBatch>,
    /// Expected cells by key of the row.
    expected: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

/// Runs the cases of these derived datasets and policies (all, if none is named), in name and file order.
///
/// # Errors
/// Malformed test files, an unknown id, or an engine that cannot start.
pub async fn test(pack: &Pack, ids: &[String], limits: &Limits) -> Result<Vec<CaseResult>, super::Error> {
    let mut problems = Vec::new();
    let mut work = Vec::new();
    for id in ids.iter().filter(|id| pack.policy(id).is_none() && !pack.derived.contains_key(*id)) {
        problems.extend(Problems::in_file("selection", format!("no policy is called `{id}`")).0);
    }
    let mut derived_work = Vec::new();
    for derived in pack.derived().filter(|d| ids.is_empty() || ids.contains(&d.name)) {
        match read_derived(pack, derived) {
            Ok(cases) => derived_work.push((derived, cases)),
            Err(list) => problems.extend(list.0),
        }
    }
    for policy in pack.policies().filter(|p| ids.is_empty() || ids.contains(&p.id)) {
        match read(pack, policy) {
            Ok(cases) => work.push((policy, cases)),
            Err(list) => problems.extend(list.0),
        }
    }
    Problems(problems).or(())?;
    let base = Session::new(limits)?;
    let mut results = Vec::new();
    for (derived, cases) in derived_work {
        for case in cases {
            let differences = match run_derived(derived, &case, &base).await {
                Ok(differences) => differences,
                Err(fault) => vec![format!("the dataset could not be computed: {fault}")],
            };
            results.push(CaseResult { policy: derived.name.clone(), case: case.name, differences });
        }
    }
    let mut calendars: BTreeMap<NaiveDate, BTreeMap<String, RecordBatch>> = BTreeMap::new();
    for (policy, cases) in work {
        for case in cases {
            let day = case.moment.as_of_on();
            let supplied = match calendars.entry(day) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(slot) => {
                    slot.insert(case.moment.calendars().map_err(|message| super::Error::Reference { message })?)
                }
            };
            let differences = match run_case(pack, policy, &case, &base, supplied).await {
                Ok(differences) => differences,
                Err(fault) => vec![format!("the policy could not be evaluated: {fault}")],
            };
            results.push(CaseResult { policy: policy.id.clone(), case: case.name, differences });
        }
    }
    Ok(results)
}

async fn run_case(
    pack: &Pack,
    policy: &Policy,
    case: &Case,
    base: &Session,
    calendars: &BTreeMap<String, RecordBatch>,
) -> Result<Vec<String>, evaluate::Fault> {
    if case.absent.iter().any(|d| policy.needs.contains_key(d)) {
        return Ok(compare(case, Outcome::NotEvaluated, None, &[]));
    }
    let session = base.fork();
    for (name, columns) in &policy.needs {
        let Some(dataset) = schema::dataset(name) else { continue };
        let batch = match (case.rows.get(name), pack.tables.get(name).or_else(|| calendars.get(name))) {
            (Some(batch), _) => batch.clone(),
            (None, Some(batch)) => project(batch, columns),
            (None, None) => RecordBatch::new_empty(Arc::new(nullable(dataset, columns))),
        };
        session.add_rows(name, batch).await?;
    }
    let values = policy.params.iter().map(|(name, p)| (name, case.values.get(name).unwrap_or(&p.default)));
    let bound = Bound::new(case.moment.params(), values);
    bound.add_lists(&session).await?;
    let Some(population) = &policy.population else {
        return Ok(vec!["only policies with a population can be tested with cases".into()]);
    };
    let count = evaluate::population(&session, &population.sql, &bound.params).await?;
    let mut found = Vec::new();
    let mut sink = |finding| {
        found.push(finding);
        Ok(())
    };
    evaluate::findings(policy, policy.severity, &session, &bound.params, &Cancel::default(), &mut sink).await?;
    let outcome = outcome(count, found.len() as u64, 0, population.empty_is_not_evaluated);
    Ok(compare(case, outcome, Some(count), &found))
}

/// The rows a case gives for some datasets, all of which exist in the session, empty where none are given.
async fn run_derived(derived: &Derived, case: &DerivedCase, base: &Session) -> Result<Vec<String>, evaluate::Fault> {
    let session = base.fork();
    for (name, columns) in &derived.needs {
        let Some(dataset) = schema::dataset(name) else { continue };
        let batch = case
            .rows
            .get(name)
            .cloned()
            .unwrap_or_else(|| RecordBatch::new_empty(Arc::new(nullable(dataset, columns))));
        session.add_rows(name, batch).await?;
    }
    let dataset = derived.dataset()?;
    // As a check computes it: the whole text at once takes more memory than a check has.
    let dir = tempfile::tempdir().map_err(|e| fsio::Error::io("create", std::env::temp_dir(), e))?;
    let mut rows = derived.rows(&session, dir.path(), &Cancel::default()).await?;
    derived::contract(dataset, &rows.schema()).map_err(evaluate::Fault::Contract)?;
    let mut differences = Vec::new();
    let mut found: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    while let Some(batch) = rows.next().await? {
        for i in 0..batch.num_rows() {
            let mut cells = BTreeMap::new();
            for (column, values) in dataset.columns.iter().zip(batch.columns()) {
                cells.insert(column.name.to_owned(), evaluate::printed(values, i)?);
            }
            let key = cells.get(dataset.key[0]).cloned().flatten().unwrap_or_default();
            if found.insert(key.clone(), cells).is_some() {
                differences.push(format!("two rows are called `{key}`"));
            }
        }
    }
    for (key, cells) in &case.expected {
        let Some(row) = found.get(key) else {
            differences.push(format!("missing row: {key}"));
            continue;
        };
        for (column, value) in cells {
            let shown = |v: Option<&Option<String>>| v.cloned().flatten().unwrap_or_else(|| "null".into());
            if row.get(column) != Some(value) {
                let (expected, actual) = (shown(Some(value)), shown(row.get(column)));
                differences.push(format!("{key}: `{column}` expected {expected}, found {actual}"));
            }
        }
    }
    differences
        .extend(found.keys().filter(|k| !case.expected.contains_key(*k)).map(|k| format!("unexpected row: {k}")));
    Ok(differences)
}

fn project(batch: &RecordBatch, columns: &[String]) -> RecordBatch {
    let indices: Vec<usize> = columns.iter().filter_map(|c| batch.schema().index_of(c).ok()).collect();
    batch.project(&indices).unwrap_or_else(|_| batch.clone())
}

fn compare(case: &Case, outcome: Outcome, population: Option<u64>, found: &[crate::finding::Finding]) -> Vec<String> {
    let mut differences = Vec::new();
    if outcome.word() != case.outcome {
        differences.push(format!("outcome: expected {}, found {}", case.outcome, outcome.word()));
    }
    let expected_population = case.population.and_then(|n| u64::try_from(n).ok());
    if case.population.is_some() && expected_population != population {
        let shown = population.map_or("none".into(), |n| n.to_string());
        differences.push(format!("population: expected {}, found {shown}", case.population.unwrap_or_default()));
    }
    let have: BTreeMap<(&str, &str), &crate::finding::Finding> =
        found.iter().map(|f| ((f.subject.as_str(), f.reason.as_str()), f)).collect();
    let want: BTreeSet<(&str, &str)> = case.findings.iter().map(|e| (e.subject.as_str(), e.reason.as_str())).collect();
    for (subject, reason) in &want {
        if !have.contains_key(&(*subject, *reason)) {
            differences.push(format!("missing finding: {subject} {reason}"));
        }
    }
    for (subject, reason) in have.keys() {
        if !want.contains(&(*subject, *reason)) {
            differences.push(format!("unexpected finding: {subject} {reason}"));
        }
    }
    for expected in &case.findings {
        let Some(finding) = have.get(&(expected.subject.as_str(), expected.reason.as_str())) else { continue };
        for (column, value) in &expected.evidence {
            let actual = finding.evidence.get(column);
            if actual != Some(value) {
                let shown = |v: Option<&Option<String>>| {
                    v.map_or("nothing".into(), |v| v.clone().unwrap_or_else(|| "null".into()))
                };
                differences.push(format!(
                    "{} {}: `{column}` expected {}, found {}",
                    expected.subject,
                    expected.reason,
                    shown(Some(value)),
                    shown(actual)
                ));
            }
        }
    }
    differences
}

/// Mistakes in a policy's tests, and what they leave out.
pub(super) fn lint(pack: &Pack, policy: &Policy) -> Vec<Problem> {
    let cases = match read(pack, policy) {
        Ok(cases) => cases,
        Err(problems) => return problems.0,
    };
    let path = format!("{}/tests.toml", policy.folder);
    if policy.status != Status::Stable || !matches!(policy.kind, Kind::Sql { .. }) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let covered: BTreeSet<&str> = cases.iter().flat_map(|c| c.covers.iter().map(String::as_str)).collect();
    for word in COVERS.iter().filter(|w| !covered.contains(*w)) {
        problems.push(pack.files.problem(&path, format!("no case covers `{word}`")));
    }
    let expected: BTreeSet<&str> = cases.iter().flat_map(|c| c.findings.iter().map(|f| f.reason.as_str())).collect();
    for reason in policy.reasons.keys().filter(|r| !expected.contains(r.as_str())) {
        problems.push(pack.files.problem(&path, format!("no case expects the reason `{reason}`")));
    }
    problems
}

/// Mistakes in the tests of a derived dataset, and words of its vocabularies that no case expects.
pub(super) fn lint_derived(pack: &Pack, derived: &Derived) -> Vec<Problem> {
    let cases = match read_derived(pack, derived) {
        Ok(cases) => cases,
        Err(problems) => return problems.0,
    };
    let path = format!("{}/tests.toml", derived.folder);
    let mut problems = Vec::new();
    let kinds = schema::dataset(&derived.name).and_then(|d| d.column("kind")?.vocabulary).unwrap_or_default();
    let expected: BTreeSet<&str> =
        cases.iter().flat_map(|c| c.expected.values()).filter_map(|row| row.get("kind")?.as_deref()).collect();
    for kind in kinds.iter().filter(|k| !expected.contains(*k)) {
        problems.push(pack.files.problem(&path, format!("no case expects a row of kind `{kind}`")));
    }
    problems
}

fn document(pack: &Pack, folder: &str) -> Result<Document, Problems> {
    let path = format!("{folder}/tests.toml");
    let mut problems = Vec::new();
    let Some(text) = pack.files.text(&path, &mut problems) else { return Err(Problems(problems)) };
    Document::parse(&pack.files.shown(&path), text)
}

fn read_derived(pack: &Pack, derived: &Derived) -> Result<Vec<DerivedCase>, Problems> {
    let document = document(pack, &derived.folder)?;
    let root = document.root();
    if root.has("format") {
        root.format_one();
    }
    let Some(dataset) = schema::dataset(&derived.name) else { return document.into_problems().or(Vec::new()) };
    let mut cases: Vec<DerivedCase> = Vec::new();
    for c in root.tables("case") {
        let name = c.text("name");
        if cases.iter().any(|o| o.name == name) {
            c.problem_at("name", format!("two cases are called `{name}`"));
        }
        let zone = read_zone(&c).unwrap_or(Tz::Asia__Shanghai);
        let rows = c.opt_table("rows").map(|t| read_datasets(&t, &derived.needs, zone)).unwrap_or_default();
        let mut expected = BTreeMap::new();
        if let Some(e) = c.table("expect") {
            for row in e.tables("rows") {
                for column in row.keys().iter().filter(|k| dataset.column(k).is_none()) {
                    row.problem_at(column, format!("dataset `{}` has no column `{column}`", dataset.name));
                }
                let cells = expected_cells(&row);
                row.finish();
                match cells.get(dataset.key[0]).cloned().flatten() {
                    Some(key) => {
                        if expected.insert(key.clone(), cells).is_some() {
                            row.problem(format!("two expected rows are called `{key}`"));
                        }
                    }
                    None => row.problem(format!("an expected row names its `{}`", dataset.key[0])),
                }
            }
            e.finish();
        }
        c.finish();
        cases.push(DerivedCase { name, rows, expected });
    }
    root.finish();
    document.into_problems().or(cases)
}

/// Rows by dataset; only datasets that are read may have some.
fn read_datasets(table: &Reader<'_>, needs: &BTreeMap<String, Vec<String>>, zone: Tz) -> BTreeMap<String, RecordBatch> {
    let mut rows = BTreeMap::new();
    for name in table.keys() {
        let (Some(dataset), Some(columns)) = (schema::dataset(&name), needs.get(&name)) else {
            table.problem_at(&name, format!("`{name}` is not a dataset in [needs.columns]"));
            continue;
        };
        if let Some(batch) = read_rows(&table.tables(&name), dataset, columns, zone) {
            rows.insert(name, batch);
        }
    }
    table.finish();
    rows
}

/// Expected values as the engine's cells are printed; the text `null` is a missing value.
fn expected_cells(table: &Reader<'_>) -> BTreeMap<String, Option<String>> {
    let mut cells = BTreeMap::new();
    for column in table.keys() {
        let text = match table.raw(&column).map(|v| v.get_ref()) {
            Some(Value::Int(_)) => table.opt_int(&column).map(|i| i.to_string()),
            Some(Value::Bool(b)) => Some(b.to_string()),
            Some(Value::Datetime(d)) if d.time.is_none() => table.opt_date(&column).map(|d| d.to_string()),
            Some(Value::Datetime(_)) => table.opt_instant(&column).map(evaluate::instant_text),
            _ => table.opt_text(&column).filter(|t| t != "null").map(|t| same_instant(&column, t)),
        };
        cells.insert(column, text);
    }
    cells
}

fn read_zone(r: &Reader<'_>) -> Option<Tz> {
    r.opt_text("zone").map(|z| {
        Tz::from_str(&z).unwrap_or_else(|_| {
            r.problem_at("zone", format!("`{z}` is not an IANA time zone"));
            Tz::Asia__Shanghai
        })
    })
}

fn read(pack: &Pack, policy: &Policy) -> Result<Vec<Case>, Problems> {
    let document = document(pack, &policy.folder)?;
    let root = document.root();
    if root.has("format") {
        root.format_one();
    }
    let defaults = Setting::read(&root, policy);
    let mut cases: Vec<Case> = Vec::new();
    for c in root.tables("case") {
        if let Some(case) = read_case(&c, policy, &defaults) {
            if cases.iter().any(|o| o.name == case.name) {
                c.problem_at("name", format!("two cases are called `{}`", case.name));
            }
            cases.push(case);
        }
    }
    root.finish();
    document.into_problems().or(cases)
}

/// Moment and parameters, at file or case level.
struct Setting {
    as_of: Option<DateTime<Utc>>,
    window: Option<(NaiveDate, NaiveDate)>,
    zone: Option<Tz>,
    params: BTreeMap<String, ParamValue>,
}

impl Setting {
    fn read(r: &Reader<'_>, policy: &Policy) -> Self {
        let window = r.opt_table("window").map(|w| {
            let span = (w.date("from"), w.date("to"));
            w.finish();
            span
        });
        let zone = read_zone(r);
        let mut params = BTreeMap::new();
        if let Some(table) = r.opt_table("params") {
            for name in table.keys() {
                match policy.params.get(&name) {
                    None => table.problem_at(&name, format!("{} has no parameter `{name}`", policy.id)),
                    // Bounds are for merchants; a test may use any value of the right type.
                    Some(param) => {
                        if let Some(value) = ParamValue::read(&table, &name, param.ty) {
                            params.insert(name, value);
                        }
                    }
                }
            }
            table.finish();
        }
        Self { as_of: r.opt_instant("as_of"), window, zone, params }
    }
}

fn read_case(c: &Reader<'_>, policy: &Policy, defaults: &Setting) -> Option<Case> {
    let own = Setting::read(c, policy);
    let zone = own.zone.or(defaults.zone).unwrap_or(Tz::Asia__Shanghai);
    let (as_of, window) = (own.as_of.or(defaults.as_of), own.window.or(defaults.window));
    if as_of.is_none() || window.is_none() {
        c.problem("`as_of` and `window` must stand in the case or at the head of the file");
    }
    let covers = c.text_list("covers");
    for word in covers.iter().filter(|w| !COVERS.contains(&w.as_str())) {
        c.problem_at("covers", format!("`covers` names `{word}`; accepted: {}", COVERS.join(", ")));
    }
    let mut values = defaults.params.clone();
    values.extend(own.params);
    let rows = c.opt_table("rows").map(|t| read_datasets(&t, &policy.needs, zone)).unwrap_or_default();
    let name = c.text("name");
    let absent = c.text_list("absent");
    for dataset in absent.iter().filter(|d| !policy.needs.contains_key(*d)) {
        c.problem_at("absent", format!("`{dataset}` is not a dataset in [needs.columns]"));
    }
    let expect = c.table("expect");
    let (mut outcome, mut population, mut findings) = ("pass", None, Vec::new());
    if let Some(e) = &expect {
        outcome = e.one_of("outcome", &OUTCOMES);
        population = e.opt_int("population");
        for f in e.tables("findings") {
            let evidence = f
                .opt_table("evidence")
                .map(|table| {
                    let cells = expected_cells(&table);
                    table.finish();
                    cells
                })
                .unwrap_or_default();
            let expected = Expected { subject: f.text("subject"), reason: f.text("reason"), evidence };
            if f.has("reason") && !policy.reasons.contains_key(&expected.reason) {
                f.problem_at("reason", format!("reason `{}` is not declared", expected.reason));
            }
            f.finish();
            findings.push(expected);
        }
        e.finish();
    }
    c.finish();
    Some(Case {
        name,
        covers,
        moment: Moment { as_of: as_of?, window: window?, zone },
        values,
        rows,
        absent,
        outcome: outcome.into(),
        population,
        findings,
    })
}

/// An expected instant in the form findings print it, however it was written.
fn same_instant(column: &str, text: String) -> String {
    match DateTime::parse_from_rfc3339(&text) {
        Ok(t) if column.ends_with("_at") => evaluate::instant_text(t.with_timezone(&Utc)),
        _ => text,
    }
}

/// Schema of some columns in which every value may be missing: a test gives only what it needs.
fn nullable(dataset: &Dataset, columns: &[String]) -> Schema {
    let fields = columns.iter().filter_map(|c| dataset.column(c)).map(|c| Field::new(c.name, c.ty.arrow(), true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// A typed cell.
#[derive(Clone)]
enum Cell {
    Text(String),
    Int(i64),
    Bool(bool),
    Date(NaiveDate),
    Instant(DateTime<Utc>),
    Decimal(i128),
}

fn read_rows(rows: &[Reader<'_>], dataset: &Dataset, columns: &[String], zone: Tz) -> Option<RecordBatch> {
    let mut table: Vec<BTreeMap<&str, Cell>> = Vec::new();
    for row in rows {
        let mut cells = BTreeMap::new();
        for name in row.keys() {
            if let Some(column) = dataset.column(&name)
                && let Some(cell) = read_cell(row, column)
            {
                cells.insert(column.name, cell);
            }
        }
        for column in &dataset.columns {
            if let Some(Cell::Instant(t)) = column.twin_of.and_then(|of| cells.get(of)).cloned() {
                cells.entry(column.name).or_insert(Cell::Date(t.with_timezone(&zone).date_naive()));
            }
        }
        for name in row.keys() {
            if dataset.column(&name).is_none() {
                row.problem_at(&name, format!("dataset `{}` has no column `{name}`", dataset.name));
            }
            row.has(&name);
        }
        row.finish();
        table.push(cells);
    }
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns.iter().filter_map(|c| dataset.column(c)) {
        arrays.push(array(column, table.iter().map(|row| row.get(column.name))));
    }
    RecordBatch::try_new(Arc::new(nullable(dataset, columns)), arrays).ok()
}

fn read_cell(row: &Reader<'_>, column: &Column) -> Option<Cell> {
    let name = column.name;
    match column.ty {
        ColumnType::Text => {
            let text = row.opt_text(name)?;
            if let Some(vocabulary) = column.vocabulary
                && !vocabulary.contains(&text.as_str())
            {
                row.problem_at(name, format!("`{name}` is `{text}`; accepted: {}", vocabulary.join(", ")));
            }
            Some(Cell::Text(text))
        }
        ColumnType::Int => row.opt_int(name).map(Cell::Int),
        ColumnType::Bool => row.opt_bool(name).map(Cell::Bool),
        ColumnType::Date => row.opt_date(name).map(Cell::Date),
        ColumnType::Instant => row.opt_instant(name).map(Cell::Instant),
        ColumnType::Decimal(scale) => {
            let text = row.opt_text(name)?;
            let value = parse_decimal(&text, scale);
            if value.is_none() {
                row.problem_at(name, format!("`{name}` must be a decimal in quotes with at most {scale} places"));
            }
            value.map(Cell::Decimal)
        }
    }
}

fn parse_decimal(text: &str, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty()
        || fraction.len() > scale
        || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        || digits.len() > 19
    {
        return None;
    }
    let units: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    Some(sign * units)
}

fn array<'c>(column: &Column, cells: impl Iterator<Item = Option<&'c Cell>>) -> ArrayRef {
    match column.ty {
        ColumnType::Text => Arc::new(
            cells.map(|c| if let Some(Cell::Text(s)) = c { Some(s.as_str()) } else { None }).collect::<StringArray>(),
        ),
        ColumnType::Int => {
            Arc::new(cells.map(|c| if let Some(Cell::Int(i)) = c { Some(*i) } else { None }).collect::<Int64Array>())
        }
        ColumnType::Bool => {
            Arc::new(cells.map(|c| if let Some(Cell::Bool(b)) = c { Some(*b) } else { None }).collect::<BooleanArray>())
        }
        ColumnType::Date => Arc::new(
            cells
                .map(|c| if let Some(Cell::Date(d)) = c { Some(epoch_days(*d)) } else { None })
                .collect::<Date32Array>(),
        ),
        ColumnType::Instant => {
            let micros = cells.map(|c| if let Some(Cell::Instant(t)) = c { Some(t.timestamp_micros()) } else { None });
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        ColumnType::Decimal(scale) => {
            let values = cells.map(|c| if let Some(Cell::Decimal(n)) = c { Some(*n) } else { None });
            let array = values.collect::<Decimal128Array>();
            // Precision 18 is the canonical one; a value beyond it was refused when it was read.
            match array.with_precision_and_scale(18, scale) {
                Ok(array) => Arc::new(array),
                Err(_) => Arc::new(Decimal128Array::from(Vec::<Option<i128>>::new())),
            }
        }
    }
}
