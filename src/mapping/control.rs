//! Statements by which the source itself counts its rows and adds up its money, in whole numbers only.

use std::collections::BTreeMap;

use crate::model::Engine;

use super::Error;
use super::conversion::{Kind, MoneyUnit};
use super::convert::{control_digits, is_money};
use super::money::{AMOUNT_MAX, EXACT_PLACES, source_factor};
use super::part::Part;
use super::plan::money_digits;
use super::totals::SourceTotals;

/// Amounts are added up in two halves, so that not even a sum of billions of rows leaves 64 bits.
const HALF: i128 = 1_000_000;

/// One money column of a control query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlColumn {
    /// Canonical column.
    pub name: String,
    /// Digits after the point of the unit in which it is added up.
    pub digits: u32,
}

/// A statement whose single row holds the count and, for each column, its sum in two halves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlQuery {
    /// The statement.
    pub sql: String,
    /// Values of its parameters.
    pub values: Vec<String>,
    /// The columns, in the order of their sums.
    pub columns: Vec<ControlColumn>,
    dataset: &'static str,
}

impl ControlQuery {
    /// Reads the row the source answered with.
    ///
    /// # Errors
    /// [`Error::ControlAnswer`] when it is not a row of `1 + 2 × columns` integers.
    pub fn totals(&self, row: &[Option<String>]) -> Result<SourceTotals, Error> {
        let wrong = |detail: String| Error::ControlAnswer { dataset: self.dataset.into(), detail };
        let expected = 1 + 2 * self.columns.len();
        if row.len() != expected {
            return Err(wrong(format!("{} values instead of {expected}", row.len())));
        }
        let mut numbers = row.iter().map(|cell| {
            let text = cell.as_deref().unwrap_or("NULL");
            text.parse::<i128>().map_err(|_| wrong(format!("`{text}` instead of an integer")))
        });
        let mut next = || numbers.next().unwrap_or(Ok(0));
        let rows = u64::try_from(next()?).map_err(|_| wrong("a negative count".into()))?;
        let mut sums = BTreeMap::new();
        for column in &self.columns {
            let (high, low) = (next()?, next()?);
            sums.insert(column.name.clone(), high * HALF + low);
        }
        Ok(SourceTotals { rows, sums })
    }
}

/// The control statement of a part, in the SQL of its engine.
pub fn control_sql(part: &Part) -> ControlQuery {
    let mut columns = Vec::new();
    let mut inner = Vec::new();
    let mut outer = vec!["COUNT(*)".to_owned()];
    for (name, conversion) in &part.conversions {
        let Kind::Money { unit, rounding } = &conversion.kind else { continue };
        let Some(column) = part.dataset.column(name).filter(|_| is_money(part.dataset, name)) else { continue };
        let digits = control_digits(*rounding, money_digits(column));
        let alias = format!("c{}", columns.len());
        let cell = part.engine.quoted(name);
        let amount = match part.engine {
            Engine::Sqlite => amount_sqlite(&cell, *unit, digits),
            Engine::MySql => amount_exact(&number_mysql(&cell, *unit), *unit, digits),
            Engine::Postgres => amount_exact(&number_postgres(&cell, *unit), *unit, digits),
        };
        inner.push(format!("{amount} AS {alias}"));
        match part.engine {
            Engine::Sqlite => {
                outer.push(format!("COALESCE(SUM({alias} / {HALF}), 0)"));
                outer.push(format!("COALESCE(SUM({alias} % {HALF}), 0)"));
            }
            // Their sums are decimals of any length; the upper half is not needed.
            Engine::MySql | Engine::Postgres => {
                outer.push("0".into());
                outer.push(format!("COALESCE(SUM({alias}), 0)"));
            }
        }
        columns.push(ControlColumn { name: name.clone(), digits });
    }
    let inner = if inner.is_empty() { "1 AS one".to_owned() } else { inner.join(",\n  ") };
    let sql =
        format!("SELECT {} FROM (SELECT {inner}\nFROM (\n{}\n) AS part) AS amounts", outer.join(", "), part.select);
    ControlQuery { sql, values: part.values.clone(), columns, dataset: part.dataset.name }
}

/// One amount as an integer in units of `digits` digits. NULL, bytes and amounts beyond the limit count 0, exactly as
/// this program's own totals count them.
fn amount_sqlite(cell: &str, unit: MoneyUnit, digits: u32) -> String {
    let factor = source_factor(unit, digits);
    let limit = AMOUNT_MAX / factor;
    let number = if unit == MoneyUnit::TextYuan {
        format!(
            "CASE typeof({cell}) WHEN 'text' THEN CAST(TRIM({}) AS REAL) ELSE CAST({cell} AS REAL) END",
            plain(cell)
        )
    } else {
        format!("CAST({cell} AS REAL)")
    };
    format!(
        "CASE typeof({cell}) WHEN 'null' THEN 0 WHEN 'blob' THEN 0 \
         WHEN 'integer' THEN CASE WHEN {cell} BETWEEN -{limit} AND {limit} THEN {cell} * {factor} ELSE 0 END \
         ELSE CASE WHEN {number} BETWEEN -{limit}.0 AND {limit}.0 THEN CAST(ROUND({number} * {factor}.0) AS INTEGER) ELSE 0 END END"
    )
}

/// The same from a number that already is an exact decimal; both engines round it half away from zero.
fn amount_exact(number: &str, unit: MoneyUnit, digits: u32) -> String {
    let factor = source_factor(unit, digits);
    let limit = AMOUNT_MAX / factor;
    format!("CASE WHEN {number} BETWEEN -{limit} AND {limit} THEN ROUND({number} * {factor}, 0) ELSE 0 END")
}

/// A cell as a decimal of twelve places; of a text, the number it begins with.
fn number_mysql(cell: &str, unit: MoneyUnit) -> String {
    let cell = if unit == MoneyUnit::TextYuan { format!("TRIM({})", plain(cell)) } else { cell.to_owned() };
    format!("CAST({cell} AS DECIMAL(65,{EXACT_PLACES}))")
}

/// A cell as a decimal of any length; of a text, the number it begins with.
fn number_postgres(cell: &str, unit: MoneyUnit) -> String {
    let text = format!("CAST({cell} AS text)");
    let text = if unit == MoneyUnit::TextYuan { format!("btrim({})", plain(&text)) } else { text };
    format!(
        "CAST(substring({text} FROM '^[ \\t\\n\\v\\f\\r]*([+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]{{1,3}})?)') AS numeric)"
    )
}

/// The text of a cell without the signs people write beside amounts.
fn plain(cell: &str) -> String {
    ["','", "'¥'", "'￥'", "'元'"].iter().fold(cell.to_owned(), |inner, sign| format!("REPLACE({inner}, {sign}, '')"))
}
