//! Platform bills: what a payment platform says happened.
//!
//! Responsible for recognising a bill by its content, for reading it in bounded memory, and for delivering its rows,
//! its totals and its own summary side by side as the datasets `bills` and `bill_lines`. A disagreement between rows
//! and summary is data, not an error. Not responsible for fetching bills or for judging them.
//!
//! Layouts are one closed enum ([`Layout`]); today WeChat Pay's trade and fund-flow bills. Another platform adds
//! variants there and its own framing; what callers see stays the same. Limits: plain text only (archives are refused
//! with a hint), at most 1 MiB a line; columns that no canonical column receives are named, not kept.

mod cells;
mod framing;
mod layout;
mod line;
mod refusal;
mod totals;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::canonical_files::file_name;
use super::{CanonicalRows, Error, damage};
use crate::model::Digest;
use crate::rows::{RawBatch, RawValue};

use framing::Walked;
use line::{LINE_COLUMNS, Parsed};

pub use layout::{BillKind, Layout};
pub use refusal::Refusal;
pub use totals::Total;

/// Problems of single lines kept with their number; more are only counted.
const REJECTED_KEPT: usize = 100;

/// What the case file says about a bill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Merchant number; a fund bill does not name it itself.
    pub mch_id: Option<String>,
    /// Account kind of a fund bill, as in `bills.account_kind`.
    pub account_kind: Option<String>,
    /// The day the bill is of.
    pub bill_on: Option<NaiveDate>,
    /// SHA-1 the platform returned for the bill.
    pub sha1: Option<String>,
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Number of the detail line, from 1.
    pub line_no: u64,
    /// Closed code.
    pub reason: &'static str,
}

/// A bill after its first reading: everything but its lines.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Key of the bill in both datasets.
    pub bill_ref: String,
    /// Name of the file, without its folder.
    pub file: String,
    /// Layout recognised by the header.
    pub layout: Layout,
    /// Merchant number, of the rows if they have one, else as given.
    pub mch_id: Option<String>,
    /// Account kind as given.
    pub account_kind: Option<String>,
    /// The day, as given or as most rows have it.
    pub bill_on: Option<NaiveDate>,
    /// Nobody stated the day.
    pub is_bill_on_derived: bool,
    /// Another program rewrote the cell delimiters.
    pub is_resaved: bool,
    /// Detail lines read.
    pub rows: u64,
    /// Detail lines that could not be read.
    pub rejected_count: u64,
    /// The first of them.
    pub rejected: Vec<Rejected>,
    /// Every total the summary states or the rows give.
    pub totals: Vec<Total>,
    /// Names in the header that no canonical column receives and this program does not know.
    pub unknown_columns: Vec<String>,
    /// What is unusual about the file, as closed codes with the number of times.
    pub notes: BTreeMap<&'static str, u64>,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// SHA-1 of the file; the platform publishes this one.
    pub sha1: String,
    /// SHA-1 as given.
    pub expected_sha1: Option<String>,
    path: PathBuf,
}

/// Whether some bytes would be recognised as a bill this program reads.
///
/// # Errors
/// [`Error::Refused`] with the reason otherwise, [`Error::File`].
pub fn recognise(path: &Path) -> Result<Layout, Error> {
    framing::open(path).map(|(_, header)| header.layout)
}

/// Reads a bill once: recognises it, adds its rows up and takes its digests.
///
/// # Errors
/// [`Error::Refused`] for anything that is no supported bill, [`Error::Damaged`] when a spreadsheet has destroyed
/// order numbers, [`Error::File`].
pub fn inspect(path: &Path, given: &Given) -> Result<Bill, Error> {
    let file = file_name(path);
    let mut first = FirstReading::default();
    let walked = framing::walk(path, &mut |line_no, header, fields| {
        first.take(line_no, header, fields);
        Ok::<(), Error>(())
    })?;
    if !first.damaged.is_empty() {
        return Err(Error::Damaged { file, places: first.damaged });
    }
    Ok(first.finish(path, file, given, walked))
}

#[derive(Default)]
struct FirstReading {
    rows: u64,
    rejected_count: u64,
    rejected: Vec<Rejected>,
    damaged: Vec<String>,
    sums: totals::Sums,
    days: BTreeMap<NaiveDate, u64>,
    merchants: BTreeSet<String>,
    notes: BTreeMap<&'static str, u64>,
}

impl FirstReading {
    fn note(&mut self, code: &'static str) {
        *self.notes.entry(code).or_default() += 1;
    }

    fn reject(&mut self, line_no: u64, reason: &'static str) {
        self.rejected_count += 1;
        if self.rejected.len() < REJECTED_KEPT {
            self.rejected.push(Rejected { line_no, reason });
        }
    }

    fn take(&mut self, line_no: u64, header: &layout::Header, fields: framing::Detail<'_>) {
        let parsed = fields.and_then(|f| Parsed::new(header, f).map(|parsed| (f, parsed)));
        let (fields, parsed) = match parsed {
            Ok(ok) => ok,
            Err(reason) => return self.reject(line_no, reason),
        };
        for (name, value) in parsed.identifiers() {
            let what = match value {
                // The platform writes plain digits; only a re-saved file can have been rounded.
                Some(v) if fields.is_resaved => damage::of_identifier(v),
                Some(v) if damage::is_scientific(v) => Some("scientific notation, digits are lost"),
                _ => None,
            };
            if let Some(what) = what
                && self.damaged.len() < damage::PLACES_MAX
            {
                self.damaged.push(format!("detail line {line_no}, column `{name}`: {what}"));
            }
        }
        self.rows += 1;
        self.sums.add(&parsed);
        *self.days.entry(parsed.occurred.date()).or_default() += 1;
        if let Some(mch_id) = parsed.mch_id
            && self.merchants.len() < REJECTED_KEPT
            && !self.merchants.contains(mch_id)
        {
            self.merchants.insert(mch_id.to_owned());
        }
        if fields.is_rejoined {
            self.note("rejoined-text");
        }
        if fields.is_resaved {
            self.note("resaved-line");
        }
        if parsed.is_rate_unreadable {
            self.note("unreadable-rate");
        }
        if parsed.currency.is_some_and(|c| c != "CNY") {
            self.note("foreign-currency");
        }
    }

    fn finish(mut self, path: &Path, file: String, given: &Given, walked: Walked) -> Bill {
        let Walked { header, footer, mut notes, sha256, sha1 } = walked;
        notes.append(&mut self.notes);
        // The commonest day; of equally common ones the earliest.
        let derived = self.days.iter().max_by_key(|(day, n)| (**n, std::cmp::Reverse(**day))).map(|(day, _)| *day);
        let bill_on = given.bill_on.or(derived);
        let outside: u64 = self.days.iter().filter(|(day, _)| Some(**day) != bill_on).map(|(_, n)| n).sum();
        if outside > 0 {
            notes.insert("other-day", outside);
        }
        if self.merchants.len() > 1 {
            notes.insert("several-merchants", self.merchants.len() as u64);
        }
        let of_rows = self.merchants.into_iter().next();
        if given.mch_id.is_some() && of_rows.is_some() && given.mch_id != of_rows {
            notes.insert("other-merchant-than-stated", 1);
        }
        let mch_id = of_rows.or_else(|| given.mch_id.clone());
        let bill_ref = format!(
            "wechat-{}-{}-{}-{}",
            header.layout.kind().word(),
            mch_id.as_deref().unwrap_or("unknown"),
            bill_on.map_or_else(|| "unknown".into(), |d| d.format("%Y%m%d").to_string()),
            &sha256.to_string()[..12],
        );
        let totals = self.sums.compare(header.layout, self.rows, &footer);
        if footer.is_empty() {
            notes.insert("summary-missing", 1);
        }
        Bill {
            bill_ref,
            file,
            layout: header.layout,
            mch_id,
            account_kind: given.account_kind.clone(),
            bill_on,
            is_bill_on_derived: given.bill_on.is_none() && bill_on.is_some(),
            is_resaved: notes.contains_key("resaved-line") || notes.contains_key("resaved-header"),
            rows: self.rows,
            rejected_count: self.rejected_count,
            rejected: self.rejected,
            totals,
            unknown_columns: header.unknown,
            notes,
            sha256,
            sha1,
            expected_sha1: given.sha1.as_ref().map(|s| s.trim().to_ascii_lowercase()),
            path: path.to_owned(),
        }
    }
}

impl Bill {
    /// Whether every total that both sides state is the same.
    pub fn agrees(&self) -> bool {
        self.totals.iter().all(Total::agrees)
    }

    /// The platform's SHA-1 against the file's; `None` when nobody gave one.
    pub fn is_digest_confirmed(&self) -> Option<bool> {
        self.expected_sha1.as_ref().map(|expected| *expected == self.sha1)
    }

    /// A total by its canonical column in `bills`: what the rows give, what the summary states.
    fn total(&self, column: &str) -> (Option<i64>, Option<i64>) {
        self.totals.iter().find(|t| t.column == Some(column)).map_or((None, None), |t| (t.computed, t.stated))
    }

    /// The row of the dataset `bills`.
    pub fn row(&self) -> CanonicalRows {
        let bill_on = self.bill_on.map(|d| d.to_string());
        let flag = |b: bool| RawValue::Text(if b { "true" } else { "false" });
        let int = |n: Option<i64>| n.map_or(RawValue::Null, RawValue::Int);
        let sha256 = self.sha256.to_string();
        let (total, stated_total) = self.total("total_fen");
        let (refund, stated_refund) = self.total("refund_fen");
        let (fee, stated_fee) = self.total("fee_e6");
        let (_, stated_count) = self.total("row_count");
        let cells = [
            ("bill_ref", RawValue::Text(&self.bill_ref)),
            ("platform", RawValue::Text("wechat")),
            ("bill_kind", RawValue::Text(self.layout.kind().word())),
            ("layout", RawValue::Text(self.layout.name())),
            ("mch_id", optional(&self.mch_id)),
            ("account_kind", optional(&self.account_kind)),
            ("bill_on", optional(&bill_on)),
            ("is_bill_on_derived", flag(self.is_bill_on_derived)),
            ("is_resaved", flag(self.is_resaved)),
            ("row_count", int(i64::try_from(self.rows).ok())),
            ("stated_count", int(stated_count)),
            ("total_fen", int(total)),
            ("stated_total_fen", int(stated_total)),
            ("refund_fen", int(refund)),
            ("stated_refund_fen", int(stated_refund)),
            ("fee_e6", int(fee)),
            ("stated_fee_e6", int(stated_fee)),
            ("digest_algorithm", RawValue::Text("sha1")),
            ("expected_digest", optional(&self.expected_sha1)),
            ("actual_digest", RawValue::Text(&self.sha1)),
            ("file_sha256", RawValue::Text(&sha256)),
        ];
        let mut batch = RawBatch::new(cells.len());
        let mut header = Vec::with_capacity(cells.len());
        for ((name, value), column) in cells.into_iter().zip(&mut batch.columns) {
            header.push(name.to_owned());
            column.push(value);
        }
        CanonicalRows { header, batch }
    }

    /// Reads the bill a second time and hands its lines on as rows of `bill_lines`, in batches. Returns their number.
    ///
    /// # Errors
    /// [`Error::Changed`] when the file is no longer the one inspected, or whatever the sink returns.
    pub fn lines<E: From<Error>>(&self, sink: &mut dyn FnMut(CanonicalRows) -> Result<(), E>) -> Result<u64, E> {
        let header: Vec<String> = LINE_COLUMNS.iter().map(|c| (*c).to_owned()).collect();
        let mut batch = RawBatch::new(header.len());
        let mut rows = 0_u64;
        let bill_on = self.bill_on.map(|d| d.to_string());
        let frame = line::Frame {
            bill_ref: &self.bill_ref,
            kind: self.layout.kind(),
            mch_id: self.mch_id.as_deref(),
            bill_on: bill_on.as_deref(),
        };
        let walked = framing::walk(&self.path, &mut |line_no, found, fields| {
            let Ok(parsed) = fields.and_then(|f| Parsed::new(found, f)) else { return Ok(()) };
            parsed.push(&frame, line_no, &mut batch);
            rows += 1;
            // Adding up every column's bytes after each line would cost more than the line itself.
            if rows.is_multiple_of(64) && batch.is_full() {
                let full = std::mem::replace(&mut batch, RawBatch::new(header.len()));
                sink(CanonicalRows { header: header.clone(), batch: full })?;
            }
            Ok::<(), E>(())
        })?;
        if walked.sha256 != self.sha256 {
            return Err(Error::Changed { file: self.file.clone() }.into());
        }
        sink(CanonicalRows { header, batch })?;
        Ok(rows)
    }
}

fn optional(text: &Option<String>) -> RawValue<'_> {
    text.as_deref().map_or(RawValue::Null, RawValue::Text)
}

#[cfg(test)]
mod tests;
