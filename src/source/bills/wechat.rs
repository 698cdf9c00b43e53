//! WeChat Pay's bills: backticks, the summary at the end, trade and fund-flow lines.
//!
//! WeChat Pay writes UTF-8 with a byte order mark and CRLF; every value is preceded by one backtick and nothing is
//! quoted, so a comma inside a text is no separator but comma plus backtick is. Copies that other programs saved are
//! read as far as they can be read without guessing, and what is unusual about them is noted.

use bstr::ByteSlice as _;

use super::cells;
use super::layout::{BillKind, Field, Header, plain_name};
use super::line::{Direction, Each, Line};
use super::refusal::Refusal;
use super::stream::{LineEnd, Lines, Text};
use super::totals::Footer;
use super::walk::{Contents, Notes, of_start};
use crate::source::Error;

/// Blank lines before the header, at most.
const BLANK_LINES_MAX: usize = 100;
/// Totals of a summary, at most.
const TOTALS_MAX: usize = 64;

/// Names of a header line without marks, quotes and backticks; whether another program has quoted them.
fn header_names(line: &str) -> (Vec<String>, bool) {
    let line = line.trim_start_matches(['\u{feff}', '?']);
    // A line of a bill has a few dozen names; what has many more is none.
    (line.split(',').take(1_000).map(plain_name).collect(), line.contains(['"', '`']))
}

/// Reads up to and including the header.
fn header(lines: &mut Lines, text: &mut Text, notes: &mut Notes) -> Result<Header, Error> {
    let start = of_start(lines);
    let mut names = None;
    for _ in 0..BLANK_LINES_MAX {
        let Some(raw) = lines.next()? else { break };
        note_end(raw.end, notes);
        if raw.bytes.trim_with(|c| matches!(c, ' ' | '\u{feff}')).is_empty() {
            continue;
        }
        let Some(line) = text.settle(raw.bytes) else { break };
        match line.chars().take_while(|c| *c == '\u{feff}').count() {
            0 if line.starts_with('?') => notes.add("byte-order-mark-replaced"),
            0 => notes.add("byte-order-mark-missing"),
            1 => {}
            _ => notes.add("byte-order-mark-repeated"),
        }
        names = Some(header_names(line));
        break;
    }
    let Some((names, is_quoted)) = names else { return Err(lines.refuse(start)) };
    let header = Header::wechat(&names).map_err(|refusal| match refusal {
        // The header says nothing, so the rest of the start may.
        Refusal::Unknown => lines.refuse(start),
        other => lines.refuse(other),
    })?;
    if is_quoted {
        notes.add("resaved-header");
    }
    if text.is_gb18030 {
        notes.add("gb18030");
    }
    Ok(header)
}

fn note_end(end: LineEnd, notes: &mut Notes) {
    match end {
        LineEnd::CrLf | LineEnd::TooLong => {}
        LineEnd::Lf => notes.add("line-feed-only"),
        LineEnd::None => notes.add("last-line-end-missing"),
    }
}

/// Where in the file the walk is.
enum At {
    Details,
    Totals(Vec<String>),
    After,
}

/// Reads a whole bill; hands every detail line on.
pub(super) fn walk<E: From<Error>>(lines: &mut Lines, each: Each<'_, E>) -> Result<Contents, E> {
    let mut notes = Notes::default();
    let mut text = Text::default();
    let header = header(lines, &mut text, &mut notes)?;
    notes.of_header(&header);
    let mut splitter = Splitter { text_index: text_index(&header), ..Splitter::default() };
    let mut at = At::Details;
    let mut footer = Footer::new();
    let mut line_no = 0;
    let file = lines.file().to_owned();
    while let Some(raw) = lines.next()? {
        if raw.end == LineEnd::TooLong {
            line_no += 1;
            each(line_no, Err("line-too-long"))?;
            continue;
        }
        note_end(raw.end, &mut notes);
        let is_last = raw.end == LineEnd::None;
        let Some(line) = text.of(raw.bytes) else {
            line_no += 1;
            each(line_no, Err("not-text"))?;
            continue;
        };
        let line = line.trim_start_matches('\u{feff}');
        // The commonest line by far: one value after another, each with its backtick.
        let is_value = line.starts_with('`');
        if !is_value && line.trim().is_empty() {
            continue;
        }
        let bare = line.trim_start_matches(['?', '"', '`']);
        if bare.starts_with("总交易单数") || bare.starts_with("资金流水总笔数") {
            at = At::Totals(header_names(line).0);
        } else if !is_value && (bare.starts_with("交易时间,") || bare.starts_with("记账时间,")) {
            // Several files joined into one.
            let again = Header::wechat(&header_names(line).0).ok();
            if again.is_none_or(|h| h.layout != header.layout || h.width != header.width) {
                return Err(Error::Refused { file, refusal: Refusal::Joined }.into());
            }
            notes.add("several-files-joined");
            at = At::Details;
        } else {
            match &at {
                At::Totals(names) => {
                    if !splitter.totals(line, names, &mut footer) {
                        notes.add("summary-damaged");
                    }
                    at = At::After;
                }
                At::After => notes.add("lines-after-summary"),
                At::Details => {
                    line_no += 1;
                    let parsed = match splitter.split(line, header.width) {
                        Ok(fields) => parse(&header, &fields, &mut notes),
                        Err(reason) => Err(reason),
                    };
                    if is_last && parsed.is_err() {
                        notes.add("last-line-cut-off");
                    }
                    each(line_no, parsed.as_ref().map_err(|reason| *reason))?;
                }
            }
        }
    }
    let is_partial = footer.is_empty();
    if is_partial {
        notes.add("summary-missing");
    }
    Ok(Contents { footer, is_partial, ..Contents::new(header.layout, notes, header.unknown) })
}

/// Index of the free text into which surplus parts of a line are rejoined.
fn text_index(header: &Header) -> Option<usize> {
    header.position(Field::Note).or(header.position(Field::Goods))
}

/// The cells of one detail line.
#[derive(Debug, Clone, Copy)]
struct Fields<'a> {
    text: &'a str,
    ranges: &'a [(usize, usize)],
    /// Surplus parts were put back into the free-text cell.
    is_rejoined: bool,
    /// The line does not have the platform's delimiters.
    is_resaved: bool,
}

impl<'a> Fields<'a> {
    /// A cell by its position; empty beyond the end.
    fn get(&self, index: usize) -> &'a str {
        self.ranges.get(index).map_or("", |(start, end)| &self.text[*start..*end])
    }
}

/// Splits lines without allocating for each.
#[derive(Debug, Default)]
struct Splitter {
    text: String,
    ranges: Vec<(usize, usize)>,
    text_index: Option<usize>,
}

impl Splitter {
    /// Cells of a detail line.
    fn split<'a>(&'a mut self, line: &'a str, width: usize) -> Result<Fields<'a>, &'static str> {
        let is_resaved = !line.starts_with('`');
        self.cells(line);
        let parts = self.ranges.len();
        let mut is_rejoined = false;
        if parts < width {
            return Err("too-few-cells");
        }
        if parts > width {
            // Only a free text can hold the separator; everything right of it is counted from the end.
            match self.text_index {
                Some(index) if !is_resaved => {
                    let surplus = parts - width;
                    self.ranges[index].1 = self.ranges[index + surplus].1;
                    self.ranges.drain(index + 1..=index + surplus);
                    is_rejoined = true;
                }
                _ => return Err("too-many-cells"),
            }
        }
        let text = line.strip_prefix('`').unwrap_or(&self.text);
        Ok(Fields { text, ranges: &self.ranges, is_rejoined, is_resaved })
    }

    /// Adds the totals of a summary line; false when it does not have the form its names promise.
    fn totals(&mut self, line: &str, names: &[String], footer: &mut Footer) -> bool {
        self.cells(line);
        let text = line.strip_prefix('`').unwrap_or(&self.text);
        for (name, (start, end)) in names.iter().zip(&self.ranges).take(TOTALS_MAX) {
            // Documentation prints counts as `20.0`; millionths hold both forms.
            let value = cells::millionths(text[*start..*end].trim());
            let sum = match footer.get(name) {
                None => value,
                Some(earlier) => earlier.zip(value).and_then(|(a, b)| a.checked_add(b)),
            };
            footer.insert(name.clone(), sum);
        }
        self.ranges.len() == names.len()
    }

    fn cells(&mut self, line: &str) {
        self.ranges.clear();
        match line.strip_prefix('`') {
            Some(rest) => self.platform_cells(rest),
            None => self.resaved_cells(line),
        }
    }

    /// Comma plus backtick separates; nothing is quoted. The ranges are those of the line behind its first backtick.
    fn platform_cells(&mut self, line: &str) {
        let bytes = line.as_bytes();
        let (mut start, mut from) = (0, 0);
        while let Some(found) = bytes[from..].find_byte(b'`') {
            let at = from + found;
            if at > start && bytes[at - 1] == b',' {
                self.ranges.push((start, at - 1));
                start = at + 1;
            }
            from = at + 1;
        }
        self.ranges.push((start, line.len()));
    }

    /// Commas separate, double quotes quote, a backtick before a value is dropped. The ranges are those of `text`.
    fn resaved_cells(&mut self, line: &str) {
        self.text.clear();
        let mut rest = line;
        loop {
            let start = self.text.len();
            let after = match rest.strip_prefix('"') {
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(rest[..end].strip_prefix('`').unwrap_or(&rest[..end]));
                    &rest[end..]
                }
                Some(quoted) => unquote(quoted.strip_prefix('`').unwrap_or(quoted), &mut self.text),
            };
            self.ranges.push((start, self.text.len()));
            match after.split_once(',') {
                Some((_, more)) => rest = more,
                None => return,
            }
        }
    }
}

/// Appends a quoted value, of which the opening quote is gone; returns what follows the closing one.
pub(super) fn unquote<'a>(mut quoted: &'a str, out: &mut String) -> &'a str {
    loop {
        let end = quoted.find('"').unwrap_or(quoted.len());
        out.push_str(&quoted[..end]);
        quoted = quoted.get(end + 1..).unwrap_or("");
        match quoted.strip_prefix('"') {
            Some(more) => {
                out.push('"');
                quoted = more;
            }
            None => return quoted,
        }
    }
}

/// Reads the cells; fails with a closed code when time, money or direction cannot be read.
fn parse<'a>(header: &Header, fields: &Fields<'a>, notes: &mut Notes) -> Result<Line<'a>, &'static str> {
    let cell = |field| header.position(field).map(|i| fields.get(i)).filter(|s| !s.is_empty());
    // WeChat prints `0` where there is no sub-merchant and no refund.
    let unless_zero = |field| cell(field).filter(|s| *s != "0");
    let money = |field| match cell(field) {
        None => Ok(None),
        Some(text) => match cells::fen(text) {
            Some(fen) if fen >= 0 => Ok(Some(fen)),
            _ => Err("amount-unreadable"),
        },
    };
    let kind = header.layout.kind();
    let is_fund = kind == BillKind::Fund;
    // In refund bills the first column may be the time of the payment, so the refund's own time counts.
    let time_field = if kind == BillKind::Refund { Field::RefundAppliedAt } else { Field::Time };
    let occurred = cell(time_field).and_then(cells::time).ok_or("time-unreadable")?;
    let direction = match (is_fund, cell(Field::Direction)) {
        (false, _) => None,
        (true, Some("收入")) => Some(Direction::In),
        (true, Some("支出")) => Some(Direction::Out),
        (true, _) => return Err("direction-unknown"),
    };
    let fee_e6 = match (cell(Field::Fee), cell(Field::FeeReturned)) {
        (Some(text), _) => Some(cells::millionths(text).ok_or("amount-unreadable")?),
        // A column that only ever gives back may print it either way round.
        (None, Some(text)) => Some(-cells::millionths(text).ok_or("amount-unreadable")?.abs()),
        (None, None) => None,
    };
    let amount_fen = money(Field::Amount)?;
    if amount_fen.is_none() {
        return Err("amount-unreadable");
    }
    let rate = cell(Field::Rate);
    let rate_e8 = rate.and_then(cells::rate_e8);
    let is_refund = cell(Field::State) == Some("REFUND");
    let coupon_refund_fen = money(Field::CouponRefund)?;
    let is_fund_refund =
        is_fund && [Field::BusinessName, Field::BusinessKind].into_iter().filter_map(cell).any(|s| s.contains("退款"));
    let (channel_trade_no, channel_refund_no) = match (is_fund, is_fund_refund) {
        (false, _) => (cell(Field::TradeNo), unless_zero(Field::RefundNo)),
        // On refund rows the business number is the refund and the flow number the original payment.
        (true, true) => (cell(Field::FlowNo), cell(Field::BusinessNo)),
        (true, false) => (cell(Field::BusinessNo), None),
    };
    let currency = if is_fund { Some("CNY") } else { cell(Field::Currency) };
    let line = Line {
        occurred: Some(occurred),
        mch_id: cell(Field::MchId),
        sub_mch_id: unless_zero(Field::SubMchId),
        out_trade_no: cell(if is_fund { Field::Voucher } else { Field::OutTradeNo }),
        channel_trade_no,
        out_refund_no: unless_zero(Field::OutRefundNo),
        channel_refund_no,
        trade_kind: cell(if is_fund { Field::BusinessKind } else { Field::Kind }),
        state: cell(if is_fund { Field::BusinessName } else { Field::State }),
        refund_state: cell(Field::RefundState),
        amount_fen,
        order_fen: money(Field::Order)?,
        refund_fen: money(Field::Refund)?,
        coupon_fen: if is_refund { coupon_refund_fen } else { money(Field::Coupon)? },
        coupon_refund_fen,
        refund_applied_fen: money(Field::RefundApplied)?,
        fee_e6,
        rate_e8,
        currency,
        direction,
        balance_fen: money(Field::Balance)?,
        payer: cell(Field::Payer),
        app_id: cell(Field::AppId),
        bank: cell(Field::Bank),
        device: cell(Field::Device),
        applicant: cell(Field::Applicant),
        goods: cell(Field::Goods),
        note: cell(Field::Note),
        is_refund,
        is_unclassified: false,
        is_resaved: fields.is_resaved,
    };
    if fields.is_rejoined {
        notes.add("rejoined-text");
    }
    if fields.is_resaved {
        notes.add("resaved-line");
    }
    if rate.is_some() && rate_e8.is_none() {
        notes.add("unreadable-rate");
    }
    if currency.is_some_and(|c| c != "CNY") {
        notes.add("foreign-currency");
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The separator is comma plus backtick and nothing else.
    #[test]
    fn splitting() {
        let mut splitter = Splitter { text_index: Some(1), ..Splitter::default() };
        for (line, width, expected) in [
            ("`a,`b,`c", 3, vec!["a", "b", "c"]),
            ("`,`,`", 3, vec!["", "", ""]),
            ("`a,`{\"x\":\"1,2\"},`c", 3, vec!["a", "{\"x\":\"1,2\"}", "c"]),
            ("`a,`x,`y,`c", 3, vec!["a", "x,`y", "c"]),
            ("``,``x`,`c", 3, vec!["`", "`x`", "c"]),
            ("a,\"b,\"\"q\"\"\",c", 3, vec!["a", "b,\"q\"", "c"]),
            ("\"`a\",`b,c", 3, vec!["a", "b", "c"]),
        ] {
            let fields = splitter.split(line, width).unwrap();
            let cells: Vec<&str> = (0..width).map(|i| fields.get(i)).collect();
            assert_eq!(cells, expected, "{line}");
        }
        assert_eq!(splitter.split("`a,`b", 3).unwrap_err(), "too-few-cells");
        assert_eq!(splitter.split("a,b,c,d", 3).unwrap_err(), "too-many-cells");
    }
}
