//! The newest instants of a part, by which a wrong zone shows: what happened cannot lie in the future.

use chrono::{DateTime, Utc};

use crate::rows::{RawBatch, RawValue};
use crate::schema::{Column, ColumnType};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::TimestampMicrosecondType;

use super::cells::{Marks, Scratch, build};
use super::conversion::{Kind, TimeMeaning};
use super::part::Part;
use super::plan::{of_column, positions};
use super::{Context, Error};

/// Instants that may well lie in the future: they say when something ends, starts or is due.
const PLANNED: [&str; 5] = ["expires_at", "valid_until_at", "starts_at", "ends_at", "cutover_at"];

/// A statement whose single row holds the newest cell of each column.
#[derive(Debug, Clone)]
pub struct LatestQuery {
    /// The statement.
    pub sql: String,
    /// Values of its parameters.
    pub values: Vec<String>,
    /// The columns, in the order of the row.
    pub columns: Vec<&'static Column>,
}

/// The statement for the newest cells of a part's instants that lie in the past by their meaning; `None` when it has
/// none whose order is that of its cells.
pub fn latest_sql(part: &Part) -> Option<LatestQuery> {
    let columns: Vec<&'static Column> = part
        .dataset
        .own_columns()
        .filter(|c| c.ty == ColumnType::Instant && !PLANNED.contains(&c.name))
        .filter(|c| part.columns.iter().any(|selected| selected == c.name) && is_ordered(part, c.name))
        .collect();
    if columns.is_empty() {
        return None;
    }
    let list: Vec<String> = columns.iter().map(|c| format!("MAX({})", part.engine.quoted(c.name))).collect();
    let sql = format!("SELECT {} FROM (\n{}\n) AS part", list.join(", "), part.select);
    Some(LatestQuery { sql, values: part.values.clone(), columns })
}

/// Whether a later instant is a greater cell: not so where the year stands behind the day.
fn is_ordered(part: &Part, name: &str) -> bool {
    match part.conversions.get(name).map(|c| &c.kind) {
        Some(Kind::Time { meaning: TimeMeaning::Pattern(pattern), .. }) => pattern.is_ordered(),
        Some(Kind::Time { .. }) => true,
        _ => false,
    }
}

/// The instants that the row of a [`LatestQuery`] stands for; columns without any, or with a cell that is none, are
/// left out.
///
/// # Errors
/// [`Error::Param`] for a zone that is not known.
pub fn latest(
    part: &Part,
    query: &LatestQuery,
    row: &[Option<String>],
    context: &Context<'_>,
) -> Result<Vec<(&'static Column, DateTime<Utc>)>, Error> {
    let header: Vec<String> = query.columns.iter().map(|c| c.name.to_owned()).collect();
    let found = positions(part.dataset, &header)?;
    let mut batch = RawBatch::new(header.len());
    for ((column, cells), cell) in query.columns.iter().zip(&mut batch.columns).zip(row) {
        let kind = part.conversions.get(column.name).map(|c| &c.kind);
        let is_number = matches!(kind, Some(Kind::Time { meaning: TimeMeaning::EpochS | TimeMeaning::EpochMs, .. }));
        cells.push(match (cell.as_deref(), is_number) {
            (None, _) => RawValue::Null,
            (Some(text), true) => text.parse().map_or(RawValue::Text(text), RawValue::Int),
            (Some(text), false) => RawValue::Text(text),
        });
    }
    let (mut marks, mut scratch) = (Marks::default(), Scratch::default());
    let mut out = Vec::new();
    for column in &query.columns {
        marks.reset(batch.rows());
        let mut plan = of_column(part, column, &found, context)?;
        let array = build(&mut plan, part.dataset.name, &batch, &mut marks, &mut scratch)?.array;
        let Some(instants) = array.as_primitive_opt::<TimestampMicrosecondType>() else { continue };
        if marks.count == 0 && !instants.is_empty() && instants.is_valid(0) {
            out.extend(DateTime::from_timestamp_micros(instants.value(0)).map(|at| (*column, at)));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mapping::Mapping;
    use crate::model::Engine;

    /// The newest cell of each past instant becomes the instant the mapping makes of it; planned ones are not asked.
    #[test]
    fn newest_instants() {
        let text = r#"
[mapping]
id = "t"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"
[dataset.trade_orders]
evidence = "recorded"
sql.default = "SELECT id AS order_ref, a AS created_at, b AS paid_at, c AS expires_at, d AS shipped_at, e AS closed_at FROM t"
conv.created_at = { time = "local" }
conv.paid_at = { time = "epoch_ms" }
conv.expires_at = { time = "local" }
conv.shipped_at = { time = "pattern", pattern = "dd/MM/yyyy HH:mm:ss" }
conv.closed_at = { time = "pattern", pattern = "yyyyMMddHHmmss" }
"#;
        let mapping = Mapping::parse("t", text).unwrap().bind(Engine::Sqlite, &Default::default()).unwrap();
        let part = &mapping.parts()[0];
        let query = latest_sql(part).unwrap();
        let names: Vec<&str> = query.columns.iter().map(|c| c.name).collect();
        assert_eq!(names, ["created_at", "paid_at", "closed_at"]);
        let context =
            Context { zone: chrono_tz::UTC, src_system: "t@1", fingerprint: Arc::new(|_: &[u8]| String::new()) };
        let row =
            [Some("2026-03-01 08:00:00".to_owned()), Some("1772323200000".to_owned()), Some("no date".to_owned())];
        let found = latest(part, &query, &row, &context).unwrap();
        let shown: Vec<(&str, String)> = found.iter().map(|(c, at)| (c.name, at.to_rfc3339())).collect();
        assert_eq!(
            shown,
            [
                ("created_at", "2026-03-01T00:00:00+00:00".to_owned()),
                ("paid_at", "2026-03-01T00:00:00+00:00".to_owned())
            ]
        );
    }
}
