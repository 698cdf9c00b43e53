//! Reads a bill from its first byte to its last, whatever its form.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use super::container::Member;
use super::layout::{Header, Layout};
use super::line::Each;
use super::refusal::{self, Refusal};
use super::stream::{Digests, Lines};
use super::totals::Footer;
use super::{alipay, unionpay, wechat};
use crate::source::Error;

/// Bytes looked at to say what an unknown file is.
const START_BYTES: usize = 1 << 16;

/// What is unusual about a file, as closed codes with the number of times.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(pub(super) BTreeMap<&'static str, u64>);

impl Notes {
    pub(super) fn add(&mut self, code: &'static str) {
        self.count(code, 1);
    }

    pub(super) fn count(&mut self, code: &'static str, times: u64) {
        if times > 0 {
            *self.0.entry(code).or_default() += times;
        }
    }

    /// How a header differs from the documented one.
    pub(super) fn of_header(&mut self, header: &Header) {
        self.count("unknown-columns", header.unknown.len() as u64);
        self.count("missing-columns", header.missing as u64);
        self.count("reordered-columns", u64::from(header.is_reordered));
    }
}

/// What a bill says besides its lines.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) layout: Layout,
    pub(super) footer: Footer,
    pub(super) notes: Notes,
    /// Names in the header that nothing here knows.
    pub(super) unknown: Vec<String>,
    /// Merchant number that the file states outside its lines.
    pub(super) mch_id: Option<String>,
    /// First and last day that the file states.
    pub(super) period: Option<(NaiveDate, NaiveDate)>,
    /// The end that such a file has is missing.
    pub(super) is_partial: bool,
}

impl Contents {
    pub(super) fn new(layout: Layout, notes: Notes, unknown: Vec<String>) -> Self {
        Self { layout, footer: Footer::new(), notes, unknown, mch_id: None, period: None, is_partial: false }
    }
}

/// What the start of a file that is no bill of a known form says it is.
pub(super) fn of_start(lines: &Lines) -> Refusal {
    refusal::of_start(lines.peek(START_BYTES))
}

/// Reads a whole bill; hands every detail line on as a line or as the closed code of what is wrong with it. SHA-1 is
/// computed only where it is wanted.
pub(super) fn walk<E: From<Error>>(
    path: &Path,
    member: &Member,
    wants_sha1: bool,
    each: Each<'_, E>,
) -> Result<(Contents, Digests), E> {
    let mut lines = Lines::open(path, member, wants_sha1)?;
    let start = lines.peek(START_BYTES);
    if member.is_packed() && refusal::archive_of(start).is_some() {
        return Err(lines.refuse(Refusal::Archive("it holds another archive")).into());
    }
    let mut contents = if let Some(layout) = alipay::layout_of(start) {
        alipay::walk(&mut lines, layout, each)?
    } else if let Some(layout) = unionpay::layout_of(start, member.name()) {
        unionpay::walk(&mut lines, layout, member.name(), each)?
    } else if unionpay::is_of_institution(member.name()) {
        return Err(lines.refuse(Refusal::Institution).into());
    } else {
        wechat::walk(&mut lines, each)?
    };
    let (digests, is_cut_off) = lines.finish()?;
    if is_cut_off {
        contents.notes.add("archive-cut-off");
        contents.is_partial = true;
    }
    Ok((contents, digests))
}
