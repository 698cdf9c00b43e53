//! The linter of PSQL-1, the portable profile of SQL that policies are written in.
//!
//! Texts are parsed with the engine's own parser and the tree is walked: what is not known to mean the same in
//! every engine is refused, not what is known to differ. Then each text is planned over a session that holds the
//! declared columns and nothing else, so that the declaration cannot lie.

mod walk;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Kind, Policy};
use super::evaluate::{self, Bound};
use super::facts::Moment;
use super::pack::Pack;
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
    policy: &'a Policy,
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
        if let Kind::Sql { check, file } = &policy.kind {
            let file = pack.files.shown(&format!("{}/{file}", policy.folder));
            texts.push((Place { file, key: None, policy }, check, Role::Check));
        }
        if let Kind::Attestation(question) = &policy.kind {
            texts.push((
                Place { file: toml.clone(), key: Some("attestation.subject_from"), policy },
                &question.subject_from,
                Role::Subjects,
            ));
        }
        if let Some(population) = &policy.population {
            texts.push((
                Place { file: toml.clone(), key: Some("population.sql"), policy },
                &population.sql,
                Role::Population,
            ));
        }
        let before = problems.len();
        for (place, sql, role) in &texts {
            let found = walk(place, sql, *role);
            used.extend(found.placeholders.clone());
            for (table, columns) in found.columns_read(policy) {
                read.entry(table).or_insert_with(BTreeSet::new).extend(columns);
            }
            problems.extend(found.problems);
        }
        // Further complaints about a text that is not even in the profile would only hide what matters.
        if problems.len() == before {
            for (place, sql, role) in &texts {
                problems.extend(plan(place, sql, *role, &base).await?);
            }
            if !texts.is_empty() {
                unused(policy, &toml, &used, &read, &mut problems);
            }
        }
    }
    Ok(problems)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Check,
    Population,
    Subjects,
}

/// Declared things that no text uses.
fn unused(
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
    for (dataset, columns) in &policy.needs {
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
async fn plan(place: &Place<'_>, sql: &str, role: Role, base: &Session) -> Result<Vec<Problem>, query::Error> {
    let policy = place.policy;
    let session = base.fork();
    for (name, columns) in &policy.needs {
        if let Some(dataset) = schema::dataset(name) {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            session.add_parquet(name, &[], dataset.arrow_schema(), Some(&columns)).await?;
        }
    }
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
