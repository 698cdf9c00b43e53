//! One policy over one session: population, violating rows, result contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use data_encoding::BASE32_NOPAD;

use super::definition::{Kind, Policy, Question};
use super::params::ParamValue;
use crate::crypto;
use crate::finding::{Finding, Severity};
use crate::fsio;
use crate::model::Bilingual;
use crate::progress::{Cancel, Interrupted};
use crate::query::{self, Params, Session};

/// Why one policy could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// A limit of the engine.
    #[error(transparent)]
    Limit(query::Error),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(query::Error),
    /// The result is not what the policy declares.
    #[error("{0}")]
    Contract(String),
    /// Findings could not be kept.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A bug stopped the evaluation.
    #[error("the evaluation stopped unexpectedly")]
    Stopped,
}

impl From<query::Error> for Fault {
    fn from(error: query::Error) -> Self {
        if error.is_limit() { Self::Limit(error) } else { Self::Engine(error) }
    }
}

impl Fault {
    pub(super) fn is_memory(&self) -> bool {
        matches!(self, Self::Limit(query::Error::Memory { .. }))
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Limit(_) => "limit",
            Self::Contract(_) | Self::Engine(query::Error::Refused { .. }) => "policy-fault",
            _ => "engine-fault",
        }
    }

    pub(super) fn text(&self) -> Bilingual {
        let zh = match self {
            Self::Limit(_) => "达到资源上限",
            Self::Contract(_) | Self::Engine(query::Error::Refused { .. }) => "策略文件有误",
            _ => "执行失败",
        };
        Bilingual::new(format!("{zh}：{self}"), self.to_string())
    }
}

/// Values of a policy's parameters, and the context.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) params: Params,
    pub(super) lists: BTreeMap<String, Vec<String>>,
}

impl Bound {
    pub(super) fn new<'a>(context: Params, values: impl Iterator<Item = (&'a String, &'a ParamValue)>) -> Self {
        let mut bound = Self { params: context, lists: BTreeMap::new() };
        for (name, value) in values {
            match (value.bound(), value) {
                (Some(v), _) => {
                    bound.params.insert(name.clone(), v);
                }
                (None, ParamValue::List(items)) => {
                    bound.lists.insert(format!("param_{name}"), items.clone());
                }
                (None, _) => {}
            }
        }
        bound
    }

    /// Adds the list parameters as tables.
    pub(super) async fn add_lists(&self, session: &Session) -> Result<(), query::Error> {
        for (name, items) in &self.lists {
            let column: ArrayRef = Arc::new(items.iter().map(Some).collect::<StringArray>());
            let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, false)]));
            let batch = RecordBatch::try_new(schema, vec![column])
                .map_err(|e| query::Error::Table { table: name.clone(), message: e.to_string() })?;
            session.add_rows(name, batch).await?;
        }
        Ok(())
    }
}

/// Counts the population.
pub(super) async fn population(session: &Session, sql: &str, params: &Params) -> Result<u64, Fault> {
    let batches = session.collect(sql, params).await?;
    let wrong = || Fault::Contract("the population query must return one row with one column `n` (COUNT)".into());
    let filled: Vec<&RecordBatch> = batches.iter().filter(|b| b.num_rows() > 0).collect();
    let [batch] = filled.as_slice() else { return Err(wrong()) };
    let column =
        batch.column_by_name("n").filter(|_| batch.num_rows() == 1 && batch.num_columns() == 1).ok_or_else(wrong)?;
    let column = column.as_primitive_opt::<Int64Type>().filter(|c| !c.is_null(0)).ok_or_else(wrong)?;
    u64::try_from(column.value(0)).map_err(|_| wrong())
}

/// Runs `check.sql` and hands each finding on, in order.
pub(super) async fn findings(
    policy: &Policy,
    severity: Severity,
    session: &Session,
    params: &Params,
    cancel: &Cancel,
    sink: &mut (dyn FnMut(Finding) -> Result<(), fsio::Error> + Send),
) -> Result<(), Fault> {
    let Kind::Sql { check, .. } = &policy.kind else { return Ok(()) };
    let mut rows = session.query(check, params).await?;
    contract(policy, &rows.schema()).map_err(Fault::Contract)?;
    let mut last: Option<(String, String)> = None;
    while let Some(batch) = rows.next().await? {
        cancel.check()?;
        let columns = Columns::new(policy, &batch)?;
        for i in 0..batch.num_rows() {
            let finding = columns.finding(policy, severity, i)?;
            let key = (finding.subject.clone(), finding.reason.clone());
            if let Some(last) = &last {
                if *last == key {
                    return Err(Fault::Contract(format!("two rows have the same subject and reason `{}`", key.1)));
                }
                if *last > key {
                    return Err(Fault::Contract("rows are not ordered by finding_ref, finding_reason".into()));
                }
            }
            last = Some(key);
            sink(finding)?;
        }
    }
    Ok(())
}

/// Subjects of an attestation's question.
pub(super) async fn subjects(session: &Session, question: &Question, params: &Params) -> Result<Vec<String>, Fault> {
    let mut subjects = Vec::new();
    for batch in session.collect(&question.subject_from, params).await? {
        let column = batch.column_by_name("subject_ref").and_then(|c| c.as_string_opt::<i32>());
        let column =
            column.ok_or_else(|| Fault::Contract("`subject_from` must return a text column `subject_ref`".into()))?;
        for i in 0..column.len() {
            if column.is_null(i) {
                return Err(Fault::Contract("`subject_ref` is null".into()));
            }
            subjects.push(column.value(i).to_owned());
        }
    }
    subjects.sort();
    subjects.dedup();
    Ok(subjects)
}

/// Compares the columns of a result with what the policy declares.
pub(super) fn contract(policy: &Policy, schema: &Schema) -> Result<(), String> {
    let mut names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let total = names.len();
    names.sort_unstable();
    names.dedup();
    if names.len() != total {
        return Err("two output columns have one name".into());
    }
    for fixed in ["finding_ref", "finding_reason"] {
        match schema.field_with_name(fixed).map(|f| f.data_type().clone()) {
            Ok(DataType::Utf8) => {}
            Ok(other) => return Err(format!("`{fixed}` must be text, not {other}")),
            Err(_) => return Err(format!("the output lacks `{fixed}`")),
        }
    }
    if schema.field_with_name("finding_at").is_ok() && schema.field_with_name("finding_on").is_ok() {
        return Err("only one of `finding_at` and `finding_on` is allowed".into());
    }
    for field in schema.fields() {
        let name = field.name().as_str();
        let ok = match (name, field.data_type()) {
            ("finding_ref" | "finding_reason", _) => true,
            ("finding_at", DataType::Timestamp(_, Some(_))) | ("finding_on", DataType::Date32) => true,
            ("finding_at", _) => return Err("`finding_at` must be an instant".into()),
            ("finding_on", _) => return Err("`finding_on` must be a date".into()),
            (_, ty) => match ty {
                DataType::Utf8
                | DataType::Int64
                | DataType::Boolean
                | DataType::Date32
                | DataType::Decimal128(..)
                | DataType::Null => true,
                DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => true,
                other => {
                    return Err(format!(
                        "evidence column `{name}` has type {other}; accepted: text, BIGINT, BOOLEAN, DATE, instants, DECIMAL"
                    ));
                }
            },
        };
        let is_fixed = name.starts_with("finding_");
        if ok && !is_fixed && !policy.evidence.iter().any(|(c, _)| c == name) {
            return Err(format!("output column `{name}` is not declared in [evidence]"));
        }
    }
    for (column, _) in &policy.evidence {
        if schema.field_with_name(column).is_err() {
            return Err(format!("evidence column `{column}` is not in the output"));
        }
    }
    Ok(())
}

struct Columns<'b> {
    subject: &'b StringArray,
    reason: &'b StringArray,
    occurred: Option<&'b ArrayRef>,
    evidence: Vec<(&'b str, &'b ArrayRef)>,
}

impl<'b> Columns<'b> {
    fn new(policy: &'b Policy, batch: &'b RecordBatch) -> Result<Self, Fault> {
        let text = |name: &str| {
            let column = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
            column.ok_or_else(|| Fault::Contract(format!("the output lacks `{name}`")))
        };
        let evidence =
            policy.evidence.iter().filter_map(|(name, _)| Some((name.as_str(), batch.column_by_name(name)?))).collect();
        Ok(Self {
            subject: text("finding_ref")?,
            reason: text("finding_reason")?,
            occurred: batch.column_by_name("finding_at").or_else(|| batch.column_by_name("finding_on")),
            evidence,
        })
    }

    fn finding(&self, policy: &Policy, severity: Severity, i: usize) -> Result<Finding, Fault> {
        if self.subject.is_null(i) || self.reason.is_null(i) {
            return Err(Fault::Contract("`finding_ref` or `finding_reason` is null".into()));
        }
        let code = self.reason.value(i);
        let Some(reason) = policy.reasons.get(code) else {
            return Err(Fault::Contract(format!("reason `{code}` is not declared")));
        };
        let mut evidence = BTreeMap::new();
        for (name, column) in &self.evidence {
            evidence.insert((*name).to_owned(), printed(column, i)?);
        }
        let occurred = self.occurred.map(|c| printed(c, i)).transpose()?.flatten();
        let severity = reason.severity.map_or(severity, |s| s.min(severity));
        Ok(finding(policy, self.subject.value(i), code, severity, occurred, evidence))
    }
}

/// A finding with its fingerprint.
pub(super) fn finding(
    policy: &Policy,
    subject: &str,
    reason: &str,
    severity: Severity,
    occurred: Option<String>,
    evidence: BTreeMap<String, Option<String>>,
) -> Finding {
    Finding {
        policy: policy.id.clone(),
        subject_kind: policy.subject_kind.clone(),
        subject: subject.to_owned(),
        reason: reason.to_owned(),
        severity,
        occurred,
        evidence,
        fingerprint: fingerprint(&policy.id, &policy.subject_kind, subject, reason),
        waiver: None,
    }
}

/// `f1:` and the first 26 base32 characters of SHA-256 over policy, subject kind, subject and reason, a zero byte
/// between them. Independent of time, engine and revision.
pub fn fingerprint(policy: &str, subject_kind: &str, subject: &str, reason: &str) -> String {
    let digest = crypto::sha256([policy, subject_kind, subject, reason].join("\0").as_bytes());
    let mut text = BASE32_NOPAD.encode(&digest.0).to_ascii_lowercase();
    text.truncate(26);
    format!("f1:{text}")
}

/// An instant as findings print it: RFC 3339 in UTC, with a fraction only where there is one.
pub(super) fn instant_text(t: DateTime<Utc>) -> String {
    t.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A cell as text.
pub(super) fn printed(column: &ArrayRef, i: usize) -> Result<Option<String>, Fault> {
    if column.is_null(i) {
        return Ok(None);
    }
    let bad = || Fault::Contract("a value is out of range".into());
    Ok(Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(i).to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(i).to_string(),
        DataType::Boolean => column.as_boolean().value(i).to_string(),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(i),
        DataType::Date32 => {
            let days = chrono::Duration::days(i64::from(column.as_primitive::<Date32Type>().value(i)));
            NaiveDate::default().checked_add_signed(days).ok_or_else(bad)?.to_string()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(i);
            instant_text(DateTime::from_timestamp_micros(micros).ok_or_else(bad)?)
        }
        DataType::Null => return Ok(None),
        _ => return Err(bad()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The published test vector: recomputed with `printf 'TXN-003\0payment\0p2\0not-refunded' | sha256sum`, base32.
    #[test]
    fn fingerprint_vector() {
        assert_eq!(fingerprint("TXN-003", "payment", "p2", "not-refunded"), "f1:ohwyr2f2mlkddfosrmnde44zr3");
    }

    proptest! {
        /// Moving a character across a boundary, or changing any part, changes the fingerprint; the shape is fixed.
        #[test]
        fn fingerprints_differ(a in "[a-z]{1,6}", b in "[a-z]{1,6}", c in "[a-z]{1,6}") {
            let print = fingerprint(&a, &b, &c, "r");
            prop_assert_eq!(print.len(), 29);
            prop_assert_ne!(&print, &fingerprint(&format!("{a}{b}"), "", &c, "r"));
            prop_assert_ne!(&print, &fingerprint(&a, &b, &format!("{c}x"), "r"));
            prop_assert_eq!(print, fingerprint(&a, &b, &c, "r"));
        }
    }
}
