//! Alipay's merchant bills: `#` lines around a table, for trades and for the account, each with its summary.
//!
//! The files are GBK; cells may end in tabs; no quoting is documented, so quotes are tried only where plain commas do
//! not give the header's number of cells, and otherwise surplus commas go back into the two free texts. Refunds are
//! printed negative and fees negative when charged; here both are turned round, as in every other bill.

use chrono::NaiveDate;

use super::cells;
use super::layout::{Field, Header, Layout, plain_name};
use super::line::{Direction, Each, Line};
use super::refusal::Refusal;
use super::stream::{LineEnd, Lines, Text};
use super::totals::{Footer, names};
use super::walk::{Contents, Notes};
use super::wechat::unquote;
use crate::source::Error;

/// Surplus cells that are put back into texts, at most.
const SURPLUS_MAX: usize = 64;
/// Cells of a line that are split, at most: a header's, and the surplus.
const CELLS_MAX: usize = 300;
/// Digits that Alipay appends to a merchant's number in its files.
const ACCOUNT_SUFFIX: &str = "0156";

/// The layout that the first line of a file tells, if it is one of Alipay's.
pub(super) fn layout_of(start: &[u8]) -> Option<Layout> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let first = &start[..start.iter().position(|b| *b == b'\n').unwrap_or(start.len()).min(400)];
    let mut text = Text::default();
    let line = text.settle(first)?;
    [
        ("#支付宝业务明细查询", Layout::AlipayTrade25),
        ("#支付宝业务汇总查询", Layout::AlipayTradeSummary12),
        ("#支付宝账务明细查询", Layout::AlipayFund12),
        ("#支付宝账务汇总查询", Layout::AlipayFundSummary6),
    ]
    .into_iter()
    .find(|(marker, _)| line.starts_with(marker))
    .map(|(_, layout)| layout)
}

/// Where in the file the walk is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Frame,
    Table,
    After,
}

/// Reads a whole bill; hands every detail line on.
pub(super) fn walk<E: From<Error>>(lines: &mut Lines, layout: Layout, each: Each<'_, E>) -> Result<Contents, E> {
    let mut text = Text::default();
    let mut contents = Contents::new(layout, Notes::default(), Vec::new());
    let mut header: Option<Header> = None;
    let mut splitter = Splitter::default();
    let mut summary = Summary::default();
    let mut at = At::Frame;
    let mut line_no = 0;
    let mut is_closed = false;
    let (mut is_first, file) = (true, lines.file().to_owned());
    let is_summary = layout.summarises().is_some();
    while let Some(raw) = lines.next()? {
        if raw.end == LineEnd::None {
            contents.notes.add("last-line-end-missing");
        }
        let decoded = if is_first { text.settle(raw.bytes) } else { text.of(raw.bytes) };
        let (Some(line), false) = (decoded, raw.end == LineEnd::TooLong) else {
            line_no += 1;
            each(line_no, Err(if raw.end == LineEnd::TooLong { "line-too-long" } else { "not-text" }))?;
            continue;
        };
        is_first = false;
        let line = line.trim_start_matches('\u{feff}').trim_matches([' ', '\t']);
        if line.trim_matches(',').is_empty() {
            continue;
        }
        if let Some(marker) = line.strip_prefix('#') {
            let marker = marker.trim_end_matches([',', '\t', ' ']);
            if marker.contains("列表结束") {
                is_closed = true;
                at = At::After;
            } else {
                frame(marker, layout, &mut contents);
            }
            continue;
        }
        let Some(header) = &header else {
            let names: Vec<String> = line.split(',').take(CELLS_MAX).map(plain_name).collect();
            let found =
                Header::alipay(layout, &names).map_err(|refusal| Error::Refused { file: file.clone(), refusal })?;
            contents.notes.of_header(&found);
            contents.unknown.clone_from(&found.unknown);
            header = Some(found);
            at = At::Table;
            continue;
        };
        if at == At::After {
            contents.notes.add("lines-after-summary");
            continue;
        }
        let cells = splitter.split(line, header);
        if is_summary {
            match cells {
                Ok(cells) => summary.take(header, &cells, &mut contents.notes),
                Err(_) => contents.notes.add("summary-damaged"),
            }
            continue;
        }
        line_no += 1;
        let parsed = cells.and_then(|cells| {
            if cells.is_rejoined {
                contents.notes.add("rejoined-text");
            }
            if cells.is_quoted {
                contents.notes.add("quoted-line");
            }
            match layout {
                Layout::AlipayTrade25 => trade(header, &cells, &mut contents.notes),
                _ => fund(header, &cells),
            }
        });
        if parsed.is_err() && raw.end == LineEnd::None {
            contents.notes.add("last-line-cut-off");
        }
        each(line_no, parsed.as_ref().map_err(|reason| *reason))?;
    }
    if header.is_none() {
        return Err(Error::Refused { file, refusal: Refusal::MissingColumn("业务类型") }.into());
    }
    if !text.is_gb18030 {
        // Alipay writes GBK, so another program has saved the file.
        contents.notes.add("utf-8");
    }
    if is_summary {
        summary.finish(layout, &mut contents);
    }
    for (total, parts) in
        [(names::ROWS, [names::PAID_COUNT, names::REFUND_COUNT]), (names::ROWS, [names::IN_COUNT, names::OUT_COUNT])]
    {
        if let [Some(a), Some(b)] = parts.map(|name| contents.footer.get(name).copied())
            && !is_summary
        {
            contents.footer.insert(total.to_owned(), a.zip(b).and_then(|(a, b)| a.checked_add(b)));
        }
    }
    let is_partial = contents.footer.is_empty() || !is_closed;
    if is_partial {
        contents.notes.add("summary-missing");
    }
    contents.is_partial = is_partial;
    Ok(contents)
}

/// Takes what a `#` line says.
fn frame(marker: &str, layout: Layout, contents: &mut Contents) {
    if marker.starts_with("账号") {
        let digits: String = bracketed(marker).next().unwrap_or(marker).chars().filter(char::is_ascii_digit).collect();
        let number = digits.strip_suffix(ACCOUNT_SUFFIX).filter(|n| n.len() == 16).unwrap_or(&digits);
        contents.mch_id = Some(number.to_owned()).filter(|n| !n.is_empty());
    } else if marker.starts_with("起始日期") {
        let mut times = bracketed(marker).map(chinese_time);
        if let (Some(Some((from, _))), Some(Some((to, is_midnight)))) = (times.next(), times.next()) {
            // The end is exclusive where it is a midnight.
            let last = if is_midnight && to > from { to.pred_opt().unwrap_or(to) } else { to };
            contents.period = Some((from, last));
        }
    } else if let Some((label, figures)) = marker.split_once("合计") {
        let (count, first, second) = figures_of(figures);
        let list: &[(&str, Option<i64>)] = match (layout, label) {
            (Layout::AlipayTrade25, "交易") => {
                &[(names::PAID_COUNT, count), (names::PAID, first), (names::PAID_COUPON, second)]
            }
            (Layout::AlipayTrade25, "退款") => &[
                (names::REFUND_COUNT, count),
                (names::REFUND, first.map(|n| -n)),
                (names::REFUND_COUPON, second.map(|n| -n)),
            ],
            (Layout::AlipayFund12, "收入") => &[(names::IN_COUNT, count), (names::IN, first)],
            // Printed negative in some files and positive in others.
            (Layout::AlipayFund12, "支出") => &[(names::OUT_COUNT, count), (names::OUT, first.map(i64::abs))],
            _ => return,
        };
        contents.footer.extend(list.iter().map(|(name, value)| ((*name).to_owned(), *value)));
    }
}

/// The texts between `[` and `]`.
fn bracketed(text: &str) -> impl Iterator<Item = &str> {
    text.split('[').skip(1).filter_map(|rest| rest.split_once(']').map(|(inner, _)| inner.trim()))
}

/// `2019年09月16日 00:00:00` as its day and whether the time is midnight.
fn chinese_time(text: &str) -> Option<(NaiveDate, bool)> {
    let (year, rest) = text.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let (day, time) = rest.split_once('日')?;
    let number = |s: &str| cells::number(s.trim().as_bytes());
    let day = cells::day(number(year)?, number(month)?, number(day)?)?;
    Some((day, time.chars().all(|c| matches!(c, '0' | ':' | '：' | ' '))))
}

/// `：6笔，商家实收共0.06元，商家优惠共0.00元`: the count and the amounts, in millionths.
fn figures_of(text: &str) -> (Option<i64>, Option<i64>, Option<i64>) {
    let count = text.split_once('笔').and_then(|(n, _)| cells::millionths(n.trim_matches([':', '：', ' '])));
    let mut amounts =
        text.split('共').skip(1).map(|rest| cells::millionths(rest.split_once('元').map_or("", |(n, _)| n.trim())));
    let first = amounts.next().flatten();
    (count, first, amounts.next().flatten())
}

/// The cells of one line.
#[derive(Debug, Clone, Copy)]
struct Cells<'a> {
    text: &'a str,
    ranges: &'a [(usize, usize)],
    is_rejoined: bool,
    is_quoted: bool,
}

impl<'a> Cells<'a> {
    fn get(&self, index: usize) -> &'a str {
        self.ranges.get(index).map_or("", |(start, end)| self.text[*start..*end].trim_matches([' ', '\t', '`']))
    }

    /// A cell that is not empty.
    fn of(&self, header: &Header, field: Field) -> Option<&'a str> {
        header.position(field).map(|i| self.get(i)).filter(|s| !s.is_empty())
    }
}

/// Splits lines without allocating for each.
#[derive(Debug, Default)]
struct Splitter {
    text: String,
    ranges: Vec<(usize, usize)>,
    spare: Vec<(usize, usize)>,
}

impl Splitter {
    fn split<'a>(&'a mut self, line: &'a str, header: &Header) -> Result<Cells<'a>, &'static str> {
        let width = header.width;
        self.plain(line);
        // A comma at the end of each line is padding, not a cell.
        while self.ranges.len() > width && self.ranges.last().is_some_and(|(a, b)| line[*a..*b].trim().is_empty()) {
            self.ranges.pop();
        }
        if self.ranges.len() == width && !line.starts_with('"') {
            return Ok(Cells { text: line, ranges: &self.ranges, is_rejoined: false, is_quoted: false });
        }
        if line.contains('"') && self.quoted(line) == width {
            return Ok(Cells { text: &self.text, ranges: &self.ranges, is_rejoined: false, is_quoted: true });
        }
        self.plain(line);
        if self.ranges.len() < width {
            return Err("too-few-cells");
        }
        if !self.rejoin(line, header) {
            return Err("too-many-cells");
        }
        Ok(Cells { text: line, ranges: &self.ranges, is_rejoined: true, is_quoted: false })
    }

    fn plain(&mut self, line: &str) {
        self.ranges.clear();
        let mut start = 0;
        for (at, _) in line.match_indices(',').take(CELLS_MAX) {
            self.ranges.push((start, at));
            start = at + 1;
        }
        self.ranges.push((start, line.len()));
    }

    fn quoted(&mut self, line: &str) -> usize {
        self.text.clear();
        self.ranges.clear();
        let mut rest = line;
        while self.ranges.len() <= CELLS_MAX {
            let start = self.text.len();
            let after = match rest.trim_start_matches([' ', '\t']).strip_prefix('"') {
                Some(quoted) => unquote(quoted, &mut self.text),
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    &rest[end..]
                }
            };
            self.ranges.push((start, self.text.len()));
            match after.split_once(',') {
                Some((_, more)) => rest = more,
                None => break,
            }
        }
        self.ranges.len()
    }

    /// Gives surplus cells back to the goods and the remark, so that time and amounts stand where they belong.
    fn rejoin(&mut self, line: &str, header: &Header) -> bool {
        let surplus = self.ranges.len() - header.width;
        let (Some(time), true) = (header.position(Field::Time), surplus <= SURPLUS_MAX) else { return false };
        let amount = header.position(Field::Fee).or(header.position(Field::Balance));
        let mut texts: Vec<usize> =
            [Field::Goods, Field::Note].into_iter().filter_map(|f| header.position(f)).collect();
        texts.sort_unstable();
        let [first, last] = match texts.as_slice() {
            [only] => [*only, *only],
            [first, last] => [*first, *last],
            _ => return false,
        };
        for share in (0..=surplus).rev() {
            let shares = if first == last { [surplus, 0] } else { [share, surplus - share] };
            self.spare.clear();
            let mut next = 0;
            for column in 0..header.width {
                let extra = match column {
                    c if c == first => shares[0],
                    c if c == last => shares[1],
                    _ => 0,
                };
                self.spare.push((self.ranges[next].0, self.ranges[next + extra].1));
                next += extra + 1;
            }
            let cell = |i: usize| line[self.spare[i].0..self.spare[i].1].trim_matches([' ', '\t']);
            let is_placed = cells::time(cell(time)).is_some()
                && amount.is_none_or(|i| cell(i).is_empty() || cells::fen(cell(i)).is_some());
            if is_placed {
                std::mem::swap(&mut self.ranges, &mut self.spare);
                return true;
            }
        }
        false
    }
}

/// Money of a cell; an empty one is no amount.
fn money(cells: &Cells<'_>, header: &Header, field: Field) -> Result<Option<i64>, &'static str> {
    match cells.of(header, field) {
        None => Ok(None),
        Some(text) => cells::fen(text.strip_prefix('+').unwrap_or(text)).map(Some).ok_or("amount-unreadable"),
    }
}

/// A line of 业务明细.
fn trade<'a>(header: &Header, cells: &Cells<'a>, notes: &mut Notes) -> Result<Line<'a>, &'static str> {
    let cell = |field| cells.of(header, field);
    let occurred = cell(Field::Time).and_then(cells::time).ok_or("time-unreadable")?;
    let received = money(cells, header, Field::Amount)?.ok_or("amount-unreadable")?;
    let order = money(cells, header, Field::Order)?.ok_or("amount-unreadable")?;
    let coupon = money(cells, header, Field::Coupon)?;
    let fee_e6 = match cell(Field::Fee) {
        None => None,
        Some(text) => Some(-cells::millionths(text).ok_or("amount-unreadable")?),
    };
    let kind = cell(Field::BusinessKind).ok_or("kind-missing")?;
    let (state, is_refund, is_unclassified) = match kind {
        "交易" => ("SUCCESS", false, false),
        "退款" => ("REFUND", true, false),
        // The sign says which way the money went; no printed total counts it.
        other => {
            notes.add("kind-in-no-total");
            (other, order < 0, true)
        }
    };
    // Refunds are printed negative; a sign that contradicts the kind is damage.
    let (received, order, coupon) =
        if is_refund { (-received, -order, coupon.map(|n| -n)) } else { (received, order, coupon) };
    if received < 0 || order < 0 || coupon.is_some_and(|n| n < 0) {
        return Err("sign-contradicts-kind");
    }
    let request = cell(Field::OutRefundNo);
    Ok(Line {
        occurred: Some(occurred),
        out_trade_no: cell(Field::OutTradeNo),
        channel_trade_no: cell(Field::TradeNo),
        // Alipay has no number of its own for a refund; the merchant's request number is what both sides know.
        out_refund_no: request.filter(|_| is_refund),
        channel_refund_no: request.filter(|_| is_refund),
        trade_kind: Some(kind),
        state: Some(state),
        // Only completed refunds are listed.
        refund_state: (is_refund && !is_unclassified).then_some("SUCCESS"),
        amount_fen: Some(if is_refund { 0 } else { received }),
        order_fen: Some(if is_refund { 0 } else { order }),
        refund_fen: Some(if is_refund { received } else { 0 }),
        coupon_fen: coupon,
        coupon_refund_fen: coupon.filter(|_| is_refund),
        refund_applied_fen: Some(order).filter(|_| is_refund),
        fee_e6,
        currency: Some("CNY"),
        payer: cell(Field::Payer),
        device: cell(Field::Device),
        applicant: cell(Field::Applicant),
        goods: cell(Field::Goods),
        note: cell(Field::Note),
        is_refund,
        is_unclassified,
        is_resaved: cells.is_quoted,
        ..Line::default()
    })
}

/// A line of 账务明细.
fn fund<'a>(header: &Header, cells: &Cells<'a>) -> Result<Line<'a>, &'static str> {
    let cell = |field| cells.of(header, field);
    let occurred = cell(Field::Time).and_then(cells::time).ok_or("time-unreadable")?;
    let received = money(cells, header, Field::In)?.unwrap_or(0);
    let spent = money(cells, header, Field::Out)?.unwrap_or(0).checked_abs().ok_or("amount-unreadable")?;
    let (amount, direction) = match (received, spent) {
        (0, spent) => (spent, Direction::Out),
        (received, 0) if received > 0 => (received, Direction::In),
        _ => return Err("direction-unknown"),
    };
    let kind = cell(Field::BusinessKind);
    let balance = money(cells, header, Field::Balance)?;
    Ok(Line {
        occurred: Some(occurred),
        out_trade_no: cell(Field::OutTradeNo),
        channel_trade_no: cell(Field::BusinessNo),
        trade_kind: kind,
        state: kind,
        amount_fen: Some(amount),
        currency: Some("CNY"),
        direction: Some(direction),
        // The schema has no negative balance; an overdrawn account is told by its lines.
        balance_fen: balance.filter(|n| *n >= 0),
        payer: cell(Field::Payer),
        goods: cell(Field::Goods),
        note: cell(Field::Note),
        is_refund: direction == Direction::Out,
        is_resaved: cells.is_quoted,
        ..Line::default()
    })
}

/// Figures of a summary file: what its last row says, and what the rows before it add up to.
#[derive(Debug, Default)]
struct Summary {
    stated: Vec<Figure>,
    added: Vec<Figure>,
}

/// A column and what stands in it, in millionths.
type Figure = (Field, Option<i64>);

/// Columns of a summary that hold figures.
const FIGURES: [Field; 9] = [
    Field::PaidCount,
    Field::RefundCount,
    Field::Order,
    Field::Amount,
    Field::Fee,
    Field::InCount,
    Field::In,
    Field::OutCount,
    Field::Out,
];

impl Summary {
    fn take(&mut self, header: &Header, cells: &Cells<'_>, notes: &mut Notes) {
        let name = cells.of(header, Field::StoreNo).or(cells.of(header, Field::GroupName)).unwrap_or_default();
        let figures = FIGURES.iter().filter(|f| header.position(**f).is_some()).map(|f| {
            let text = cells.of(header, *f).unwrap_or("0");
            (*f, cells::millionths(text.strip_prefix('+').unwrap_or(text)))
        });
        if name.contains("合计") {
            if !self.stated.is_empty() {
                notes.add("summary-repeated");
            }
            self.stated = figures.collect();
            return;
        }
        let figures: Vec<_> = figures.collect();
        if self.added.is_empty() {
            self.added = figures;
        } else {
            for ((_, sum), (_, figure)) in self.added.iter_mut().zip(figures) {
                *sum = sum.zip(figure).and_then(|(a, b)| a.checked_add(b));
            }
        }
    }

    fn finish(self, layout: Layout, contents: &mut Contents) {
        // Absolute values: what goes out may be printed either way round.
        let differs = |(a, b): (&Figure, &Figure)| a.1.map(i64::abs) != b.1.map(i64::abs);
        if !self.added.is_empty() && self.stated.iter().zip(&self.added).any(differs) {
            contents.notes.add("summary-rows-differ");
        }
        let footer: Footer = self.stated.into_iter().fold(Footer::new(), |mut footer, (field, figure)| {
            let name = match field {
                Field::PaidCount => names::PAID_COUNT,
                Field::RefundCount => names::REFUND_COUNT,
                Field::Order => names::NET_ORDER,
                Field::Fee => names::FEE,
                Field::InCount => names::IN_COUNT,
                Field::In => names::IN,
                Field::OutCount => names::OUT_COUNT,
                Field::Out => names::OUT,
                _ => names::NET,
            };
            let figure = match field {
                Field::Fee => figure.map(|n| -n),
                Field::Out => figure.map(i64::abs),
                _ => figure,
            };
            footer.insert(name.to_owned(), figure);
            footer
        });
        contents.footer = footer;
        if layout == Layout::AlipayTradeSummary12
            && let Some(net) = contents.footer.get(names::NET).copied()
        {
            // One printed figure; a net loss is kept positive beside a net of zero.
            contents.footer.insert(names::NET.to_owned(), net.map(|n| n.max(0)));
            contents.footer.insert(names::NET_LOSS.to_owned(), net.map(|n| (-n).max(0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Markers are told by their words.
    #[test]
    fn figures() {
        assert_eq!(figures_of("：6笔，商家实收共0.06元，商家优惠共0.00元"), (Some(6_000_000), Some(60_000), Some(0)));
        assert_eq!(figures_of("：4笔，商家实收退款共-0.04元，商家优惠退款共0.00元").1, Some(-40_000));
        assert_eq!(figures_of("：2笔，共30.00元").1, Some(30_000_000));
        assert_eq!(figures_of("：x笔"), (None, None, None));
        let day = cells::day(2019, 9, 16).unwrap();
        assert_eq!(chinese_time("2019年09月16日 00:00:00"), Some((day, true)));
        assert_eq!(chinese_time("2019年09月16日 23:59:59"), Some((day, false)));
        assert_eq!(chinese_time("2019-09-16"), None);
    }

    /// Surplus commas go back into the two texts; time and amounts decide which.
    #[test]
    fn rejoining() {
        let names: Vec<String> =
            "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"
                .split(',')
                .map(plain_name)
                .collect();
        let header = Header::alipay(Layout::AlipayFund12, &names).unwrap();
        let mut splitter = Splitter::default();
        let mut of = |line: &str| {
            let cells = splitter.split(line, &header)?;
            Ok::<_, &str>((
                cells.of(&header, Field::Goods).unwrap_or_default().to_owned(),
                cells.of(&header, Field::Note).unwrap_or_default().to_owned(),
                cells.is_rejoined,
            ))
        };
        let plain = "f1\t,t1\t,o1,苹果,2026-07-01 08:00:00,,1.00,0.00,5.00,x,在线支付,备";
        assert_eq!(of(plain), Ok(("苹果".into(), "备".into(), false)));
        assert_eq!(of(&format!("{plain},")), Ok(("苹果".into(), "备".into(), false)));
        let goods = plain.replace("苹果", "苹果,梨,桃");
        assert_eq!(of(&goods), Ok(("苹果,梨,桃".into(), "备".into(), true)));
        assert_eq!(of(&format!("{goods},注")), Ok(("苹果,梨,桃".into(), "备,注".into(), true)));
        assert_eq!(of(&plain.replace("苹果", "\"苹果,梨\"")), Ok(("苹果,梨".into(), "备".into(), false)));
        assert_eq!(of("a,b"), Err("too-few-cells"));
    }
}
