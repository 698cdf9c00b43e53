//! Cells of a Parquet file as loosely typed cells.

use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{CanonicalRows, Error, delimited};
use crate::rows::{BATCH_ROWS_MAX, RawBatch, RawColumn, RawValue};
use crate::schema::Dataset;

/// Reads a Parquet file in batches; as [`super::canonical_files::read`].
pub(super) fn read<E: From<Error>>(
    input: File,
    file: &str,
    dataset: &'static Dataset,
    sink: &mut dyn FnMut(CanonicalRows) -> Result<(), E>,
) -> Result<u64, E> {
    let parquet = |source: ParquetError| Error::Parquet { file: file.into(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(input).map_err(parquet)?.with_batch_size(BATCH_ROWS_MAX);
    let header: Vec<String> = builder.schema().fields().iter().map(|f| f.name().clone()).collect();
    delimited::check_header(file, dataset, &header)?;
    let mut rows = 0_u64;
    let mut batches = 0_u64;
    for batch in builder.build().map_err(parquet)? {
        let batch = batch.map_err(|e| parquet(ParquetError::External(Box::new(e))))?;
        rows += batch.num_rows() as u64;
        batches += 1;
        let batch = cells(file, &header, &batch)?;
        sink(CanonicalRows { header: header.clone(), batch })?;
    }
    if batches == 0 {
        let batch = RawBatch::new(header.len());
        sink(CanonicalRows { header, batch })?;
    }
    Ok(rows)
}

fn cells(file: &str, header: &[String], batch: &RecordBatch) -> Result<RawBatch, Error> {
    let mut raw = RawBatch::new(header.len());
    for ((name, array), out) in header.iter().zip(batch.columns()).zip(&mut raw.columns) {
        column(array.as_ref(), out).map_err(|found| Error::UnsupportedType {
            file: file.into(),
            column: name.clone(),
            found: found.to_string(),
        })?;
    }
    Ok(raw)
}

/// Copies a column; fails with the type when it has no canonical meaning.
fn column(array: &dyn Array, out: &mut RawColumn) -> Result<(), DataType> {
    let found = || array.data_type().clone();
    match array.data_type() {
        DataType::Null => (0..array.len()).for_each(|_| out.push(RawValue::Null)),
        DataType::Utf8 => {
            for text in array.as_string::<i32>() {
                out.push(text.map_or(RawValue::Null, RawValue::Text));
            }
        }
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            let array = cast(array, &DataType::Utf8).map_err(|_| found())?;
            return column(array.as_ref(), out);
        }
        DataType::Int64 => {
            for int in array.as_primitive::<Int64Type>() {
                out.push(int.map_or(RawValue::Null, RawValue::Int));
            }
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            let array = cast(array, &DataType::Int64).map_err(|_| found())?;
            return column(array.as_ref(), out);
        }
        DataType::Float64 => {
            for real in array.as_primitive::<Float64Type>() {
                out.push(real.map_or(RawValue::Null, RawValue::Real));
            }
        }
        DataType::Boolean => {
            for flag in array.as_boolean() {
                out.push(flag.map_or(RawValue::Null, |f| RawValue::Text(if f { "true" } else { "false" })));
            }
        }
        DataType::Date32 => {
            for days in array.as_primitive::<Date32Type>() {
                let day = days.and_then(|d| NaiveDate::default().checked_add_signed(TimeDelta::days(d.into())));
                text(out, day.map(|d| d.to_string()));
            }
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            for instant in array.as_primitive::<TimestampMicrosecondType>() {
                let at = instant.and_then(DateTime::from_timestamp_micros);
                // Without a zone the file does not say which instant it means, so no offset is printed.
                text(
                    out,
                    at.map(|at| match zone {
                        Some(_) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                        None => at.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
                    }),
                );
            }
        }
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let array = cast(array, &micros).map_err(|_| found())?;
            return column(array.as_ref(), out);
        }
        DataType::Decimal128(..) => {
            let array = array.as_primitive::<Decimal128Type>();
            for i in 0..array.len() {
                text(out, (!array.is_null(i)).then(|| array.value_as_string(i)));
            }
        }
        _ => return Err(found()),
    }
    Ok(())
}

fn text(out: &mut RawColumn, value: Option<String>) {
    out.push(value.as_deref().map_or(RawValue::Null, RawValue::Text));
}
