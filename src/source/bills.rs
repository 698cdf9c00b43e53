//! Platform bills: what a payment platform says happened.
//!
//! Responsible for recognising a bill by its content, for unpacking and reading it in bounded memory, and for
//! delivering its rows, its totals and its own summary side by side as the datasets `bills` and `bill_lines`. A
//! disagreement between rows and summary is data, not an error, and so are files that repeat or overlap. Not
//! responsible for fetching bills or for judging them.
//!
//! Layouts are one closed enum ([`Layout`]): WeChat Pay's trade and fund-flow bills, Alipay's trade and account bills
//! with their summaries, UnionPay's fixed-width files with theirs. Limits: at most 1 MiB a line, 1,000 bills in one
//! archive, no archive inside another; columns that no canonical column receives are named, not kept.

mod alipay;
mod cells;
mod container;
mod layout;
mod line;
mod refusal;
mod relate;
mod stream;
mod totals;
mod unionpay;
mod walk;
mod wechat;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::{CanonicalRows, Error, damage};
use crate::crypto;
use crate::model::Digest;
use crate::rows::{RawBatch, RawValue};

use container::Member;
use line::{LINE_COLUMNS, Line};
use stream::Digests;
use totals::{Footer, Sums};
use walk::Contents;

pub use layout::{BillKind, Layout, Platform};
pub use refusal::Refusal;
pub use relate::relate;
pub use totals::Total;

/// Problems of single lines kept with their number; more are only counted. Also merchant numbers kept per bill.
const KEPT_MAX: usize = 100;

/// What is known about a file besides its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Merchant number; a fund bill does not name it itself.
    pub mch_id: Option<String>,
    /// Account kind of a fund bill, as in `bills.account_kind`.
    pub account_kind: Option<String>,
    /// The day the bill is of.
    pub bill_on: Option<NaiveDate>,
    /// SHA-1 the platform returned for the unpacked bill.
    pub sha1: Option<String>,
    /// SHA-256 of the file as delivered, noted by whoever received it.
    pub sha256: Option<String>,
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
    /// Name of the file, without its folder; `outer.zip!member` inside an archive.
    pub file: String,
    /// Layout recognised by the content.
    pub layout: Layout,
    /// Merchant number, of the rows if they have one, else of the file's frame or name, else as given.
    pub mch_id: Option<String>,
    /// Account kind as given, or as the name of a fund bill says.
    pub account_kind: Option<String>,
    /// The first day, as given, as the file states it, or as most rows have it.
    pub bill_on: Option<NaiveDate>,
    /// The last day; the first one again for a daily bill.
    pub bill_to_on: Option<NaiveDate>,
    /// Nobody stated the day.
    pub is_bill_on_derived: bool,
    /// Another program rewrote the cell delimiters.
    pub is_resaved: bool,
    /// The end that such a file has is missing, or the archive around it is cut off.
    pub is_partial: bool,
    /// Detail lines read; 0 for a bill that repeats another.
    pub rows: u64,
    /// Detail lines that could not be read.
    pub rejected_count: u64,
    /// The first of them.
    pub rejected: Vec<Rejected>,
    /// Whether any row names who caused it.
    pub has_applicants: bool,
    /// Merchant numbers in the rows.
    pub merchant_count: u64,
    /// Rows whose time lies outside the bill's days.
    pub outside_count: u64,
    /// Every total the summary states or the rows give.
    pub totals: Vec<Total>,
    /// Names in the header that no canonical column receives and this program does not know.
    pub unknown_columns: Vec<String>,
    /// What is unusual about the file, as closed codes with the number of times.
    pub notes: BTreeMap<&'static str, u64>,
    /// The bill of which this one is a copy; its lines are not delivered a second time.
    pub repeats: Option<String>,
    /// Other bills of the same platform, kind, account and merchant for the same days.
    pub overlap_count: u64,
    /// SHA-256 of the file as delivered.
    pub sha256: Digest,
    /// SHA-256 of the unpacked bill.
    pub content_sha256: Digest,
    /// SHA-1 of the unpacked bill; WeChat Pay publishes this one.
    pub sha1: String,
    /// SHA-1 as given.
    pub expected_sha1: Option<String>,
    /// SHA-256 of the delivered file as given.
    pub expected_sha256: Option<String>,
    path: PathBuf,
    member: Member,
    sums: Sums,
    footer: Footer,
    fingerprint: u64,
}

/// Reads every bill of a delivered file once: recognises it, adds its rows up and takes its digests.
///
/// # Errors
/// [`Error::Refused`] for anything that is no supported bill, [`Error::Damaged`] when a spreadsheet has destroyed
/// order numbers, [`Error::File`].
pub fn inspect(path: &Path, given: &Given) -> Result<Vec<Bill>, Error> {
    let members = container::members(path)?;
    let is_alone = members.len() == 1;
    let delivered = match members.iter().any(Member::is_packed) {
        true => Some(crypto::sha256_file(path)?.0),
        false => None,
    };
    let mut bills = Vec::with_capacity(members.len());
    for member in members {
        let mut first = FirstReading::default();
        let (contents, digests) = walk::walk(path, &member, true, &mut |line_no, line| {
            first.take(line_no, line);
            Ok::<(), Error>(())
        })?;
        if !first.damaged.is_empty() {
            return Err(Error::Damaged { file: member.file, places: first.damaged });
        }
        let mut bill = first.finish(path, member, given, contents, digests);
        if let Some(sha256) = delivered {
            bill.sha256 = sha256;
        }
        if !is_alone && bill.expected_sha1.take().is_some() {
            // One digest cannot be that of several bills.
            bill.notes.insert("stated-digest-unused", 1);
        }
        bills.push(bill);
    }
    Ok(bills)
}

/// Rows per day, for days that begin some minutes before midnight.
#[derive(Debug, Default)]
struct Days {
    rows: BTreeMap<NaiveDate, u64>,
    /// The day of the latest row, which most often is that of the next one.
    latest: Option<(NaiveDate, u64)>,
}

impl Days {
    fn add(&mut self, at: NaiveDateTime, minutes_early: i64) {
        let day = match minutes_early {
            0 => at.date(),
            minutes => at.checked_add_signed(TimeDelta::minutes(minutes)).unwrap_or(at).date(),
        };
        match &mut self.latest {
            Some((latest, n)) if *latest == day => *n += 1,
            _ => {
                self.settle();
                self.latest = Some((day, 1));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((day, n)) = self.latest.take() {
            *self.rows.entry(day).or_default() += n;
        }
    }

    /// The commonest day; of equally common ones the earliest.
    fn commonest(&self) -> Option<NaiveDate> {
        self.rows.iter().max_by_key(|(day, n)| (**n, std::cmp::Reverse(**day))).map(|(day, _)| *day)
    }

    fn count(&self, is_counted: impl Fn(NaiveDate) -> bool) -> u64 {
        self.rows.iter().filter(|(day, _)| is_counted(**day)).map(|(_, n)| n).sum()
    }
}

#[derive(Default)]
struct FirstReading {
    rejected_count: u64,
    rejected: Vec<Rejected>,
    damaged: Vec<String>,
    sums: Sums,
    fingerprint: u64,
    /// By the wall clock, and by UnionPay's days: about 23:00, with half an hour's play on either side.
    days: [Days; 4],
    has_applicants: bool,
    merchants: BTreeSet<String>,
    latest_merchant: String,
}

/// Minutes by which the days of [`FirstReading::days`] begin before midnight.
const EARLY: [i64; 4] = [0, 60, 90, 30];

impl FirstReading {
    fn take(&mut self, line_no: u64, line: Result<&Line<'_>, &'static str>) {
        let line = match line {
            Ok(line) => line,
            Err(reason) => {
                self.rejected_count += 1;
                if self.rejected.len() < KEPT_MAX {
                    self.rejected.push(Rejected { line_no, reason });
                }
                return;
            }
        };
        for (name, value) in line.identifiers() {
            let what = match value {
                // The platform writes plain digits; only a re-saved file can have been rounded.
                Some(v) if line.is_resaved => damage::of_identifier(v),
                Some(v) if damage::is_scientific(v) => Some("scientific notation, digits are lost"),
                _ => None,
            };
            if let Some(what) = what
                && self.damaged.len() < damage::PLACES_MAX
            {
                self.damaged.push(format!("detail line {line_no}, column `{name}`: {what}"));
            }
        }
        self.sums.add(line);
        self.has_applicants |= line.applicant.is_some();
        self.fingerprint = self.fingerprint.wrapping_add(line.fingerprint());
        if let Some(at) = line.occurred {
            self.days.iter_mut().zip(EARLY).for_each(|(days, early)| days.add(at, early));
        }
        if let Some(mch_id) = line.mch_id
            && mch_id != self.latest_merchant
        {
            mch_id.clone_into(&mut self.latest_merchant);
            if self.merchants.len() < KEPT_MAX {
                self.merchants.insert(mch_id.to_owned());
            }
        }
    }

    fn finish(mut self, path: &Path, member: Member, given: &Given, contents: Contents, digests: Digests) -> Bill {
        let Contents { layout, footer, notes, unknown, mch_id: of_file, period, is_partial } = contents;
        let mut notes = notes.0;
        self.days.iter_mut().for_each(Days::settle);
        let [by_clock, settled, early, late] = &self.days;
        let (derived, first, last) = match layout.platform() {
            Platform::Unionpay => (settled.commonest(), early, late),
            _ => (by_clock.commonest(), by_clock, by_clock),
        };
        let bill_on = given.bill_on.or(period.map(|(from, _)| from)).or(derived);
        let bill_to_on = match (given.bill_on, period) {
            (None, Some((_, to))) => Some(to),
            (Some(day), Some((from, to))) => {
                if from != day {
                    notes.insert("other-day-than-stated", 1);
                }
                Some(to.max(day))
            }
            _ => bill_on,
        };
        let outside_count = match (bill_on, bill_to_on) {
            (Some(from), Some(to)) => first.count(|day| day < from) + last.count(|day| day > to),
            _ => 0,
        };
        let merchant_count = self.merchants.len() as u64;
        let of_rows = self.merchants.into_iter().next();
        if of_rows.is_some() && of_file.is_some() && of_rows != of_file {
            notes.insert("other-merchant-than-file", 1);
        }
        let found = of_rows.or(of_file);
        if given.mch_id.is_some() && found.is_some() && given.mch_id != found {
            notes.insert("other-merchant-than-stated", 1);
        }
        let mch_id = found.or_else(|| given.mch_id.clone());
        let mut account_kind = given.account_kind.clone();
        if account_kind.is_none() && layout == Layout::WechatFund11 {
            // The file itself does not say which account it is of; its name usually does.
            let name = member.name().to_ascii_lowercase();
            let word = [("basic", "basic"), ("operation", "operation"), ("fees", "fee")];
            account_kind = word.iter().find(|(part, _)| name.contains(part)).map(|(_, kind)| (*kind).to_owned());
            notes.extend(account_kind.is_some().then_some(("account-kind-from-name", 1)));
        }
        let bill_ref = format!(
            "{}-{}-{}-{}-{}",
            layout.platform().word(),
            layout.kind().word(),
            mch_id.as_deref().unwrap_or("unknown"),
            bill_on.map_or_else(|| "unknown".into(), |d| d.format("%Y%m%d").to_string()),
            &digests.sha256.to_string()[..12],
        );
        let is_resaved =
            ["resaved-line", "resaved-header", "quoted-line", "short-record"].iter().any(|n| notes.contains_key(n));
        // What a summary says is compared with the bill it sums up, once all bills are known.
        let totals = if layout.summarises().is_some() { Vec::new() } else { self.sums.compare(layout, &footer) };
        let lower = |digest: &Option<String>| digest.as_ref().map(|s| s.trim().to_ascii_lowercase());
        Bill {
            bill_ref,
            file: member.file.clone(),
            layout,
            mch_id,
            account_kind,
            bill_on,
            bill_to_on,
            is_bill_on_derived: given.bill_on.is_none() && period.is_none() && bill_on.is_some(),
            is_resaved,
            is_partial,
            has_applicants: self.has_applicants,
            rows: self.sums.rows,
            rejected_count: self.rejected_count,
            rejected: self.rejected,
            merchant_count,
            outside_count,
            totals,
            unknown_columns: unknown,
            notes,
            repeats: None,
            overlap_count: 0,
            sha256: digests.sha256,
            content_sha256: digests.sha256,
            sha1: digests.sha1.unwrap_or_default(),
            expected_sha1: lower(&given.sha1),
            expected_sha256: lower(&given.sha256),
            path: path.to_owned(),
            member,
            sums: self.sums,
            footer,
            fingerprint: self.fingerprint,
        }
    }
}

impl Bill {
    /// Whether every total that both sides state is the same.
    pub fn agrees(&self) -> bool {
        self.totals.iter().all(Total::agrees)
    }

    /// The digest that somebody stated, against the file's; `None` when nobody stated one.
    pub fn is_digest_confirmed(&self) -> Option<bool> {
        let (_, expected, actual) = self.digests();
        expected.map(|expected| *expected == actual)
    }

    /// Algorithm, digest stated, digest found: the platform's SHA-1 of the unpacked bill where one was given or could
    /// have been, else SHA-256 of the file as delivered.
    fn digests(&self) -> (&'static str, Option<&String>, String) {
        match (&self.expected_sha1, &self.expected_sha256, self.layout.platform()) {
            (Some(sha1), _, _) => ("sha1", Some(sha1), self.sha1.clone()),
            (None, Some(sha256), _) => ("sha256", Some(sha256), self.sha256.to_string()),
            (None, None, Platform::Wechat) => ("sha1", None, self.sha1.clone()),
            (None, None, _) => ("sha256", None, self.sha256.to_string()),
        }
    }

    /// A total by its canonical column in `bills`: what the rows give, what the summary states.
    fn total(&self, column: &str) -> (Option<i64>, Option<i64>) {
        self.totals.iter().find(|t| t.column == Some(column)).map_or((None, None), |t| (t.computed, t.stated))
    }

    /// Everything unusual, as `code=times` and `unknown-column:NAME`, comma-separated.
    fn notes_text(&self) -> Option<String> {
        let counts = self.notes.iter().map(|(code, n)| format!("{code}={n}"));
        let names = self.unknown_columns.iter().map(|name| format!("unknown-column:{name}"));
        let all: Vec<String> = counts.chain(names).collect();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// The row of the dataset `bills`.
    pub fn row(&self) -> CanonicalRows {
        let day = |day: Option<NaiveDate>| day.map(|d| d.to_string());
        let (bill_on, bill_to_on) = (day(self.bill_on), day(self.bill_to_on));
        let flag = |b: bool| RawValue::Text(if b { "true" } else { "false" });
        let int = |n: Option<i64>| n.map_or(RawValue::Null, RawValue::Int);
        let count = |n: u64| int(i64::try_from(n).ok());
        let (sha256, content_sha256) = (self.sha256.to_string(), self.content_sha256.to_string());
        let (total, stated_total) = self.total("total_fen");
        let (refund, stated_refund) = self.total("refund_fen");
        let (fee, stated_fee) = self.total("fee_e6");
        let (_, stated_count) = self.total("row_count");
        let differing: Vec<&str> = self.totals.iter().filter(|t| !t.agrees()).map(|t| t.name).collect();
        let differing = (!differing.is_empty()).then(|| differing.join(","));
        let notes = self.notes_text();
        let (algorithm, expected, actual) = self.digests();
        let cells = [
            ("bill_ref", RawValue::Text(&self.bill_ref)),
            ("platform", RawValue::Text(self.layout.platform().word())),
            ("bill_kind", RawValue::Text(self.layout.kind().word())),
            ("layout", RawValue::Text(self.layout.name())),
            ("mch_id", optional(&self.mch_id)),
            ("account_kind", optional(&self.account_kind)),
            ("bill_on", optional(&bill_on)),
            ("bill_to_on", optional(&bill_to_on)),
            ("is_bill_on_derived", flag(self.is_bill_on_derived)),
            ("is_resaved", flag(self.is_resaved)),
            ("is_partial", flag(self.is_partial)),
            ("repeats_ref", optional(&self.repeats)),
            ("overlap_count", count(self.overlap_count)),
            ("row_count", count(self.rows)),
            ("stated_count", int(stated_count)),
            ("rejected_count", count(self.rejected_count)),
            ("merchant_count", count(self.merchant_count)),
            ("outside_count", count(self.outside_count)),
            ("total_fen", int(total)),
            ("stated_total_fen", int(stated_total)),
            ("refund_fen", int(refund)),
            ("stated_refund_fen", int(stated_refund)),
            ("fee_e6", int(fee)),
            ("stated_fee_e6", int(stated_fee)),
            ("differing_totals", optional(&differing)),
            ("digest_algorithm", RawValue::Text(algorithm)),
            ("expected_digest", expected.map_or(RawValue::Null, |s| RawValue::Text(s))),
            ("actual_digest", RawValue::Text(&actual)),
            ("file_sha256", RawValue::Text(&sha256)),
            ("content_sha256", RawValue::Text(&content_sha256)),
            ("notes", optional(&notes)),
        ];
        let mut batch = RawBatch::new(cells.len());
        let mut header = Vec::with_capacity(cells.len());
        for ((name, value), column) in cells.into_iter().zip(&mut batch.columns) {
            header.push(name.to_owned());
            column.push(value);
        }
        CanonicalRows { header, batch }
    }

    /// Reads the bill a second time and hands its lines on as rows of `bill_lines`, in batches. Returns their number,
    /// which is 0 for a bill that repeats another.
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
            platform: self.layout.platform(),
            kind: self.layout.kind(),
            mch_id: self.mch_id.as_deref(),
            bill_on: bill_on.as_deref(),
            is_of_several_days: self.bill_on != self.bill_to_on,
        };
        if self.repeats.is_none() {
            let (_, digests) = walk::walk(&self.path, &self.member, false, &mut |line_no, line| {
                let Ok(line) = line else { return Ok(()) };
                line.push(&frame, line_no, &mut batch);
                rows += 1;
                // Adding up every column's bytes after each line would cost more than the line itself.
                if rows.is_multiple_of(64) && batch.is_full() {
                    let full = std::mem::replace(&mut batch, RawBatch::new(header.len()));
                    sink(CanonicalRows { header: header.clone(), batch: full })?;
                }
                Ok::<(), E>(())
            })?;
            if digests.sha256 != self.content_sha256 {
                return Err(Error::Changed { file: self.file.clone() }.into());
            }
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
