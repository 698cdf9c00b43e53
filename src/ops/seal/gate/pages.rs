//! A quick look through the pages of a finished file: which of its columns may hold an identifier at all.
//!
//! The pages are read from the disk and unpacked, but no value is taken out of them. In the encodings this program
//! writes, the bytes of a text lie in one piece in a page (`PLAIN`, dictionaries) or not at all (indexes into a
//! dictionary). So where a page holds no identifier anywhere, none of its texts does; whatever else is met counts as
//! a column to be decoded.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::ops::Error;

/// Why a file could not be looked through.
pub(super) enum Stop {
    /// Its pages are not readable.
    Unreadable,
    /// What the caller said after a row group.
    Asked(Error),
}

impl From<ParquetError> for Stop {
    fn from(_: ParquetError) -> Self {
        Self::Unreadable
    }
}

/// Positions of the columns of texts or bytes in which `may_hold` was true for a piece of a page, or which cannot be
/// judged without decoding. `after_group` is told the rows of each row group that was looked through.
pub(super) fn suspects(
    path: &Path,
    may_hold: &dyn Fn(&[u8]) -> bool,
    after_group: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<BTreeSet<usize>, Stop> {
    let file = File::open(path).map_err(|_| Stop::Unreadable)?;
    let reader = SerializedFileReader::new(file)?;
    let mut found = BTreeSet::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        for (index, column) in group.metadata().columns().iter().enumerate() {
            if column.column_type() != Type::BYTE_ARRAY || found.contains(&index) {
                continue;
            }
            let mut pages = group.get_column_page_reader(index)?;
            while let Some(page) = pages.get_next_page()? {
                if is_suspect(&page, may_hold) {
                    found.insert(index);
                    break;
                }
            }
        }
        after_group(u64::try_from(group.metadata().num_rows()).unwrap_or(0)).map_err(Stop::Asked)?;
    }
    Ok(found)
}

fn is_suspect(page: &Page, may_hold: &dyn Fn(&[u8]) -> bool) -> bool {
    match page {
        Page::DictionaryPage { buf, encoding: Encoding::PLAIN | Encoding::PLAIN_DICTIONARY, .. }
        | Page::DataPage { buf, encoding: Encoding::PLAIN, .. } => may_hold(buf),
        Page::DataPage { encoding: Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY, .. } => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array as _, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
    use proptest::prelude::*;

    use super::*;

    fn written(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer =
            ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), Some(properties.build())).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn found(file: &tempfile::NamedTempFile, needle: &[u8]) -> Vec<usize> {
        let may_hold = |bytes: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        let mut rows = 0;
        let found = suspects(file.path(), &may_hold, &mut |n| {
            rows += n;
            Ok(())
        });
        assert!(rows > 0);
        found.unwrap_or_else(|_| panic!("readable")).into_iter().collect()
    }

    fn batch(texts: &[Option<String>]) -> RecordBatch {
        let texts = StringArray::from(texts.to_vec());
        let bytes: BinaryArray = texts.iter().map(|t| t.map(|t| [t.as_bytes(), b"\xff"].concat())).collect();
        let numbers = Int64Array::from_iter_values(0..texts.len() as i64);
        RecordBatch::try_from_iter([
            ("n", Arc::new(numbers) as ArrayRef),
            ("t", Arc::new(texts)),
            ("b", Arc::new(bytes)),
        ])
        .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// No column that holds the identifier is passed over, however its pages are made, and one that does not is
        /// decoded only where an end and a beginning happen to meet.
        #[test]
        fn nothing_is_passed_over(
            texts in prop::collection::vec(prop::option::of("[a-d]{0,6}"), 1..200),
            dictionary in any::<bool>(),
            page_rows in 1_usize..50,
            dictionary_bytes in 1_usize..200,
        ) {
            let properties = WriterProperties::builder()
                .set_dictionary_enabled(dictionary)
                .set_dictionary_page_size_limit(dictionary_bytes)
                .set_data_page_row_count_limit(page_rows)
                .set_write_batch_size(page_rows)
                .set_max_row_group_row_count(Some(70));
            let file = written(&batch(&texts), properties);
            let holds = texts.iter().flatten().any(|t| t.contains("abc"));
            // Four bytes of length stand between two texts, so no meeting of texts is one here.
            prop_assert_eq!(found(&file, b"abc"), if holds { vec![1, 2] } else { Vec::new() });
        }
    }

    /// Encodings that cut texts up are not judged by their bytes.
    #[test]
    fn other_encodings_are_decoded() {
        let texts: Vec<Option<String>> = (0..50).map(|i| Some(format!("zhangwei{i}"))).collect();
        let delta = WriterProperties::builder().set_dictionary_enabled(false);
        let delta = delta.set_encoding(Encoding::DELTA_BYTE_ARRAY);
        let numbers = batch(&texts).project(&[1]).unwrap();
        assert_eq!(found(&written(&numbers, delta), b"nowhere"), [0]);
        let second = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
        assert_eq!(found(&written(&numbers, second), b"nowhere"), [0]);
    }

    /// What is no Parquet file is not taken for a clean one.
    #[test]
    fn unreadable_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(suspects(file.path(), &|_| false, &mut |_| Ok(())).is_err());
    }
}
