//! From bytes to cells: byte order marks, line ends, backticks, the summary at the end.
//!
//! WeChat Pay writes UTF-8 with a byte order mark and CRLF; every value is preceded by one backtick and nothing is
//! quoted, so a comma inside a text is no separator but comma plus backtick is. Copies that other programs saved are
//! read as far as they can be read without guessing, and what is unusual about them is noted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

use super::cells;
use super::layout::Header;
use super::refusal::{self, Refusal};
use super::totals::Footer;
use crate::crypto::{Hasher, Sha1Hasher};
use crate::fsio;
use crate::model::Digest;
use crate::source::Error;
use crate::source::canonical_files::file_name;

/// Bytes of a line, at most.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes looked at to say what an unknown file is.
const START_BYTES: u64 = 1 << 16;

/// The cells of one detail line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a str,
    ranges: &'a [(usize, usize)],
    /// Surplus parts were put back into the free-text cell.
    pub(super) is_rejoined: bool,
    /// The line does not have the platform's delimiters.
    pub(super) is_resaved: bool,
}

/// A detail line, or the closed code of what is wrong with it.
pub(super) type Detail<'a> = Result<Fields<'a>, &'static str>;

impl<'a> Fields<'a> {
    /// A cell by its position; empty beyond the end.
    pub(super) fn get(&self, index: usize) -> &'a str {
        self.ranges.get(index).map_or("", |(start, end)| &self.text[*start..*end])
    }
}

/// What a walk through the file brought besides its lines.
pub(super) struct Walked {
    pub(super) header: Header,
    pub(super) footer: Footer,
    pub(super) notes: BTreeMap<&'static str, u64>,
    pub(super) sha256: Digest,
    pub(super) sha1: String,
}

/// A bill opened up to and including its header line.
pub(super) struct Lines {
    input: BufReader<Chain<Cursor<Vec<u8>>, File>>,
    raw: Vec<u8>,
    is_gb18030: bool,
    notes: BTreeMap<&'static str, u64>,
    sha256: Hasher,
    sha1: Sha1Hasher,
}

/// Opens the file and recognises its header.
pub(super) fn open(path: &Path) -> Result<(Lines, Header), Error> {
    let io = |action| move |e| Error::from(fsio::Error::io(action, path, e));
    let mut file = File::open(path).map_err(io("open"))?;
    let mut start = Vec::new();
    (&mut file).take(START_BYTES).read_to_end(&mut start).map_err(io("read"))?;
    let refused = |refusal| Error::Refused { file: file_name(path), refusal };
    let compressed = refusal::of_start(&start);
    if matches!(compressed, Refusal::Gzip | Refusal::Zip) {
        return Err(refused(compressed));
    }
    let input = BufReader::with_capacity(1 << 16, Cursor::new(start.clone()).chain(file));
    let mut lines = Lines {
        input,
        raw: Vec::new(),
        is_gb18030: false,
        notes: BTreeMap::new(),
        sha256: Hasher::default(),
        sha1: Sha1Hasher::default(),
    };
    let mut text = String::new();
    loop {
        match lines.next(path, &mut text)? {
            Line::End => return Err(refused(compressed)),
            Line::Unreadable(_) if !lines.is_gb18030 => {
                lines.is_gb18030 = true;
                lines.note("gb18030");
                text.clear();
                match lines.decode(&mut text) {
                    Line::Text => break,
                    _ => return Err(refused(compressed)),
                }
            }
            Line::Unreadable(_) => return Err(refused(compressed)),
            Line::Text if text.trim_matches(['\u{feff}', ' ']).is_empty() => {}
            Line::Text => break,
        }
    }
    let bare = text.trim_start_matches('\u{feff}');
    match text.chars().take_while(|c| *c == '\u{feff}').count() {
        0 if bare.starts_with('?') => lines.note("byte-order-mark-replaced"),
        0 => lines.note("byte-order-mark-missing"),
        1 => {}
        _ => lines.note("byte-order-mark-repeated"),
    }
    let (names, is_quoted) = header_names(bare);
    let header = Header::recognise(&names).map_err(|refusal| match refusal {
        // The header says nothing, so the rest of the start may.
        Refusal::Unknown => refused(compressed.clone()),
        other => refused(other),
    })?;
    if is_quoted {
        lines.note("resaved-header");
    }
    Ok((lines, header))
}

/// Names of a header line without marks, quotes and backticks, in one width of parentheses.
fn header_names(line: &str) -> (Vec<String>, bool) {
    let line = line.trim_start_matches(['\u{feff}', '?']);
    let is_quoted = line.contains(['"', '`']);
    let names = line
        .split(',')
        .map(|name| name.trim_matches(['"', '`', ' ', '\u{feff}']).replace('（', "(").replace('）', ")"))
        .collect();
    (names, is_quoted)
}

/// One line of the file.
enum Line {
    Text,
    Unreadable(&'static str),
    End,
}

impl Lines {
    fn note(&mut self, code: &'static str) {
        *self.notes.entry(code).or_default() += 1;
    }

    /// Reads the next line into `text`, without its line end.
    fn next(&mut self, path: &Path, text: &mut String) -> Result<Line, Error> {
        text.clear();
        self.raw.clear();
        let io = |e| Error::from(fsio::Error::io("read", path, e));
        let limit = LINE_BYTES_MAX as u64 + 1;
        if (&mut self.input).take(limit).read_until(b'\n', &mut self.raw).map_err(io)? == 0 {
            return Ok(Line::End);
        }
        self.digest();
        if self.raw.len() > LINE_BYTES_MAX {
            // Nothing of such a line is kept, but its bytes belong to the digests.
            while self.raw.last() != Some(&b'\n') {
                self.raw.clear();
                if (&mut self.input).take(limit).read_until(b'\n', &mut self.raw).map_err(io)? == 0 {
                    break;
                }
                self.digest();
            }
            return Ok(Line::Unreadable("line-too-long"));
        }
        if self.raw.pop_if(|b| *b == b'\n').is_none() {
            self.note("last-line-end-missing");
        } else if self.raw.pop_if(|b| *b == b'\r').is_none() {
            self.note("line-feed-only");
        }
        Ok(self.decode(text))
    }

    fn digest(&mut self) {
        self.sha256.update(&self.raw);
        self.sha1.update(&self.raw);
    }

    fn decode(&self, text: &mut String) -> Line {
        if self.is_gb18030 {
            match encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(&self.raw) {
                Some(decoded) => text.push_str(&decoded),
                None => return Line::Unreadable("not-text"),
            }
        } else {
            match std::str::from_utf8(&self.raw) {
                Ok(decoded) => text.push_str(decoded),
                Err(_) => return Line::Unreadable("not-text"),
            }
        }
        Line::Text
    }
}

/// Where in the file the walk is.
enum At {
    Details,
    Totals(Vec<String>),
    After,
}

/// Reads the whole file; hands every detail line on as cells or as the closed code of what is wrong with it.
pub(super) fn walk<E: From<Error>>(
    path: &Path,
    each: &mut dyn FnMut(u64, &Header, Detail<'_>) -> Result<(), E>,
) -> Result<Walked, E> {
    let (mut lines, header) = open(path)?;
    let mut text = String::new();
    let mut splitter = Splitter::default();
    let mut at = At::Details;
    let mut footer = Footer::new();
    let mut line_no = 0;
    loop {
        match lines.next(path, &mut text)? {
            Line::End => break,
            Line::Unreadable(reason) => {
                line_no += 1;
                each(line_no, &header, Err(reason))?;
                continue;
            }
            Line::Text => {}
        }
        let line = text.trim_start_matches('\u{feff}');
        let bare = line.trim_start_matches(['?', '"', '`']);
        if line.trim().is_empty() {
            continue;
        }
        if bare.starts_with("总交易单数") || bare.starts_with("资金流水总笔数") {
            at = At::Totals(header_names(line).0);
        } else if bare.starts_with("交易时间,") || bare.starts_with("记账时间,") {
            // Several files joined into one.
            let (names, _) = header_names(line);
            let again = Header::recognise(&names).ok();
            if again.is_none_or(|h| h.layout != header.layout || h.width != header.width) {
                let refusal = Refusal::Layout("several bills in one file");
                return Err(Error::Refused { file: file_name(path), refusal }.into());
            }
            lines.note("several-files-joined");
            at = At::Details;
        } else {
            match at {
                At::Totals(names) => {
                    if !splitter.totals(line, &names, &mut footer) {
                        lines.note("summary-damaged");
                    }
                    at = At::After;
                }
                At::After => {
                    lines.note("lines-after-summary");
                    at = At::After;
                }
                At::Details => {
                    line_no += 1;
                    each(line_no, &header, splitter.split(line, &header))?;
                    at = At::Details;
                }
            }
        }
    }
    let Lines { notes, sha256, sha1, .. } = lines;
    Ok(Walked { header, footer, notes, sha256: sha256.finish(), sha1: sha1.finish_hex() })
}

/// Splits lines without allocating for each.
#[derive(Debug, Default)]
struct Splitter {
    text: String,
    ranges: Vec<(usize, usize)>,
}

impl Splitter {
    /// Cells of a detail line.
    fn split(&mut self, line: &str, header: &Header) -> Detail<'_> {
        let is_resaved = !line.starts_with('`');
        self.cells(line);
        let parts = self.ranges.len();
        let mut is_rejoined = false;
        if parts < header.width {
            return Err("too-few-cells");
        }
        if parts > header.width {
            // Only a free text can hold the separator; everything right of it is counted from the end.
            match header.text_index {
                Some(index) if !is_resaved => {
                    let surplus = parts - header.width;
                    self.ranges[index].1 = self.ranges[index + surplus].1;
                    self.ranges.drain(index + 1..=index + surplus);
                    is_rejoined = true;
                }
                _ => return Err("too-many-cells"),
            }
        }
        Ok(Fields { text: &self.text, ranges: &self.ranges, is_rejoined, is_resaved })
    }

    /// Adds the totals of a summary line; false when it does not have the form its names promise.
    fn totals(&mut self, line: &str, names: &[String], footer: &mut Footer) -> bool {
        self.cells(line);
        for (name, (start, end)) in names.iter().zip(&self.ranges) {
            // Documentation prints counts as `20.0`; millionths hold both forms.
            let value = cells::millionths(self.text[*start..*end].trim());
            let sum = match footer.get(name) {
                None => value,
                Some(earlier) => earlier.zip(value).and_then(|(a, b)| a.checked_add(b)),
            };
            footer.insert(name.clone(), sum);
        }
        self.ranges.len() == names.len()
    }

    fn cells(&mut self, line: &str) {
        self.text.clear();
        self.ranges.clear();
        match line.strip_prefix('`') {
            Some(rest) => self.platform_cells(rest),
            None => self.resaved_cells(line),
        }
    }

    /// Comma plus backtick separates; nothing is quoted.
    fn platform_cells(&mut self, line: &str) {
        self.text.push_str(line);
        let mut start = 0;
        while let Some(length) = self.text[start..].find(",`") {
            self.ranges.push((start, start + length));
            start += length + 2;
        }
        self.ranges.push((start, self.text.len()));
    }

    /// Commas separate, double quotes quote, a backtick before a value is dropped.
    fn resaved_cells(&mut self, line: &str) {
        let mut rest = line;
        loop {
            let start = self.text.len();
            let after = match rest.strip_prefix('"') {
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(rest[..end].strip_prefix('`').unwrap_or(&rest[..end]));
                    &rest[end..]
                }
                Some(quoted) => {
                    let mut quoted = quoted.strip_prefix('`').unwrap_or(quoted);
                    loop {
                        let end = quoted.find('"').unwrap_or(quoted.len());
                        self.text.push_str(&quoted[..end]);
                        quoted = quoted.get(end + 1..).unwrap_or("");
                        match quoted.strip_prefix('"') {
                            Some(more) => {
                                self.text.push('"');
                                quoted = more;
                            }
                            None => break,
                        }
                    }
                    quoted
                }
            };
            self.ranges.push((start, self.text.len()));
            match after.split_once(',') {
                Some((_, more)) => rest = more,
                None => return,
            }
        }
    }
}
