//! Statements by which the source itself counts its rows and adds up its money, in whole numbers only.

use std::collections::BTreeMap;

use crate::model::Engine;

use super::Error;
use super::conversion::{Kind, MoneyUnit};
use super::convert::{control_digits, is_money};
use super::money::{AMOUNT_MAX, EXACT_PLACES, source_digits, source_factor};
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

/// How the source holds the cells of a column, as far as the type of the column tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Signed whole numbers of at most 64 bits.
    Integer,
    /// Exact decimals.
    Decimal,
    /// Texts, floating point numbers, or nobody knows.
    Other,
}

impl Held {
    /// By the name of the type that the engine gives a selected column.
    fn of(engine: Engine, type_name: &str) -> Self {
        match (engine, type_name) {
            (Engine::Postgres, "int2" | "int4" | "int8") => Self::Integer,
            (Engine::Postgres, "numeric") => Self::Decimal,
            // Unsigned ones may be compared with a negative limit as if that were a huge number.
            (Engine::MySql, "tinyint" | "smallint" | "mediumint" | "int" | "bigint") => Self::Integer,
            // A cell of SQLite has a type, its column does not.
            _ => Self::Other,
        }
    }
}

/// The control statement of a part, in the SQL of its engine; `type_of` tells the type of a selected column as
/// [`crate::source`] names it, which saves the source a detour over text. What it answers does not depend on that.
pub fn control_sql(part: &Part, type_of: &dyn Fn(&str) -> Option<String>) -> ControlQuery {
    let mut columns = Vec::new();
    let mut inner = Vec::new();
    let mut outer = vec!["COUNT(*)".to_owned()];
    for (name, conversion) in &part.conversions {
        let Kind::Money { unit, rounding } = &conversion.kind else { continue };
        let Some(column) = part.dataset.column(name).filter(|_| is_money(part.dataset, name)) else { continue };
        let digits = control_digits(*rounding, money_digits(column));
        let alias = format!("c{}", columns.len());
        let cell = part.engine.quoted(name);
        let held = Held::of(part.engine, &type_of(name).unwrap_or_default());
        match part.engine {
            Engine::Sqlite => {
                inner.push(format!("{} AS {alias}", amount_sqlite(&cell, *unit, digits)));
                outer.push(format!("COALESCE(SUM({alias} / {HALF}), 0)"));
                outer.push(format!("COALESCE(SUM({alias} % {HALF}), 0)"));
            }
            // Their sums are decimals of any length; the upper half is not needed.
            Engine::MySql | Engine::Postgres => {
                inner.push(format!("{} AS {alias}", number_exact(part.engine, &cell, held, *unit)));
                outer.push("0".into());
                outer.push(sum_exact(&alias, held, *unit, digits));
            }
        }
        columns.push(ControlColumn { name: name.clone(), digits });
    }
    let inner = if inner.is_empty() { "1 AS one".to_owned() } else { inner.join(",\n  ") };
    let sql = format!(
        "SELECT {} FROM (SELECT {inner}\nFROM (\n{}\n) AS part{}) AS amounts",
        outer.join(", "),
        part.select,
        once(part.engine)
    );
    ControlQuery { sql, values: part.values.clone(), columns, dataset: part.dataset.name }
}

/// Keeps the planner from writing an inner expression into the outer statement once for every use there.
fn once(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "\nLIMIT -1",
        Engine::Postgres => "\nOFFSET 0",
        // It would put all rows aside first, which costs more.
        Engine::MySql => "",
    }
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

/// The sum of numbers that already are exact, in units of `digits` digits, with the same rules. Both engines round
/// decimals half away from zero; rounded to the unit first, a decimal needs no multiplication of its own.
fn sum_exact(number: &str, held: Held, unit: MoneyUnit, digits: u32) -> String {
    let factor = source_factor(unit, digits);
    let places = source_digits(unit, digits);
    let limit = AMOUNT_MAX / factor;
    let amount = match held {
        // The absolute value of the smallest integer does not exist.
        Held::Integer => format!("CASE WHEN {number} BETWEEN -{limit} AND {limit} THEN {number} ELSE 0 END"),
        Held::Decimal | Held::Other => {
            format!("CASE WHEN ABS({number}) <= {limit} THEN ROUND({number}, {places}) ELSE 0 END")
        }
    };
    // A decimal factor: a sum of small integers is an integer, and their product could leave 64 bits.
    format!("COALESCE(ROUND(SUM({amount}) * {factor}.0, 0), 0)")
}

/// A cell as an exact number; of a text, the number it begins with.
fn number_exact(engine: Engine, cell: &str, held: Held, unit: MoneyUnit) -> String {
    match (engine, held) {
        (Engine::Postgres, Held::Integer | Held::Decimal) | (_, Held::Integer) => cell.to_owned(),
        (Engine::Postgres, Held::Other) => number_postgres(cell, unit),
        _ => number_mysql(cell, unit),
    }
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
