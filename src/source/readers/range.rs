//! Ranges of a key, cut while they are read: each begins behind the last key of the one before.
//!
//! The bounds are keys that exist, found by walking the key's index so many rows further. So ranges have equal numbers
//! of rows however the keys are spread, and no arithmetic on keys can leave 64 bits.

use crate::rows::{BATCH_ROWS_MAX, KeyCut};
use crate::source::Error;
use crate::source::database::{RowSource, Select};

/// Rows of a range, at most (a key that repeats stays whole): a few full batches.
pub(super) const RANGE_ROWS: u64 = 4 * BATCH_ROWS_MAX as u64;
/// Rows of a range where they are very wide.
const RANGE_ROWS_MIN: u64 = 256;

/// Some keys of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Those above the one and up to the other; `None` is no bound.
    Keys { above: Option<i64>, up_to: Option<i64> },
    /// The rows without a key, which the order puts last.
    Null,
}

impl Range {
    /// The statement for these rows.
    pub(super) fn sql(self, cut: &KeyCut) -> String {
        cut.with(&self.condition(&cut.key_sql))
    }

    fn condition(self, key: &str) -> String {
        match self {
            Self::Keys { above, up_to } => {
                let above = above.map(|k| format!("{key} > {}", literal(k)));
                let up_to = up_to.map(|k| format!("{key} <= {}", literal(k)));
                let bounds: Vec<String> = above.into_iter().chain(up_to).collect();
                if bounds.is_empty() { format!("{key} IS NOT NULL") } else { bounds.join(" AND ") }
            }
            Self::Null => format!("{key} IS NULL"),
        }
    }
}

/// A number as SQL. The sign is an operator there, so the lowest number has no literal that stays an integer.
fn literal(number: i64) -> String {
    if number == i64::MIN { format!("({} - 1)", i64::MIN + 1) } else { format!("({number})") }
}

/// What is not cut yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Above(Option<i64>),
    Null,
    Nothing,
}

/// Cuts the keys of a table into ranges.
#[derive(Debug)]
pub(super) struct Cutter<'c> {
    cut: &'c KeyCut,
    rows: u64,
    left: Left,
}

impl<'c> Cutter<'c> {
    pub(super) fn new(cut: &'c KeyCut) -> Self {
        Self { cut, rows: RANGE_ROWS, left: Left::Above(None) }
    }

    /// The next range; `None` when all rows of the table are in one.
    ///
    /// # Errors
    /// What the source says to being asked for its keys.
    pub(super) async fn next(&mut self, source: &mut dyn RowSource) -> Result<Option<Range>, Error> {
        let Left::Above(above) = self.left else { return Ok(self.behind_keys()) };
        let sql = self.page_sql(above);
        let answer = source.first_row(Select { sql: &sql, values: &[] }).await?;
        let mut numbers = answer.iter().map(|cell| cell.as_deref().and_then(|text| text.parse().ok()));
        Ok(Some(self.take(numbers.next().flatten(), numbers.next().flatten())))
    }

    /// Makes ranges so large that their rows take half of what may be held, by the last one that was read.
    pub(super) fn fit(&mut self, rows: u64, bytes: usize, held_bytes_max: usize) {
        if let Some(row_bytes) = (bytes as u64).checked_div(rows) {
            self.rows = (held_bytes_max as u64 / 2 / row_bytes.max(1)).clamp(RANGE_ROWS_MIN, RANGE_ROWS);
        }
    }

    /// The last of the next so many keys, and how many there are.
    pub(super) fn page_sql(&self, above: Option<i64>) -> String {
        let KeyCut { table_sql, column_sql, .. } = self.cut;
        let filter = above.map(|k| format!(" WHERE {column_sql} > {}", literal(k))).unwrap_or_default();
        format!(
            "SELECT MAX(k), COUNT(k) FROM (SELECT {column_sql} AS k FROM {table_sql}{filter} ORDER BY {column_sql} LIMIT {}) AS page",
            self.rows
        )
    }

    /// The range up to the last key of a page. A page that is not full is the last one, and its range has no end.
    fn take(&mut self, last: Option<i64>, count: Option<i64>) -> Range {
        let above = match self.left {
            Left::Above(above) => above,
            Left::Null | Left::Nothing => None,
        };
        let is_full = count.and_then(|n| u64::try_from(n).ok()).is_some_and(|n| n >= self.rows);
        match last.filter(|_| is_full) {
            Some(last) => {
                self.left = Left::Above(Some(last));
                Range::Keys { above, up_to: Some(last) }
            }
            None => {
                self.left = Left::Null;
                Range::Keys { above, up_to: None }
            }
        }
    }

    fn behind_keys(&mut self) -> Option<Range> {
        let was = std::mem::replace(&mut self.left, Left::Nothing);
        (was == Left::Null).then_some(Range::Null)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut() -> KeyCut {
        let text = |s: &str| s.to_owned();
        KeyCut {
            table: text("t"),
            column: text("id"),
            table_sql: text("t"),
            column_sql: text("id"),
            key_sql: text("p.id"),
            head: text("SELECT a FROM t p\nWHERE "),
            tail: text("\nORDER BY p.id"),
        }
    }

    fn contains(range: Range, key: Option<i64>) -> bool {
        match (range, key) {
            (Range::Keys { above, up_to }, Some(key)) => {
                above.is_none_or(|a| key > a) && up_to.is_none_or(|u| key <= u)
            }
            (Range::Null, None) => true,
            _ => false,
        }
    }

    /// All ranges of a table with these keys, the pages answered as a server would.
    fn ranges(keys: &[Option<i64>], rows: u64) -> Vec<Range> {
        let mut sorted: Vec<i64> = keys.iter().flatten().copied().collect();
        sorted.sort_unstable();
        let cut = cut();
        let mut cutter = Cutter { rows, ..Cutter::new(&cut) };
        let mut out = Vec::new();
        while let Left::Above(above) = cutter.left {
            let page: Vec<i64> = sorted
                .iter()
                .copied()
                .filter(|k| above.is_none_or(|a| *k > a))
                .take(usize::try_from(rows).unwrap())
                .collect();
            out.push(cutter.take(page.last().copied(), i64::try_from(page.len()).ok()));
        }
        out.extend(cutter.behind_keys());
        assert_eq!(cutter.behind_keys(), None);
        out
    }

    fn key() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            Just(None),
            any::<i64>().prop_map(Some),
            (-5_i64..50).prop_map(Some),
            prop_oneof![Just(i64::MIN), Just(i64::MIN + 1), Just(-1), Just(0), Just(i64::MAX - 1), Just(i64::MAX)]
                .prop_map(Some),
        ]
    }

    proptest! {
        /// Every key, whether the table has it or not, is in exactly one range, and ranges follow the order of keys.
        #[test]
        fn every_key_is_in_one_range(
            keys in proptest::collection::vec(key(), 0..200),
            others in proptest::collection::vec(key(), 0..50),
            rows in 1_u64..40,
        ) {
            let ranges = ranges(&keys, rows);
            for key in keys.iter().chain(&others) {
                prop_assert_eq!(ranges.iter().filter(|r| contains(**r, *key)).count(), 1);
            }
            let mut sorted = keys.clone();
            sorted.sort_by_key(|k| (k.is_none(), *k));
            let by_ranges: Vec<Option<i64>> =
                ranges.iter().flat_map(|r| sorted.iter().copied().filter(|k| contains(*r, *k))).collect();
            prop_assert_eq!(by_ranges, sorted);
        }

        /// No range has more rows than asked for, except those of one repeated key.
        #[test]
        fn ranges_are_small(keys in proptest::collection::vec(key(), 0..200), rows in 1_u64..40) {
            for range in ranges(&keys, rows) {
                let mut inside: Vec<i64> = keys.iter().filter(|k| contains(range, **k)).flatten().copied().collect();
                inside.sort_unstable();
                let last = inside.last().copied();
                let before_last = inside.iter().filter(|k| Some(**k) != last).count() as u64;
                prop_assert!(before_last < rows, "{} of {}", before_last, rows);
            }
        }
    }

    /// The conditions as SQL; the lowest number stays an integer.
    #[test]
    fn conditions_as_sql() {
        let sql = |above, up_to| Range::Keys { above, up_to }.condition("id");
        assert_eq!(sql(None, None), "id IS NOT NULL");
        assert_eq!(sql(None, Some(-3)), "id <= (-3)");
        assert_eq!(
            sql(Some(i64::MIN), Some(i64::MAX)),
            "id > (-9223372036854775807 - 1) AND id <= (9223372036854775807)"
        );
        assert_eq!(sql(Some(7), None), "id > (7)");
        assert_eq!(Range::Null.sql(&cut()), "SELECT a FROM t p\nWHERE (p.id IS NULL)\nORDER BY p.id");
    }

    /// Wide rows make small ranges, within bounds.
    #[test]
    fn ranges_fit_the_rows() {
        let cut = cut();
        let mut cutter = Cutter::new(&cut);
        cutter.fit(1000, 200_000, 64 << 20);
        assert_eq!(cutter.rows, RANGE_ROWS);
        cutter.fit(1000, 4_000_000, 64 << 20);
        assert_eq!(cutter.rows, 8388);
        cutter.fit(10, 100 << 20, 64 << 20);
        assert_eq!(cutter.rows, RANGE_ROWS_MIN);
        cutter.fit(0, 0, 64 << 20);
        assert_eq!(cutter.rows, RANGE_ROWS_MIN);
    }
}
