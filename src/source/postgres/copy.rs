//! The stream of a binary `COPY … TO STDOUT` as batches.
//!
//! Form (PostgreSQL documentation, `COPY`, "Binary Format"): eleven bytes of signature, four of flags, a header
//! extension; then per row the number of fields and each field with its length, −1 for NULL; a count of −1 ends it.

use crate::rows::{RawBatch, RawValue};

use super::cells::Layout;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Flag bit 16 would mean that OIDs stand before each row, which no supported server sends.
const FLAGS_CRITICAL: u32 = 0xffff_0000;

/// The stream does not have the form of a binary copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Cuts the stream into rows, wherever its messages end.
#[derive(Debug)]
pub(super) struct CopyRows {
    layouts: Vec<Layout>,
    /// What of the last message does not yet make a row.
    rest: Vec<u8>,
    has_header: bool,
    pub(super) has_ended: bool,
    scratch: String,
}

impl CopyRows {
    pub(super) fn new(layouts: Vec<Layout>) -> Self {
        Self { layouts, rest: Vec::new(), has_header: false, has_ended: false, scratch: String::new() }
    }

    /// Takes one message, appends its complete rows to the batch and returns their number.
    pub(super) fn feed(&mut self, message: &[u8], batch: &mut RawBatch) -> Result<usize, Malformed> {
        if self.rest.is_empty() {
            let (used, rows) = self.rows(message, batch)?;
            self.rest.extend_from_slice(message.get(used..).unwrap_or_default());
            return Ok(rows);
        }
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(message);
        let (used, rows) = self.rows(&all, batch)?;
        all.drain(..used);
        self.rest = all;
        Ok(rows)
    }

    /// Bytes used and rows found; a row that is cut off uses none.
    fn rows(&mut self, bytes: &[u8], batch: &mut RawBatch) -> Result<(usize, usize), Malformed> {
        let mut at = 0;
        if !self.has_header {
            match header(bytes)? {
                Some(length) => {
                    at = length;
                    self.has_header = true;
                }
                None => return Ok((0, 0)),
            }
        }
        let mut rows = 0;
        while !self.has_ended {
            match fields(&bytes[at..], self.layouts.len())? {
                Fields::Cut => break,
                Fields::End => {
                    self.has_ended = true;
                    at += 2;
                }
                Fields::Row(length) => {
                    self.push(&bytes[at + 2..at + length], batch)?;
                    at += length;
                    rows += 1;
                }
            }
        }
        Ok((at, rows))
    }

    fn push(&mut self, mut row: &[u8], batch: &mut RawBatch) -> Result<(), Malformed> {
        for (layout, column) in self.layouts.iter().zip(&mut batch.columns) {
            let (length, rest) = row.split_at_checked(4).ok_or(Malformed)?;
            let length = i32::from_be_bytes(length.try_into().map_err(|_| Malformed)?);
            match usize::try_from(length) {
                Err(_) => {
                    column.push(RawValue::Null);
                    row = rest;
                }
                Ok(length) => {
                    let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
                    layout.push(value, column, &mut self.scratch).ok_or(Malformed)?;
                    row = rest;
                }
            }
        }
        Ok(())
    }
}

/// Length of the header, `None` while it is not complete.
fn header(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes[..seen] != SIGNATURE[..seen] {
        return Err(Malformed);
    }
    let (Some(flags), Some(extension)) = (u32_at(bytes, 11), u32_at(bytes, 15)) else { return Ok(None) };
    if flags & FLAGS_CRITICAL != 0 {
        return Err(Malformed);
    }
    let length = 19 + usize::try_from(extension).map_err(|_| Malformed)?;
    Ok((bytes.len() >= length).then_some(length))
}

enum Fields {
    /// A whole row of this many bytes.
    Row(usize),
    /// The row goes on in the next message.
    Cut,
    /// The trailer.
    End,
}

fn fields(bytes: &[u8], expected: usize) -> Result<Fields, Malformed> {
    let Some(count) = bytes.get(..2) else { return Ok(Fields::Cut) };
    let count = i16::from_be_bytes([count[0], count[1]]);
    if count == -1 {
        return Ok(Fields::End);
    }
    if usize::try_from(count) != Ok(expected) {
        return Err(Malformed);
    }
    let mut at = 2;
    for _ in 0..expected {
        let Some(length) = u32_at(bytes, at) else { return Ok(Fields::Cut) };
        at += 4;
        // −1 is NULL; other negative lengths do not exist.
        if length != u32::MAX {
            at += i32::try_from(length).ok().and_then(|l| usize::try_from(l).ok()).ok_or(Malformed)?;
        }
    }
    Ok(if bytes.len() >= at { Fields::Row(at) } else { Fields::Cut })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend([0; 4]);
        out.extend([0, 0, 0, 3, 9, 9, 9]);
        for row in [Some("ab"), None, Some("")] {
            out.extend(2_i16.to_be_bytes());
            out.extend(4_i32.to_be_bytes());
            out.extend(7_i32.to_be_bytes());
            match row {
                None => out.extend((-1_i32).to_be_bytes()),
                Some(text) => {
                    out.extend(i32::try_from(text.len()).expect("short").to_be_bytes());
                    out.extend(text.as_bytes());
                }
            }
        }
        out.extend((-1_i16).to_be_bytes());
        out
    }

    fn read(messages: &[&[u8]]) -> Result<(RawBatch, usize, bool), Malformed> {
        let mut rows = CopyRows::new(vec![Layout::Int4, Layout::Text]);
        let mut batch = RawBatch::new(2);
        let mut count = 0;
        for message in messages {
            count += rows.feed(message, &mut batch)?;
        }
        Ok((batch, count, rows.has_ended))
    }

    /// Wherever the messages are cut, the same rows come out.
    #[test]
    fn any_cut_gives_the_same_rows() {
        let bytes = stream();
        for first in 0..bytes.len() {
            for second in [first, (first + bytes.len()) / 2, bytes.len()] {
                let (batch, count, has_ended) =
                    read(&[&bytes[..first], &bytes[first..second], &bytes[second..]]).expect("a stream");
                assert_eq!((count, has_ended), (3, true));
                assert_eq!(batch.columns[0].get(2), RawValue::Int(7));
                let texts: Vec<RawValue<'_>> = (0..3).map(|i| batch.columns[1].get(i)).collect();
                assert_eq!(texts, [RawValue::Text("ab"), RawValue::Null, RawValue::Text("")]);
            }
        }
    }

    /// A stream that stops early has not ended; one of another form is refused.
    #[test]
    fn cut_and_foreign_streams() {
        let bytes = stream();
        assert!(!read(&[&bytes[..bytes.len() - 2]]).expect("rows").2);
        assert!(read(&[b"PGCOPY\n\xfe"]).is_err());
        let mut wrong = stream();
        wrong[22 + 1] = 3;
        assert!(read(&[&wrong]).is_err());
    }

    proptest::proptest! {
        /// No bytes make it panic or take a length for granted.
        #[test]
        fn any_bytes(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let mut bytes = SIGNATURE.to_vec();
            bytes.extend([0; 8]);
            bytes.extend(&tail);
            let _ = read(&[&bytes]);
            let _ = read(&[&tail]);
        }
    }
}
