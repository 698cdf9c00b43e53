//! One detail line in canonical units, and the row of `bill_lines` it becomes.

use chrono::NaiveDateTime;

use super::cells;
use super::layout::{BillKind, Platform};
use crate::rows::{RawBatch, RawValue};

/// Columns of a row of `bill_lines`, in the order [`Line::push`] writes them.
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
    pub(super) platform: Platform,
    pub(super) kind: BillKind,
    pub(super) mch_id: Option<&'a str>,
    pub(super) bill_on: Option<&'a str>,
    /// The bill covers several days: each line then belongs to its own.
    pub(super) is_of_several_days: bool,
}

/// Which way the money of a line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// A detail line in canonical units; texts as the file has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Line<'a> {
    pub(super) occurred: Option<NaiveDateTime>,
    pub(super) mch_id: Option<&'a str>,
    pub(super) sub_mch_id: Option<&'a str>,
    pub(super) out_trade_no: Option<&'a str>,
    pub(super) channel_trade_no: Option<&'a str>,
    pub(super) out_refund_no: Option<&'a str>,
    pub(super) channel_refund_no: Option<&'a str>,
    pub(super) trade_kind: Option<&'a str>,
    pub(super) state: Option<&'a str>,
    pub(super) refund_state: Option<&'a str>,
    pub(super) amount_fen: Option<i64>,
    pub(super) order_fen: Option<i64>,
    pub(super) refund_fen: Option<i64>,
    pub(super) coupon_fen: Option<i64>,
    pub(super) coupon_refund_fen: Option<i64>,
    pub(super) refund_applied_fen: Option<i64>,
    pub(super) fee_e6: Option<i64>,
    pub(super) rate_e8: Option<i64>,
    pub(super) currency: Option<&'a str>,
    pub(super) direction: Option<Direction>,
    pub(super) balance_fen: Option<i64>,
    pub(super) payer: Option<&'a str>,
    pub(super) app_id: Option<&'a str>,
    pub(super) bank: Option<&'a str>,
    pub(super) device: Option<&'a str>,
    pub(super) applicant: Option<&'a str>,
    pub(super) goods: Option<&'a str>,
    pub(super) note: Option<&'a str>,
    /// The line gives money back.
    pub(super) is_refund: bool,
    /// Neither payment nor refund: it belongs to no printed total of payments or refunds.
    pub(super) is_unclassified: bool,
    /// The line does not have the platform's delimiters.
    pub(super) is_resaved: bool,
}

/// How a line is handed on: the line, or the closed code of why it cannot be read.
pub(super) type Each<'a, E> = &'a mut dyn FnMut(u64, Result<&Line<'_>, &'static str>) -> Result<(), E>;

impl<'a> Line<'a> {
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

    /// A number that equal lines share, whatever copy of the bill they stand in. Not for evidence: only to notice
    /// that two files are copies of one bill.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut mixed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut mix = |word: u64| {
            mixed = (mixed.rotate_left(5) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
            mixed ^= mixed >> 32;
        };
        for text in [self.channel_trade_no, self.channel_refund_no, self.out_trade_no, self.out_refund_no] {
            let bytes = text.unwrap_or_default().as_bytes();
            mix(bytes.len() as u64);
            let (words, rest) = bytes.as_chunks::<8>();
            words.iter().for_each(|w| mix(u64::from_le_bytes(*w)));
            mix(rest.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
        }
        for number in [self.amount_fen, self.refund_fen, self.fee_e6, self.balance_fen] {
            mix(number.unwrap_or(-1) as u64);
        }
        mix(self.occurred.map_or(0, |t| t.and_utc().timestamp() as u64));
        mixed
    }

    /// Appends the line as a row.
    pub(super) fn push(&self, frame: &Frame<'_>, line_no: u64, batch: &mut RawBatch) {
        fn text(s: Option<&str>) -> RawValue<'_> {
            s.map_or(RawValue::Null, RawValue::Text)
        }
        let int = |n: Option<i64>| n.map_or(RawValue::Null, RawValue::Int);
        let mut instant = [0; 25];
        let occurred_at = self.occurred.map(|t| cells::instant(t, &mut instant));
        let own_day = self.occurred.filter(|_| frame.is_of_several_days).map(|t| t.date().to_string());
        let rate = self.rate_e8.map(cells::rate_text);
        let fee_fen = self.fee_e6.filter(|fee| *fee >= 0 && fee % 10_000 == 0).map(|fee| fee / 10_000);
        let direction = self.direction.map(|d| match d {
            Direction::In => "in",
            Direction::Out => "out",
        });
        let row: [RawValue<'_>; 32] = [
            RawValue::Text(frame.bill_ref),
            int(i64::try_from(line_no).ok()),
            RawValue::Text(frame.platform.word()),
            RawValue::Text(frame.kind.word()),
            text(self.mch_id.or(frame.mch_id)),
            text(self.sub_mch_id),
            text(own_day.as_deref().or(frame.bill_on)),
            text(occurred_at),
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
            text(rate.as_deref()),
            text(self.currency),
            text(direction),
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
