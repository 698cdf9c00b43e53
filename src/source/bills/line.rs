//! One detail line: parsed from the file, pushed as a row of `bill_lines`.

use chrono::NaiveDateTime;

use super::cells;
use super::framing::Fields;
use super::layout::{BillKind, Field, Header};
use crate::rows::{RawBatch, RawValue};

/// Columns of a row of `bill_lines`, in the order [`Parsed::push`] writes them.
pub(super) const LINE_COLUMNS: [&str; 32] = [
    "bill_ref",
    "line_no",
    "platform",
    "bill_kind",
    "mch_id",
    "sub_mch_id",
    "bill_on",
    "occurred_at",
    "out_trade_no",
    "channel_trade_no",
    "out_refund_no",
    "channel_refund_no",
    "trade_kind",
    "state",
    "refund_state",
    "amount_fen",
    "order_fen",
    "refund_fen",
    "coupon_fen",
    "fee_e6",
    "fee_fen",
    "fee_rate",
    "currency",
    "direction",
    "balance_after_fen",
    "payer_ref",
    "app_id",
    "bank",
    "device",
    "applicant_ref",
    "goods",
    "note",
];

/// What all lines of a bill share.
pub(super) struct Frame<'a> {
    pub(super) bill_ref: &'a str,
    pub(super) kind: BillKind,
    pub(super) mch_id: Option<&'a str>,
    pub(super) bill_on: Option<&'a str>,
}

/// A detail line in canonical units; texts as the file has them.
#[derive(Debug, Clone)]
pub(super) struct Parsed<'a> {
    pub(super) occurred: NaiveDateTime,
    pub(super) mch_id: Option<&'a str>,
    sub_mch_id: Option<&'a str>,
    out_trade_no: Option<&'a str>,
    channel_trade_no: Option<&'a str>,
    out_refund_no: Option<&'a str>,
    channel_refund_no: Option<&'a str>,
    trade_kind: Option<&'a str>,
    state: Option<&'a str>,
    refund_state: Option<&'a str>,
    pub(super) amount_fen: Option<i64>,
    pub(super) order_fen: Option<i64>,
    pub(super) refund_fen: Option<i64>,
    coupon_fen: Option<i64>,
    pub(super) coupon_refund_fen: Option<i64>,
    pub(super) refund_applied_fen: Option<i64>,
    pub(super) fee_e6: Option<i64>,
    rate_e8: Option<i64>,
    pub(super) is_rate_unreadable: bool,
    pub(super) currency: Option<&'a str>,
    pub(super) direction: Option<&'static str>,
    balance_fen: Option<i64>,
    payer: Option<&'a str>,
    app_id: Option<&'a str>,
    bank: Option<&'a str>,
    device: Option<&'a str>,
    applicant: Option<&'a str>,
    goods: Option<&'a str>,
    note: Option<&'a str>,
}

impl<'a> Parsed<'a> {
    /// Reads the cells; fails with a closed code when time, money or direction cannot be read.
    pub(super) fn new(header: &Header, fields: Fields<'a>) -> Result<Self, &'static str> {
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
        let is_fund = header.layout.kind() == BillKind::Fund;
        // In refund bills the first column may be the time of the payment, so the refund's own time counts.
        let time_field = if header.layout.kind() == BillKind::Refund { Field::RefundAppliedAt } else { Field::Time };
        let occurred = cell(time_field).and_then(cells::time).ok_or("time-unreadable")?;
        let direction = match (is_fund, cell(Field::Direction)) {
            (false, _) => None,
            (true, Some("收入")) => Some("in"),
            (true, Some("支出")) => Some("out"),
            (true, _) => return Err("direction-unknown"),
        };
        let fee_e6 = match cell(Field::Fee) {
            None => None,
            Some(text) => Some(cells::millionths(text).ok_or("amount-unreadable")?),
        };
        let amount_fen = money(Field::Amount)?;
        if amount_fen.is_none() {
            return Err("amount-unreadable");
        }
        let rate = cell(Field::Rate);
        let rate_e8 = rate.and_then(cells::rate_e8);
        let is_refund = cell(Field::State) == Some("REFUND");
        let coupon_refund_fen = money(Field::CouponRefund)?;
        let is_fund_refund = is_fund
            && [Field::BusinessName, Field::BusinessKind].into_iter().filter_map(cell).any(|s| s.contains("退款"));
        let (channel_trade_no, channel_refund_no) = match (is_fund, is_fund_refund) {
            (false, _) => (cell(Field::TradeNo), unless_zero(Field::RefundNo)),
            // On refund rows the business number is the refund and the flow number the original payment.
            (true, true) => (cell(Field::FlowNo), cell(Field::BusinessNo)),
            (true, false) => (cell(Field::BusinessNo), None),
        };
        Ok(Self {
            occurred,
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
            is_rate_unreadable: rate.is_some() && rate_e8.is_none(),
            currency: if is_fund { Some("CNY") } else { cell(Field::Currency) },
            direction,
            balance_fen: money(Field::Balance)?,
            payer: cell(Field::Payer),
            app_id: cell(Field::AppId),
            bank: cell(Field::Bank),
            device: cell(Field::Device),
            applicant: cell(Field::Applicant),
            goods: cell(Field::Goods),
            note: cell(Field::Note),
        })
    }

    /// The numbers that a spreadsheet may have destroyed.
    pub(super) fn identifiers(&self) -> [(&'static str, Option<&'a str>); 5] {
        [
            ("mch_id", self.mch_id),
            ("channel_trade_no", self.channel_trade_no),
            ("out_trade_no", self.out_trade_no),
            ("channel_refund_no", self.channel_refund_no),
            ("out_refund_no", self.out_refund_no),
        ]
    }

    /// Appends the line as a row.
    pub(super) fn push(&self, frame: &Frame<'_>, line_no: u64, batch: &mut RawBatch) {
        let text = |s: Option<&'a str>| s.map_or(RawValue::Null, RawValue::Text);
        let int = |n: Option<i64>| n.map_or(RawValue::Null, RawValue::Int);
        let shared = |s| match s {
            Some(s) => RawValue::Text(s),
            None => RawValue::Null,
        };
        // China has had no daylight saving since 1992, before any of these platforms.
        let occurred_at = self.occurred.format("%Y-%m-%dT%H:%M:%S+08:00").to_string();
        let rate = self.rate_e8.map(cells::rate_text);
        let fee_fen = self.fee_e6.filter(|fee| *fee >= 0 && fee % 10_000 == 0).map(|fee| fee / 10_000);
        let row = [
            RawValue::Text(frame.bill_ref),
            int(i64::try_from(line_no).ok()),
            RawValue::Text("wechat"),
            RawValue::Text(frame.kind.word()),
            shared(self.mch_id.or(frame.mch_id)),
            text(self.sub_mch_id),
            shared(frame.bill_on),
            RawValue::Text(&occurred_at),
            text(self.out_trade_no),
            text(self.channel_trade_no),
            text(self.out_refund_no),
            text(self.channel_refund_no),
            text(self.trade_kind),
            text(self.state),
            text(self.refund_state),
            int(self.amount_fen),
            int(self.order_fen),
            int(self.refund_fen),
            int(self.coupon_fen),
            int(self.fee_e6),
            int(fee_fen),
            shared(rate.as_deref()),
            text(self.currency),
            text(self.direction),
            int(self.balance_fen),
            text(self.payer),
            text(self.app_id),
            text(self.bank),
            text(self.device),
            text(self.applicant),
            text(self.goods),
            text(self.note),
        ];
        for (column, value) in batch.columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
}
