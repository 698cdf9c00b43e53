//! UnionPay's merchant files: ZM (trades), ZME (disputed entries) and RD (the settlement summary for people).
//!
//! ZM and ZME are records of fixed width in bytes, GBK inside: bytes are cut first and decoded after, because a cut by
//! characters shifts everything behind a Chinese text. Amounts are fen. The settlement day runs from about 23:00 to
//! 23:00, so the day of a file and the days of its rows differ; both are kept. ZME has no verified field names: its
//! records are kept as they are, with the card number masked.

use chrono::NaiveDate;

use super::cells;
use super::layout::Layout;
use super::line::{Direction, Each, Line};
use super::stream::{LineEnd, Lines, Text, decode};
use super::totals::names;
use super::walk::{Contents, Notes};
use crate::source::Error;

/// Title of the settlement summary.
const RD_TITLE: &str = "中国银联全渠道商户交易汇总表";
/// Bytes of a ZM record: two forms of 607 and one of 608.
const ZM_BYTES: std::ops::RangeInclusive<usize> = 607..=608;
/// Bytes that a ZM record must have for its first forty fields.
const ZM_FIELDS_END: usize = 475;
/// Bytes of a ZME record.
const ZME_BYTES: usize = 339;
/// Where each of the first forty fields of a ZM record ends; a blank follows.
const ZM_ENDS: [usize; 40] = [
    3, 15, 27, 34, 45, 65, 78, 83, 86, 108, 111, 144, 147, 154, 165, 179, 193, 198, 214, 217, 220, 227, 230, 235, 268,
    270, 292, 308, 310, 326, 359, 373, 387, 396, 429, 443, 457, 470, 473, 475,
];
/// Where each field of a ZME record but the last ends.
const ZME_ENDS: [usize; 21] =
    [3, 15, 27, 34, 45, 65, 78, 83, 86, 89, 96, 107, 112, 125, 139, 153, 169, 185, 187, 200, 203];
/// Totals of a settlement summary that are compared; it has two.
const TOTALS_MAX: usize = 8;
/// Digits in a row from which an account is a full card number.
const CARD_DIGITS: usize = 12;

/// Whether a blank follows every field, as far as the line goes.
fn is_record(line: &[u8], ends: &[usize]) -> bool {
    line.first().is_some_and(u8::is_ascii_alphanumeric)
        && ends.iter().all(|end| line.get(*end).is_none_or(|b| *b == b' '))
}

/// The layout of a file, if it is one of UnionPay's.
pub(super) fn layout_of(start: &[u8], name: &str) -> Option<Layout> {
    let line = &start[..start.iter().position(|b| *b == b'\n').unwrap_or(start.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if start.is_empty() {
        // A file of no records says nothing; its name says what it would hold.
        return match kind_in_name(name) {
            Some("ZM") => Some(Layout::UnionpayZm),
            Some("ZME") => Some(Layout::UnionpayZme),
            _ => None,
        };
    }
    if line.len() == ZME_BYTES && is_record(line, &ZME_ENDS) {
        return Some(Layout::UnionpayZme);
    }
    // A re-saved copy may have lost the blanks at the end; the fields before them are what is read.
    if (ZM_FIELDS_END..=*ZM_BYTES.end()).contains(&line.len()) && is_record(line, &ZM_ENDS) {
        return Some(Layout::UnionpayZm);
    }
    let mut text = String::new();
    let head = &start[..start.len().min(2_000)];
    let is_rd = decode_lossy(head, &mut text).contains(RD_TITLE);
    is_rd.then_some(Layout::UnionpayRd)
}

fn decode_lossy<'a>(bytes: &'a [u8], out: &'a mut String) -> &'a str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            out.push_str(&encoding_rs::GB18030.decode_without_bom_handling(bytes).0);
            out
        }
    }
}

/// `ZM` or `ZME` of a name like `INN15090588ZM_802310048993424`.
fn kind_in_name(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("INN")?;
    rest.split('_').next()?.get(8..)
}

/// Whether a name is that of a file for acquirers: `IND…ACOM`, `…ACOMN`, `…ERR…`.
pub(super) fn is_of_institution(name: &str) -> bool {
    name.starts_with("IND") && ["ACOM", "ERR"].iter().any(|word| name.contains(word))
}

/// The settlement day in a name: `INN150905…` or `RD2010150905…`.
fn day_in_name(name: &str) -> Option<NaiveDate> {
    let digits = name.strip_prefix("INN").or_else(|| name.strip_prefix("RD2010"))?.as_bytes().get(..6)?;
    let number = |range: std::ops::Range<usize>| cells::number(&digits[range]);
    cells::day(2_000 + number(0..2)?, number(2..4)?, number(4..6)?)
}

/// The merchant number behind the underscore of a name.
fn merchant_in_name(name: &str) -> Option<String> {
    let number = name.split_once('_')?.1.split('.').next()?;
    (number.len() == 15 && number.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| number.to_owned())
}

/// Reads a whole file; hands every record on.
pub(super) fn walk<E: From<Error>>(
    lines: &mut Lines,
    layout: Layout,
    name: &str,
    each: Each<'_, E>,
) -> Result<Contents, E> {
    let mut contents = Contents::new(layout, Notes::default(), Vec::new());
    contents.mch_id = merchant_in_name(name);
    contents.period = day_in_name(name).map(|day| (day, day));
    if layout == Layout::UnionpayRd {
        summary(lines, &mut contents)?;
        return Ok(contents);
    }
    let mut line_no = 0;
    let mut scratch = Scratch::default();
    while let Some(raw) = lines.next()? {
        if raw.end == LineEnd::Lf {
            contents.notes.add("line-feed-only");
        }
        if raw.end != LineEnd::TooLong && raw.bytes.trim_ascii().is_empty() {
            continue;
        }
        line_no += 1;
        let parsed = match (raw.end, layout) {
            (LineEnd::TooLong, _) => Err("line-too-long"),
            (_, Layout::UnionpayZm) => trade(raw.bytes, &mut scratch, &mut contents.notes),
            _ => dispute(raw.bytes, &mut scratch),
        };
        if parsed.is_err() && raw.end == LineEnd::None {
            contents.notes.add("last-line-cut-off");
            contents.is_partial = true;
        }
        each(line_no, parsed.as_ref().map_err(|reason| *reason))?;
    }
    if layout == Layout::UnionpayZme {
        contents.notes.count("disputed-entries", line_no);
    }
    Ok(contents)
}

/// Texts that are not plain ASCII, and accounts that had to be masked.
#[derive(Debug, Default)]
struct Scratch {
    account: String,
    note: String,
    name: String,
}

/// The bytes of a field, without the blanks that pad it.
fn field(line: &[u8], from: usize, length: usize) -> &[u8] {
    line.get(from..(from + length).min(line.len())).unwrap_or_default().trim_ascii()
}

fn ascii(line: &[u8], from: usize, length: usize) -> Option<&str> {
    std::str::from_utf8(field(line, from, length)).ok().filter(|s| !s.is_empty())
}

/// Digits as fen.
fn fen(bytes: &[u8]) -> Result<i64, &'static str> {
    std::str::from_utf8(bytes).ok().and_then(cells::fen_digits).ok_or("amount-unreadable")
}

/// A letter and digits: `C` towards the merchant, `D` from it, a blank with zero for nothing.
fn signed(line: &[u8], from: usize, length: usize) -> Result<i64, &'static str> {
    let bytes = line.get(from..from + length).ok_or("record-length")?;
    let (letter, digits) = bytes.split_first().ok_or("record-length")?;
    let amount = fen(digits.trim_ascii())?;
    match (letter, amount) {
        (b'C', n) => Ok(n),
        (b'D', n) => Ok(-n),
        (b' ', 0) => Ok(0),
        _ => Err("sign-unknown"),
    }
}

/// Masks an account that is a full card number; the rest stays.
fn mask(account: &str, out: &mut String) -> bool {
    let longest = account.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if longest < CARD_DIGITS {
        return false;
    }
    out.clear();
    let count = account.chars().count();
    out.extend(account.chars().enumerate().map(|(i, c)| if i < 6 || i + 4 >= count { c } else { '*' }));
    true
}

/// A record of a ZM file.
fn trade<'a>(line: &'a [u8], scratch: &'a mut Scratch, notes: &mut Notes) -> Result<Line<'a>, &'static str> {
    if !ZM_BYTES.contains(&line.len()) {
        if line.len() < ZM_FIELDS_END || line.len() > *ZM_BYTES.end() {
            return Err("record-length");
        }
        notes.add("short-record");
    }
    if !is_record(line, &ZM_ENDS) {
        return Err("record-shape");
    }
    let query = ascii(line, 87, 21).ok_or("number-missing")?;
    let occurred = query.as_bytes().get(..14).and_then(cells::compact_time).ok_or("time-unreadable")?;
    let amount = fen(field(line, 66, 12))?;
    let fee = -signed(line, 166, 13)?;
    let settled = signed(line, 180, 13)?;
    let coupon = signed(line, 430, 13)?.abs();
    let code = ascii(line, 0, 3).ok_or("code-missing")?;
    // The letter of the settled amount says which way the money went; of nothing, the code says it.
    let is_out = if settled == 0 { code == "S30" } else { settled < 0 };
    let (state, is_unclassified) = match code {
        "S22" | "S56" => ("SUCCESS", is_out),
        "S30" => ("REFUND", !is_out),
        _ => ("UNCLASSIFIED", true),
    };
    let state = if is_unclassified { "UNCLASSIFIED" } else { state };
    notes.count("unclassified-code", u64::from(is_unclassified));
    let gross = if is_out { -amount } else { amount };
    notes.count("net-differs", u64::from(gross - fee != settled));
    let trace = [field(line, 35, 10), field(line, 28, 6)].concat();
    notes.count("query-number-differs", u64::from(query.as_bytes().get(4..20) != Some(trace.as_slice())));
    let account = ascii(line, 46, 19);
    let payer = match account {
        Some(account) if mask(account, &mut scratch.account) => {
            notes.add("full-card-number");
            Some(scratch.account.as_str())
        }
        other => other,
    };
    scratch.note.clear();
    let own = field(line, 397, 32);
    if !decode(own, &mut scratch.note) {
        scratch.note.clear();
        notes.add("text-unreadable");
    }
    let original_order = ascii(line, 476, 32);
    let order = ascii(line, 112, 32);
    let (out_trade_no, out_refund_no) = if is_out { (original_order, order) } else { (order, None) };
    let (channel_trade_no, channel_refund_no) =
        if is_out { (ascii(line, 271, 21), Some(query)) } else { (Some(query), None) };
    Ok(Line {
        occurred: Some(occurred),
        mch_id: ascii(line, 293, 15),
        sub_mch_id: ascii(line, 311, 15).filter(|s| s.bytes().any(|b| b != b'0')),
        out_trade_no,
        channel_trade_no,
        out_refund_no,
        channel_refund_no,
        trade_kind: Some(code),
        state: Some(state),
        // Only successful trades are listed.
        refund_state: (is_out && !is_unclassified).then_some("SUCCESS"),
        amount_fen: Some(if is_out { 0 } else { amount }),
        order_fen: Some(if is_out { 0 } else { amount }),
        refund_fen: Some(if is_out { amount } else { 0 }),
        coupon_fen: Some(coupon),
        refund_applied_fen: is_out.then_some(amount),
        fee_e6: fee.checked_mul(10_000),
        currency: Some("CNY"),
        direction: Some(if is_out { Direction::Out } else { Direction::In }),
        payer,
        device: ascii(line, 388, 8),
        note: Some(scratch.note.as_str()).filter(|s| !s.is_empty()),
        is_refund: is_out,
        is_unclassified,
        ..Line::default()
    })
}

/// A record of a ZME file: the code and the record itself, with the account masked.
fn dispute<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Line<'a>, &'static str> {
    if line.len() != ZME_BYTES || !is_record(line, &ZME_ENDS) {
        return Err("record-length");
    }
    scratch.note.clear();
    if !decode(&line[..46], &mut scratch.note) {
        return Err("not-text");
    }
    scratch.name.clear();
    if !decode(field(line, 46, 19), &mut scratch.name) {
        return Err("not-text");
    }
    let account = if mask(&scratch.name, &mut scratch.account) { &scratch.account } else { &scratch.name };
    scratch.note.push_str(account);
    if !decode(&line[65..], &mut scratch.note) {
        return Err("not-text");
    }
    Ok(Line {
        trade_kind: ascii(line, 0, 3),
        state: Some("DISPUTE"),
        currency: Some("CNY"),
        note: Some(scratch.note.as_str()),
        is_unclassified: true,
        ..Line::default()
    })
}

/// Reads the summary for people: rows of a name and seven numbers, each of two tables ending in a total.
fn summary(lines: &mut Lines, contents: &mut Contents) -> Result<(), Error> {
    let mut text = Text::default();
    let (mut is_settled, mut totals) = (false, Vec::new());
    while let Some(raw) = lines.next()? {
        let is_ascii = raw.bytes.is_ascii();
        let decoded = if is_settled || is_ascii { text.of(raw.bytes) } else { text.settle(raw.bytes) };
        is_settled |= !is_ascii;
        let Some(line) = decoded else {
            contents.notes.add("not-text");
            continue;
        };
        let after = |marker: &str| line.split_once(marker).and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(number) = after("商户代码:") {
            contents.mch_id = Some(number.chars().filter(char::is_ascii_alphanumeric).take(32).collect());
        }
        if let Some(day) = after("清算日期:").and_then(|d| cells::compact_day(d.as_bytes())) {
            contents.period = Some((day, day));
        }
        let mut words = line.split_whitespace();
        if words.next() == Some("总计") && totals.len() < TOTALS_MAX {
            let figures: Vec<Option<i64>> = words.take(8).map(cells::millionths).collect();
            totals.push(<[Option<i64>; 7]>::try_from(figures).unwrap_or([None; 7]));
        }
    }
    // A file that stops before its second table lacks the second total.
    contents.is_partial = totals.len() < 2;
    if contents.is_partial {
        contents.notes.add("summary-missing");
    }
    contents.notes.count("summary-tables-differ", u64::from(totals.windows(2).any(|pair| pair[0] != pair[1])));
    if let Some([count, debit, credit, charged, returned, net_debit, net_credit]) = totals.first().copied() {
        let less = |a: Option<i64>, b: Option<i64>| a.zip(b).and_then(|(a, b)| a.checked_sub(b));
        for (name, figure) in [
            (names::ROWS, count),
            (names::CREDIT, credit),
            (names::DEBIT, debit),
            (names::FEE_NET, less(charged, returned)),
            (names::SETTLED, less(net_credit, net_debit)),
        ] {
            contents.footer.insert(name.to_owned(), figure);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What file names say, and nothing from names of another form.
    #[test]
    fn names_of_files() {
        let name = "INN15090588ZM_802310048993424";
        assert_eq!((kind_in_name(name), kind_in_name("INN15090588ZME_1")), (Some("ZM"), Some("ZME")));
        assert_eq!(day_in_name(name), NaiveDate::from_ymd_opt(2015, 9, 5));
        assert_eq!(day_in_name("RD201015090501_802310048993424"), NaiveDate::from_ymd_opt(2015, 9, 5));
        assert_eq!(merchant_in_name(name).as_deref(), Some("802310048993424"));
        assert!(is_of_institution("IND15090501ACOM") && !is_of_institution(name));
        for other in ["bill.csv", "INN", "账单_1", "INN15099988ZM_x"] {
            assert_eq!((day_in_name(other), merchant_in_name(other)), (None, None), "{other}");
        }
    }

    /// Full numbers are masked, masked ones stay as they are.
    #[test]
    fn cards() {
        let mut out = String::new();
        assert!(mask("6226090000000048", &mut out));
        assert_eq!(out, "622609******0048");
        assert!(!mask("622609******0048", &mut out));
        assert!(mask("x622609000000004", &mut out));
    }
}
