//! The linter of PSQL-1, the portable profile of SQL that policies are written in.
//!
//! Texts are parsed with the engine's own parser and the tree is walked: what is not known to mean the same in
//! every engine is refused, not what is known to differ. Then each text is planned over a session that holds the
//! declared columns and nothing else, so that the declaration cannot lie.

mod walk;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Kind, Policy};
use super::derived::{self, Derived};
use super::evaluate::{self, Bound};
use super::facts::Moment;
use super::pack::Pack;
use super::params::Param;
use crate::config::Problem;
use crate::query::sqlparser::tokenizer::Span;
use crate::query::{self, Limits, Session};
use crate::schema::{self, Class};
use walk::walk;

/// Where a text stands, for messages.
struct Place<'a> {
    file: String,
    /// Key inside `policy.toml`; positions inside the text are not positions in the file then.
    key: Option<&'static str>,
    /// Datasets and columns the text may read.
    needs: &'a BTreeMap<String, Vec<String>>,
    /// Parameters it may use beside the context; `None`: not even the context.
    params: Option<&'a BTreeMap<String, Param>>,
}

impl Place<'_> {
    fn problem(&self, span: Span, message: impl std::fmt::Display) -> Problem {
        let (line, column) =
            (usize::try_from(span.start.line).unwrap_or(0), usize::try_from(span.start.column).unwrap_or(0));
        match self.key {
            None => Problem { file: self.file.clone(), line, column, message: message.to_string() },
            Some(key) if line > 0 => Problem {
                file: self.file.clone(),
                line: 0,
                column: 0,
                message: format!("`{key}`, line {line}, column {column}: {message}"),
            },
            Some(key) => {
                Problem { file: self.file.clone(), line: 0, column: 0, message: format!("`{key}`: {message}") }
            }
        }
    }

    fn whole(&self, message: impl std::fmt::Display) -> Problem {
        self.problem(Span::empty(), message)
    }
}

/// Lints every policy of a pack.
pub(super) async fn lint(pack: &Pack, limits: &Limits) -> Result<Vec<Problem>, query::Error> {
    let base = Session::new(limits)?;
    let mut problems = Vec::new();
    for policy in pack.policies() {
        words::lint(pack, policy, &mut problems);
        let toml = pack.files.shown(&format!("{}/policy.toml", policy.folder));
        let mut used = BTreeSet::new();
        let mut read = BTreeMap::new();
        let mut texts: Vec<(Place<'_>, &str, Role)> = Vec::new();
        let place = |file, key| Place { file, key, needs: &policy.needs, params: Some(&policy.params) };
        if let Kind::Sql { check, file } = &policy.kind {
            let file = pack.files.shown(&format!("{}/{file}", policy.folder));
            texts.push((place(file, None), check, Role::Check));
        }
        if let Kind::Attestation(question) = &policy.kind {
            texts.push((place(toml.clone(), Some("attestation.subject_from")), &question.subject_from, Role::Subjects));
        }
        if let Some(population) = &policy.population {
            texts.push((place(toml.clone(), Some("population.sql")), &population.sql, Role::Population));
        }
        let before = problems.len();
        for (place, sql, role) in &texts {
            let found = walk(place, sql, *role);
            used.extend(found.placeholders.clone());
            for (table, columns) in found.columns_read(&policy.needs) {
                read.entry(table).or_insert_with(BTreeSet::new).extend(columns);
            }
            problems.extend(found.problems);
        }
        // Further complaints about a text that is not even in the profile would only hide what matters.
        if problems.len() == before {
            for (place, sql, role) in &texts {
                problems.extend(plan(policy, place, sql, *role, &base).await?);
            }
            if !texts.is_empty() {
                unused_params(policy, &toml, &used, &read, &mut problems);
                unused_columns(&policy.needs, &toml, &read, &mut problems);
            }
        }
    }
    for derived in pack.derived() {
        problems.extend(derived_dataset(pack, derived, &base).await?);
    }
    Ok(problems)
}

/// Lints the query of a derived dataset: the profile, the declared columns, the schema of its rows.
async fn derived_dataset(pack: &Pack, derived: &Derived, base: &Session) -> Result<Vec<Problem>, query::Error> {
    let file = pack.files.shown(&format!("{}/query.sql", derived.folder));
    let place = Place { file, key: None, needs: &derived.needs, params: None };
    let found = walk(&place, &derived.sql, Role::Rows);
    let mut problems = found.problems.clone();
    if !problems.is_empty() {
        return Ok(problems);
    }
    let session = declared_only(base, &derived.needs).await?;
    match session.inspect(&derived.sql, &query::Params::new()).await {
        Ok(inspection) => {
            problems.extend(inspection.hazards.iter().map(|h| place.whole(h)));
            if let Some(dataset) = schema::dataset(&derived.name)
                && let Err(message) = derived::contract(dataset, &inspection.schema)
            {
                problems.push(place.whole(message));
            }
        }
        Err(query::Error::Refused { message }) => problems.push(place.whole(message)),
        Err(e) => return Err(e),
    }
    let toml = pack.files.shown(&format!("{}/derived.toml", derived.folder));
    if let Err(message) = derived.split() {
        problems.push(Problem { file: toml.clone(), line: 0, column: 0, message });
    }
    unused_columns(&derived.needs, &toml, &found.columns_read(&derived.needs), &mut problems);
    Ok(problems)
}

/// A session that holds the declared columns, empty, and nothing else.
async fn declared_only(base: &Session, needs: &BTreeMap<String, Vec<String>>) -> Result<Session, query::Error> {
    let session = base.fork();
    for (name, columns) in needs {
        if let Some(dataset) = schema::dataset(name) {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            session.add_parquet(name, &[], dataset.arrow_schema(), Some(&columns)).await?;
        }
    }
    Ok(session)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Check,
    Population,
    Subjects,
    /// Rows of a derived dataset, in any order.
    Rows,
}

/// Declared parameters that no text uses.
fn unused_params(
    policy: &Policy,
    file: &str,
    used: &BTreeSet<String>,
    read: &BTreeMap<String, BTreeSet<String>>,
    problems: &mut Vec<Problem>,
) {
    let mut complain = |message: String| problems.push(Problem { file: file.to_owned(), line: 0, column: 0, message });
    for name in policy.params.keys() {
        let in_lookback =
            policy.coverage.values().any(|s| matches!(s, super::definition::Span::Lookback(p) if p == name));
        if !used.contains(name) && !read.contains_key(&format!("param_{name}")) && !in_lookback {
            complain(format!("parameter `{name}` is declared but never used"));
        }
    }
}

/// Declared datasets and columns that no text reads.
fn unused_columns(
    needs: &BTreeMap<String, Vec<String>>,
    file: &str,
    read: &BTreeMap<String, BTreeSet<String>>,
    problems: &mut Vec<Problem>,
) {
    let mut complain = |message: String| problems.push(Problem { file: file.to_owned(), line: 0, column: 0, message });
    for (dataset, columns) in needs {
        match read.get(dataset) {
            None => complain(format!("dataset `{dataset}` is declared in [needs.columns] but never read")),
            Some(names) => {
                for column in columns.iter().filter(|c| !names.contains(*c)) {
                    complain(format!("column `{dataset}.{column}` is declared in [needs.columns] but never read"));
                }
            }
        }
    }
}

/// Plans a text over the declared columns and checks what it would return.
async fn plan(
    policy: &Policy,
    place: &Place<'_>,
    sql: &str,
    role: Role,
    base: &Session,
) -> Result<Vec<Problem>, query::Error> {
    let session = declared_only(base, &policy.needs).await?;
    let moment = Moment { as_of: Default::default(), window: Default::default(), zone: chrono_tz::UTC };
    let defaults = policy.params.iter().map(|(name, p)| (name, &p.default));
    let bound = Bound::new(moment.params(), defaults);
    bound.add_lists(&session).await?;
    let inspection = match session.inspect(sql, &bound.params).await {
        Ok(inspection) => inspection,
        Err(query::Error::Refused { message }) => return Ok(vec![place.whole(message)]),
        Err(e) => return Err(e),
    };
    let mut problems: Vec<Problem> = inspection.hazards.iter().map(|h| place.whole(h)).collect();
    match role {
        Role::Check => {
            if let Err(message) = evaluate::contract(policy, &inspection.schema) {
                problems.push(place.whole(message));
            }
            for (column, class) in &policy.evidence {
                let origin = inspection.origins.get(column);
                let own = origin.and_then(|(t, c)| schema::dataset(t)?.column(c));
                if let (Some((table, source)), Some(own)) = (origin, own)
                    && strength(class) < strength(own.class.name())
                {
                    let wanted = own.class.name();
                    problems.push(place.whole(format!(
                        "evidence `{column}` is declared `{class}`, but `{table}.{source}` is `{wanted}`"
                    )));
                }
                if let Some(Class::Contact | Class::FreeText) = own.map(|c| c.class) {
                    problems.push(place.whole(format!("`{column}` is personal text and may not be evidence")));
                }
            }
        }
        Role::Population => {
            let ok = inspection.schema.fields().len() == 1 && inspection.schema.field(0).name() == "n";
            if !ok || inspection.schema.field(0).data_type() != &arrow::datatypes::DataType::Int64 {
                problems.push(place.whole("the population query must return one column `n` (COUNT)"));
            }
        }
        Role::Subjects => {
            if inspection.schema.fields().len() != 1 || inspection.schema.field(0).name() != "subject_ref" {
                problems.push(place.whole("the query must return one column `subject_ref`"));
            }
        }
        Role::Rows => {}
    }
    Ok(problems)
}

/// How much a class protects; a declared class must not be weaker than the column's own.
fn strength(class: &str) -> u8 {
    match class {
        "none" => 0,
        "business_id" => 1,
        _ => 2,
    }
}
