//! The gate: a search for raw staff identifiers in what is about to be sealed.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::matcher::{Candidate, IdentifierKind, StaffMatcher};

/// Raw identifiers found where none may be. Never says which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeakHit {
    /// Dataset, or the name of the file.
    pub dataset: String,
    /// Column; empty for a file that has none.
    pub column: String,
    /// What kind of identifier.
    pub kind: &'static str,
    /// How often.
    pub count: u64,
}

/// Searches every column of texts or bytes of a decoded batch. Names count in free text only, which `is_free_text`
/// tells by the column's name; everything else counts everywhere.
pub fn scan_batch(
    matcher: &StaffMatcher,
    table: &str,
    is_free_text: &dyn Fn(&str) -> bool,
    batch: &RecordBatch,
) -> Vec<LeakHit> {
    let mut hits = Vec::new();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let is_free_text = is_free_text(field.name());
        let texts = match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().clone(),
            DataType::Binary => {
                for (kind, count) in scan_bytes_column(matcher, array.as_binary(), is_free_text) {
                    hits.push(hit(table, field.name(), kind, count));
                }
                continue;
            }
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => match cast(array, &DataType::Utf8) {
                Ok(cast) => cast.as_string::<i32>().clone(),
                Err(_) => continue,
            },
            _ => continue,
        };
        for (kind, count) in scan_column(matcher, &texts, is_free_text) {
            hits.push(hit(table, field.name(), kind, count));
        }
    }
    hits
}

fn hit(table: &str, column: &str, kind: IdentifierKind, count: u64) -> LeakHit {
    LeakHit { dataset: table.to_owned(), column: column.to_owned(), kind: kind.word(), count }
}

fn scan_bytes_column(
    matcher: &StaffMatcher,
    values: &BinaryArray,
    is_free_text: bool,
) -> BTreeMap<IdentifierKind, u64> {
    let mut counts = BTreeMap::new();
    for found in values.iter().flatten().flat_map(|value| matcher.hits(value, is_free_text)) {
        *counts.entry(found.kind).or_default() += 1;
    }
    counts
}

/// Searches the bytes of a file that is no table; names do not count, because a signer's name may stand there.
pub fn scan_bytes(matcher: &StaffMatcher, file: &str, bytes: &[u8]) -> Vec<LeakHit> {
    let mut counts: BTreeMap<IdentifierKind, u64> = BTreeMap::new();
    for hit in matcher.hits(bytes, false) {
        *counts.entry(hit.kind).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(kind, count)| LeakHit { dataset: file.to_owned(), column: String::new(), kind: kind.word(), count })
        .collect()
}

/// One pass over the texts of a column as they lie behind each other in memory; an occurrence counts when it lies
/// within one text and is bounded there.
fn scan_column(matcher: &StaffMatcher, texts: &StringArray, is_free_text: bool) -> BTreeMap<IdentifierKind, u64> {
    let mut counts = BTreeMap::new();
    let offsets = texts.value_offsets();
    let position = |row: usize| offsets.get(row).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    let (first, last) = (position(0), position(texts.len()));
    let data = &texts.value_data()[first..last];
    for found in matcher.candidates(data) {
        if found.kind == IdentifierKind::Name && !is_free_text {
            continue;
        }
        let (start, end) = (found.start + first, found.end + first);
        // The last row that begins at or before the occurrence.
        let row = offsets.partition_point(|o| usize::try_from(*o).is_ok_and(|o| o <= start)).saturating_sub(1);
        let (row_start, row_end) = (position(row), position(row + 1));
        if row >= texts.len() || end > row_end || texts.is_null(row) {
            continue;
        }
        let in_row = Candidate { start: start - row_start, end: end - row_start, ..found };
        if matcher.is_bounded(&texts.value_data()[row_start..row_end], &in_row) {
            *counts.entry(found.kind).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::StaffMatcherBuilder;
    use super::*;

    /// Texts are judged one by one although they are searched together; slices are respected.
    #[test]
    fn columns_are_searched_text_by_text() {
        let mut builder = StaffMatcherBuilder::new();
        builder.add("zhangwei88", IdentifierKind::Login);
        builder.add("13900001111", IdentifierKind::Phone);
        builder.add("王小芳", IdentifierKind::Name);
        let m = builder.build().unwrap();
        let texts = StringArray::from(vec![
            Some("zhangwei"),
            Some("88"),
            None,
            Some("a zhangwei88"),
            Some("x"),
            Some("zhangwei88"),
            Some("1390000"),
            Some("1111"),
            Some("王小芳"),
        ]);
        assert_eq!(scan_column(&m, &texts, false), BTreeMap::from([(IdentifierKind::Login, 2)]));
        assert_eq!(
            scan_column(&m, &texts, true),
            BTreeMap::from([(IdentifierKind::Login, 2), (IdentifierKind::Name, 1)])
        );
        assert_eq!(scan_column(&m, &texts.slice(4, 2), false), BTreeMap::from([(IdentifierKind::Login, 1)]));
        assert!(scan_column(&m, &texts.slice(0, 3), false).is_empty());

        let hits = scan_bytes(&m, "custody.jsonl", "{\"by\":\"zhangwei88\",\"to\":\"王小芳\"}".as_bytes());
        assert_eq!(hits.len(), 1);
        assert_eq!((hits[0].dataset.as_str(), hits[0].kind, hits[0].count), ("custody.jsonl", "login", 1));
        assert!(!format!("{hits:?}").contains("zhang"));
    }
}
