//! Whether minima, maxima, null counts and page positions are true: queries skip rows that these rule out.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, max_binary, max_boolean, max_string, min, min_binary, min_boolean, min_string};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType, UInt64Type};
use arrow::record_batch::RecordBatch;
use parquet::basic::{BoundaryOrder, Type as Physical};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::codes::{Check, Code, fail};
use super::pages::PageInfo;

/// A smallest or largest value, comparable within one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Int(i128),
    Bytes(Vec<u8>),
}

/// What was seen of some rows of one column.
#[derive(Debug, Clone, Default)]
struct Seen {
    min: Option<Bound>,
    max: Option<Bound>,
    nulls: u64,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
        if let Some(m) = other.min
            && self.min.as_ref().is_none_or(|s| m < *s)
        {
            self.min = Some(m);
        }
        if let Some(m) = other.max
            && self.max.as_ref().is_none_or(|s| m > *s)
        {
            self.max = Some(m);
        }
    }

    fn of(array: &ArrayRef) -> Self {
        let int = |v: i64| Bound::Int(i128::from(v));
        let bytes = |v: &[u8]| Bound::Bytes(v.to_vec());
        let (min, max) = match array.data_type() {
            DataType::Utf8 => {
                let a = array.as_string::<i32>();
                (min_string(a).map(|s| bytes(s.as_bytes())), max_string(a).map(|s| bytes(s.as_bytes())))
            }
            DataType::Binary => {
                let a = array.as_binary::<i32>();
                (min_binary(a).map(bytes), max_binary(a).map(bytes))
            }
            DataType::Boolean => {
                let a = array.as_boolean();
                (min_boolean(a).map(|b| int(b.into())), max_boolean(a).map(|b| int(b.into())))
            }
            DataType::Int64 => {
                let a = array.as_primitive::<Int64Type>();
                (min(a).map(int), max(a).map(int))
            }
            DataType::UInt64 => {
                let a = array.as_primitive::<UInt64Type>();
                (min(a).map(|v| Bound::Int(v.into())), max(a).map(|v| Bound::Int(v.into())))
            }
            DataType::Date32 => {
                let a = array.as_primitive::<Date32Type>();
                (min(a).map(|v| int(v.into())), max(a).map(|v| int(v.into())))
            }
            DataType::Timestamp(_, _) => {
                let a = array.as_primitive::<TimestampMicrosecondType>();
                (min(a).map(int), max(a).map(int))
            }
            DataType::Decimal128(_, _) => {
                let a = array.as_primitive::<Decimal128Type>();
                (min(a).map(Bound::Int), max(a).map(Bound::Int))
            }
            _ => (None, None),
        };
        Self { min, max, nulls: array.null_count() as u64 }
    }
}

/// Watches one row group.
pub(super) struct GroupStats<'a> {
    metadata: &'a ParquetMetaData,
    group: usize,
    pages: &'a [Vec<PageInfo>],
    seen: Vec<Vec<Seen>>,
    unsigned: Vec<bool>,
    rows: u64,
}

impl<'a> GroupStats<'a> {
    pub(super) fn new(
        metadata: &'a ParquetMetaData,
        group: usize,
        pages: &'a [Vec<PageInfo>],
        types: &[DataType],
    ) -> Self {
        let seen = pages.iter().map(|p| vec![Seen::default(); p.len()]).collect();
        let unsigned = types.iter().map(|t| *t == DataType::UInt64).collect();
        Self { metadata, group, pages, seen, unsigned, rows: 0 }
    }

    /// Takes the next rows of the group in.
    pub(super) fn observe(&mut self, batch: &RecordBatch) {
        let (from, to) = (self.rows, self.rows + batch.num_rows() as u64);
        for ((array, pages), seen) in batch.columns().iter().zip(self.pages).zip(&mut self.seen) {
            let first = pages.partition_point(|p| p.first_row + p.rows <= from);
            for (page, seen) in pages.iter().zip(seen).skip(first) {
                let (a, b) = (page.first_row.max(from), (page.first_row + page.rows).min(to));
                if a >= to {
                    break;
                }
                if a < b {
                    seen.merge(Seen::of(&array.slice((a - from) as usize, (b - a) as usize)));
                }
            }
        }
        self.rows = to;
    }

    /// Compares everything seen with everything claimed.
    pub(super) fn finish(self, name: &str) -> Check<()> {
        let group = self.metadata.row_group(self.group);
        for (i, chunk) in group.columns().iter().enumerate() {
            let column = chunk.column_path().string();
            let lie = |what: &str| fail(Code::ParquetStats, format!("`{name}`, column `{column}`: {what}"));
            let mut total = Seen::default();
            self.seen[i].iter().for_each(|s| total.merge(s.clone()));
            if let Some(stats) = chunk.statistics()
                && !is_true(stats, &total, chunk.column_type(), self.unsigned[i])
            {
                return lie("the statistics of a row group are false");
            }
            if let Some(index) = self.metadata.column_index().and_then(|g| g.get(self.group)?.get(i))
                && !is_index_true(index, &self.seen[i], self.unsigned[i], chunk.column_type())
            {
                return lie("the column index is false");
            }
            if let Some(index) = self.metadata.offset_index().and_then(|g| g.get(self.group)?.get(i)) {
                let claimed = index.page_locations();
                let fits = claimed.len() == self.pages[i].len()
                    && claimed.iter().zip(&self.pages[i]).all(|(c, p)| {
                        u64::try_from(c.offset) == Ok(p.offset)
                            && u64::try_from(c.compressed_page_size) == Ok(p.stored_bytes)
                            && u64::try_from(c.first_row_index) == Ok(p.first_row)
                    });
                if !fits && !claimed.is_empty() {
                    return lie("the page positions are false");
                }
            }
        }
        Ok(())
    }
}

/// Reads a bound as the column's physical type spells it.
fn bound(bytes: &[u8], physical: Physical, is_unsigned: bool) -> Option<Bound> {
    Some(match physical {
        Physical::BOOLEAN => Bound::Int((*bytes.first()? != 0).into()),
        Physical::INT32 => Bound::Int(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        Physical::INT64 if is_unsigned => Bound::Int(u64::from_le_bytes(bytes.try_into().ok()?).into()),
        Physical::INT64 => Bound::Int(i64::from_le_bytes(bytes.try_into().ok()?).into()),
        Physical::BYTE_ARRAY => Bound::Bytes(bytes.to_vec()),
        Physical::FIXED_LEN_BYTE_ARRAY => Bound::Int(big_endian(bytes)?),
        Physical::INT96 | Physical::FLOAT | Physical::DOUBLE => return None,
    })
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let fill = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [fill; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

fn is_true(stats: &Statistics, seen: &Seen, physical: Physical, is_unsigned: bool) -> bool {
    if stats.distinct_count_opt().is_some() || stats.null_count_opt().is_some_and(|n| n != seen.nulls) {
        return false;
    }
    // Texts may be shortened, and say so; anything else must be exact, because engines answer MIN and MAX from it.
    let is_text = physical == Physical::BYTE_ARRAY;
    let fits = |claimed: Option<&[u8]>, actual: &Option<Bound>, is_exact: bool, is_min: bool| match (claimed, actual) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(bytes), Some(actual)) => bound(bytes, physical, is_unsigned).is_some_and(|claimed| {
            if !is_text || is_exact {
                claimed == *actual
            } else if is_min {
                claimed <= *actual
            } else {
                claimed >= *actual
            }
        }),
    };
    fits(stats.min_bytes_opt(), &seen.min, stats.min_is_exact(), true)
        && fits(stats.max_bytes_opt(), &seen.max, stats.max_is_exact(), false)
}

fn is_index_true(index: &ColumnIndexMetaData, seen: &[Seen], is_unsigned: bool, physical: Physical) -> bool {
    if matches!(index, ColumnIndexMetaData::NONE) {
        return true;
    }
    if index.num_pages() != seen.len() as u64 {
        return false;
    }
    let mut claimed = Vec::with_capacity(seen.len());
    for (page, seen) in seen.iter().enumerate() {
        if index.is_null_page(page) != seen.min.is_none()
            || index.null_count(page).is_some_and(|n| u64::try_from(n) != Ok(seen.nulls))
        {
            return false;
        }
        let (Some(actual_min), Some(actual_max)) = (&seen.min, &seen.max) else { continue };
        match index_bounds(index, page, is_unsigned, physical) {
            Some((min, max)) if min <= *actual_min && max >= *actual_max => claimed.push((min, max)),
            _ => return false,
        }
    }
    let ordered =
        |f: fn(&Bound, &Bound) -> bool| claimed.windows(2).all(|w| f(&w[0].0, &w[1].0) && f(&w[0].1, &w[1].1));
    match index.get_boundary_order() {
        None | Some(BoundaryOrder::UNORDERED) => true,
        Some(BoundaryOrder::ASCENDING) => ordered(|a, b| a <= b),
        Some(BoundaryOrder::DESCENDING) => ordered(|a, b| a >= b),
    }
}

fn index_bounds(
    index: &ColumnIndexMetaData,
    page: usize,
    is_unsigned: bool,
    physical: Physical,
) -> Option<(Bound, Bound)> {
    let int = |v: i64| if is_unsigned { Bound::Int(i128::from(v as u64)) } else { Bound::Int(v.into()) };
    let pair = |min: &[u8], max: &[u8]| Some((bound(min, physical, is_unsigned)?, bound(max, physical, is_unsigned)?));
    match index {
        ColumnIndexMetaData::BOOLEAN(i) => Some((int((*i.min_value(page)?).into()), int((*i.max_value(page)?).into()))),
        ColumnIndexMetaData::INT32(i) => Some((int((*i.min_value(page)?).into()), int((*i.max_value(page)?).into()))),
        ColumnIndexMetaData::INT64(i) => Some((int(*i.min_value(page)?), int(*i.max_value(page)?))),
        ColumnIndexMetaData::BYTE_ARRAY(i) | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(i) => {
            pair(i.min_value(page)?, i.max_value(page)?)
        }
        _ => None,
    }
}
