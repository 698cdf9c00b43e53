//! Walks the pages of a Parquet file without decoding values: what every page claims about its size, whether pages and
//! chunks cover the file without a gap, and how large a page can become when it is unpacked.
//!
//! Bytes are judged before a decompressor sees them. Limits are those of archive format section 4.1; a page may unpack
//! to at most twice the page limit by the sum of its block sizes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::codes::{Check, Code, fail};
use crate::archive::layout::{PAGE_BYTES_MAX, ZSTD_WINDOW_MAX};

/// Room for one page header.
const HEADER_BYTES: usize = 4 << 10;

/// A data page.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageInfo {
    pub(super) offset: u64,
    /// Header and body.
    pub(super) stored_bytes: u64,
    pub(super) first_row: u64,
    pub(super) rows: u64,
}

/// Data pages by row group and column.
pub(super) type Pages = Vec<Vec<Vec<PageInfo>>>;

/// Checks that the file consists of the magic, the chunks, the indexes and the footer, and walks all pages.
pub(super) fn walk(
    file: &mut File,
    length: u64,
    footer_start: u64,
    metadata: &ParquetMetaData,
    name: &str,
) -> Check<Pages> {
    let mut regions: Vec<(u64, u64)> = Vec::new();
    let mut pages = Vec::with_capacity(metadata.num_row_groups());
    let mut buffer = Vec::new();
    for group in metadata.row_groups() {
        let mut columns = Vec::with_capacity(group.num_columns());
        for chunk in group.columns() {
            let start =
                chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset()).min(chunk.data_page_offset());
            let (start, size) = match (u64::try_from(start), u64::try_from(chunk.compressed_size())) {
                (Ok(start), Ok(size))
                    if start >= 4 && start.checked_add(size).is_some_and(|end| end <= footer_start) =>
                {
                    (start, size)
                }
                _ => return fail(Code::Schema, format!("`{name}`: a column chunk lies outside the file")),
            };
            check_chunk(chunk, name)?;
            columns.push(walk_chunk(file, start, size, group.num_rows(), &mut buffer, name)?);
            regions.push((start, size));
            for (offset, bytes) in [
                (chunk.column_index_offset(), chunk.column_index_length()),
                (chunk.offset_index_offset(), chunk.offset_index_length()),
            ] {
                match (offset.map(u64::try_from), bytes.map(u64::try_from)) {
                    (None, None) => {}
                    (Some(Ok(offset)), Some(Ok(bytes))) => regions.push((offset, bytes)),
                    _ => return fail(Code::Schema, format!("`{name}`: an index is placed wrongly")),
                }
            }
        }
        pages.push(columns);
    }
    regions.sort_unstable();
    let mut at = 4;
    for (start, size) in regions {
        if start != at {
            return fail(Code::ParquetGap, format!("`{name}`: the bytes at {at} belong to nothing or to two things"));
        }
        at = start + size;
    }
    if at != footer_start || length < footer_start {
        return fail(Code::ParquetGap, format!("`{name}`: the bytes before the footer belong to nothing"));
    }
    Ok(pages)
}

fn check_chunk(chunk: &ColumnChunkMetaData, name: &str) -> Check<()> {
    let column = chunk.column_path().string();
    if !matches!(chunk.compression(), Compression::ZSTD(_)) {
        return fail(Code::Schema, format!("`{name}`, column `{column}` is not compressed with zstd"));
    }
    if chunk.file_path().is_some() {
        return fail(Code::Schema, format!("`{name}`, column `{column}` lies in another file"));
    }
    if chunk.bloom_filter_offset().is_some() || chunk.index_page_offset().is_some() {
        return fail(Code::ParquetStats, format!("`{name}`, column `{column}` has a bloom filter or index page"));
    }
    // Prefix-sharing encodings unpack without bound and are not used by the format.
    #[expect(deprecated, reason = "still written by others as the level encoding's and dictionary's old names")]
    let known = |e: Encoding| {
        matches!(
            e,
            Encoding::PLAIN
                | Encoding::RLE
                | Encoding::RLE_DICTIONARY
                | Encoding::PLAIN_DICTIONARY
                | Encoding::BIT_PACKED
        )
    };
    if !chunk.encodings().all(known) {
        return fail(Code::Schema, format!("`{name}`, column `{column}` uses an encoding the format does not allow"));
    }
    Ok(())
}

fn walk_chunk(
    file: &mut File,
    start: u64,
    size: u64,
    rows: i64,
    buffer: &mut Vec<u8>,
    name: &str,
) -> Check<Vec<PageInfo>> {
    let rows = u64::try_from(rows).unwrap_or(0);
    let io = |e: std::io::Error| crate::fsio::Error::io("read", name, e);
    let end = start + size;
    let (mut at, mut first_row, mut seen_dictionary) = (start, 0_u64, false);
    let mut pages = Vec::new();
    while at < end {
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        buffer.clear();
        let room = (end - at).min(HEADER_BYTES as u64);
        file.by_ref().take(room).read_to_end(buffer).map_err(io)?;
        let Some((header, header_bytes)) = PageHeader::parse(buffer) else {
            return fail(Code::Schema, format!("`{name}`: a page header is malformed"));
        };
        let stored = header_bytes as u64 + header.compressed;
        if header.compressed > PAGE_BYTES_MAX || header.uncompressed > PAGE_BYTES_MAX {
            return fail(Code::Limit, format!("`{name}`: a page is larger than {PAGE_BYTES_MAX} bytes"));
        }
        if at + stored > end {
            return fail(Code::ParquetGap, format!("`{name}`: a page reaches beyond its chunk"));
        }
        if header.has_statistics {
            return fail(Code::ParquetStats, format!("`{name}`: a page header carries statistics"));
        }
        match header.kind {
            PageKind::Data => {
                if first_row + header.values > rows {
                    return fail(
                        Code::Rows,
                        format!("`{name}`: a page claims more values than its row group has rows"),
                    );
                }
                pages.push(PageInfo { offset: at, stored_bytes: stored, first_row, rows: header.values });
                first_row += header.values;
            }
            PageKind::Dictionary if !seen_dictionary && pages.is_empty() => seen_dictionary = true,
            PageKind::Dictionary | PageKind::Other => {
                return fail(Code::Schema, format!("`{name}`: a page is of a kind the format does not allow"));
            }
        }
        file.seek(SeekFrom::Start(at + header_bytes as u64)).map_err(io)?;
        buffer.clear();
        file.by_ref().take(header.compressed).read_to_end(buffer).map_err(io)?;
        check_zstd(buffer, header.uncompressed, name)?;
        at += stored;
    }
    if first_row != rows {
        return fail(
            Code::Rows,
            format!("`{name}`: the pages of a column hold {first_row} values, its row group {rows} rows"),
        );
    }
    Ok(pages)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageKind {
    Data,
    Dictionary,
    Other,
}

/// What a page header says (Parquet format, `PageHeader`).
#[derive(Debug, Clone, Copy)]
struct PageHeader {
    kind: PageKind,
    uncompressed: u64,
    compressed: u64,
    values: u64,
    has_statistics: bool,
}

impl PageHeader {
    /// Reads a header in Thrift's compact protocol; also how many bytes it takes.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut t = Thrift { bytes, at: 0 };
        let (mut kind, mut uncompressed, mut compressed) = (None, None, None);
        let (mut values, mut has_statistics) = (None, false);
        let mut field = 0;
        while let Some(ty) = t.field(&mut field)? {
            match (field, ty) {
                (1, I32) => kind = Some(t.integer()?),
                (2, I32) => uncompressed = Some(t.integer()?),
                (3, I32) => compressed = Some(t.integer()?),
                (5 | 7, STRUCT) => {
                    let is_data = field == 5;
                    let mut inner = 0;
                    while let Some(ty) = t.field(&mut inner)? {
                        match (inner, ty) {
                            (1, I32) => values = Some(t.integer()?),
                            (5, _) if is_data => {
                                has_statistics = true;
                                t.skip(ty, 0)?;
                            }
                            _ => t.skip(ty, 0)?,
                        }
                    }
                }
                _ => t.skip(ty, 0)?,
            }
        }
        let kind = match kind? {
            0 => PageKind::Data,
            2 => PageKind::Dictionary,
            _ => PageKind::Other,
        };
        let size = |v: Option<i64>| u64::try_from(v?).ok();
        let header = Self {
            kind,
            uncompressed: size(uncompressed)?,
            compressed: size(compressed)?,
            values: size(values.or(Some(0)))?,
            has_statistics,
        };
        Some((header, t.at))
    }
}

const I32: u8 = 5;
const STRUCT: u8 = 12;

/// A reader of Thrift's compact protocol, as far as page headers need it.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let b = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(b)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            value |= u64::from(b & 0x7f) << shift;
            if b & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let v = self.varint()?;
        Some((v >> 1) as i64 ^ -((v & 1) as i64))
    }

    /// The next field's type, `Some(None)` at the end of the struct.
    #[expect(clippy::option_option, reason = "outer: malformed; inner: no further field")]
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let b = self.byte()?;
        if b == 0 {
            return Some(None);
        }
        *id = match b >> 4 {
            0 => self.integer()?,
            delta => *id + i64::from(delta),
        };
        Some(Some(b & 15))
    }

    fn skip(&mut self, ty: u8, depth: u32) -> Option<()> {
        if depth > 16 {
            return None;
        }
        match ty {
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => self.at += 8,
            8 => {
                let n = usize::try_from(self.varint()?).ok()?;
                self.at = self.at.checked_add(n).filter(|at| *at <= self.bytes.len())?;
            }
            9 | 10 => {
                let b = self.byte()?;
                let n = if b >> 4 == 15 { self.varint()? } else { u64::from(b >> 4) };
                for _ in 0..n {
                    // Booleans in lists take a byte each.
                    let element = if matches!(b & 15, 1 | 2) { 3 } else { b & 15 };
                    self.skip(element, depth + 1)?;
                }
            }
            STRUCT => {
                let mut id = 0;
                while let Some(ty) = self.field(&mut id)? {
                    self.skip(ty, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// Checks one zstd frame (RFC 8878): window, stated size, and the most it can unpack to; nothing may follow it.
fn check_zstd(frame: &[u8], uncompressed: u64, name: &str) -> Check<()> {
    let Some((window, size, most)) = zstd_frame(frame) else {
        return fail(Code::ParquetGap, format!("`{name}`: a page is not exactly one zstd frame"));
    };
    if window > ZSTD_WINDOW_MAX {
        return fail(Code::Limit, format!("`{name}`: a zstd window is larger than {ZSTD_WINDOW_MAX} bytes"));
    }
    if size.is_some_and(|s| s != uncompressed) || most > 2 * PAGE_BYTES_MAX {
        return fail(Code::Limit, format!("`{name}`: a page unpacks to another size than it states"));
    }
    Ok(())
}

/// Window size, stated content size, and upper bound of the unpacked size of a frame that fills the bytes.
fn zstd_frame(frame: &[u8]) -> Option<(u64, Option<u64>, u64)> {
    const BLOCK_MAX: u64 = 128 << 10;
    let little = |from: usize, n: usize| -> Option<u64> {
        Some(frame.get(from..from + n)?.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
    };
    if little(0, 4)? != 0xFD2F_B528 {
        return None;
    }
    let descriptor = *frame.get(4)?;
    let is_single = descriptor & 0x20 != 0;
    if descriptor & 0x0b != 0 {
        // Reserved bit, or a dictionary that nobody has.
        return None;
    }
    let mut at = 5;
    let mut window = 0;
    if !is_single {
        let b = u64::from(*frame.get(at)?);
        let base = 1_u64 << (10 + (b >> 3));
        window = base + base / 8 * (b & 7);
        at += 1;
    }
    let size = match (descriptor >> 6, is_single) {
        (0, false) => None,
        (0, true) => Some((little(at, 1)?, 1)),
        (1, _) => Some((little(at, 2)? + 256, 2)),
        (2, _) => Some((little(at, 4)?, 4)),
        _ => Some((little(at, 8)?, 8)),
    };
    at += size.map_or(0, |(_, n)| n);
    let size = size.map(|(s, _)| s);
    if is_single {
        window = size?;
    }
    let mut most = 0_u64;
    loop {
        let header = little(at, 3)?;
        at += 3;
        let length = header >> 3;
        match header >> 1 & 3 {
            0 => {
                most += length;
                at += usize::try_from(length).ok()?;
            }
            1 => {
                most += length;
                at += 1;
            }
            2 => {
                most += BLOCK_MAX.min(window.max(1_024));
                at += usize::try_from(length).ok()?;
            }
            _ => return None,
        }
        if at > frame.len() {
            return None;
        }
        if header & 1 == 1 {
            break;
        }
    }
    if descriptor & 4 != 0 {
        at += 4;
    }
    (at == frame.len()).then_some((window, size, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repeated blocks that claim to unpack to much are caught before anything is unpacked.
    #[test]
    fn bomb_is_bounded() {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        for _ in 0..2_000 {
            let header = (0x1f_ffff_u32 << 3) | (1 << 1);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame.extend_from_slice(&[1, 0, 0]);
        assert!(matches!(check_zstd(&frame, 100, "x"), Err(f) if f.code == Code::Limit));
        let empty = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 1, 0, 0];
        assert!(check_zstd(&empty, 0, "x").is_ok());
        let huge_window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70, 1, 0, 0];
        assert!(matches!(check_zstd(&huge_window, 0, "x"), Err(f) if f.code == Code::Limit));
        let trailing = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 1, 0, 0, 7];
        assert!(matches!(check_zstd(&trailing, 0, "x"), Err(f) if f.code == Code::ParquetGap));
    }
}
