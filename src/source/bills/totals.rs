//! Totals: what the rows give beside what the file's summary states.

use std::collections::BTreeMap;

use super::layout::{BillKind, Layout};
use super::line::Parsed;

/// Millionths per fen.
const E6_PER_FEN: i128 = 10_000;

/// One total of a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Name in the summary of the file.
    pub name: &'static str,
    /// Column of `bills` that holds the computed side; the stated side is in `stated_` of it (`stated_count` for
    /// `row_count`).
    pub column: Option<&'static str>,
    /// From the rows; fen, millionths of a yuan for fees, or a count. `None` when out of range.
    pub computed: Option<i64>,
    /// From the summary, in the same unit; `None` when not stated or not representable in it.
    pub stated: Option<i64>,
    /// The summary states something that no whole number of the unit equals.
    pub is_stated_unreadable: bool,
}

impl Total {
    /// Whether both sides are the same, or the summary is silent.
    pub fn agrees(&self) -> bool {
        !self.is_stated_unreadable && (self.stated.is_none() || self.stated == self.computed)
    }
}

/// A stated total: millionths, or `None` when it is no number.
pub(super) type Footer = BTreeMap<String, Option<i64>>;

#[derive(Debug, Clone, Copy)]
enum What {
    Rows,
    Amount,
    Refund,
    CouponRefund,
    Fee,
    Order,
    RefundApplied,
    CountIn,
    CountOut,
    In,
    Out,
}

const TRADE: &[(&str, What, Option<&str>)] = &[
    ("总交易单数", What::Rows, Some("row_count")),
    ("应结订单总金额", What::Amount, Some("total_fen")),
    ("退款总金额", What::Refund, Some("refund_fen")),
    ("充值券退款总金额", What::CouponRefund, None),
    ("手续费总金额", What::Fee, Some("fee_e6")),
    ("订单总金额", What::Order, None),
    ("申请退款总金额", What::RefundApplied, None),
];
const TRADE_OLD: &[(&str, What, Option<&str>)] = &[
    ("总交易单数", What::Rows, Some("row_count")),
    ("总交易额", What::Amount, Some("total_fen")),
    ("总退款金额", What::Refund, Some("refund_fen")),
    ("总代金券或立减优惠退款金额", What::CouponRefund, None),
    ("总企业红包退款金额", What::CouponRefund, None),
    ("手续费总金额", What::Fee, Some("fee_e6")),
];
const FUND: &[(&str, What, Option<&str>)] = &[
    ("资金流水总笔数", What::Rows, Some("row_count")),
    ("收入笔数", What::CountIn, None),
    ("收入金额", What::In, Some("total_fen")),
    ("支出笔数", What::CountOut, None),
    ("支出金额", What::Out, Some("refund_fen")),
];

/// Running sums of a bill, in fen (the fee in millionths).
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    amount: i128,
    refund: i128,
    coupon_refund: i128,
    fee_e6: i128,
    order: i128,
    refund_applied: i128,
    count_in: i128,
    count_out: i128,
    sum_in: i128,
    sum_out: i128,
}

impl Sums {
    pub(super) fn add(&mut self, line: &Parsed<'_>) {
        let fen = |x: Option<i64>| i128::from(x.unwrap_or(0));
        self.amount += fen(line.amount_fen);
        self.refund += fen(line.refund_fen);
        self.coupon_refund += fen(line.coupon_refund_fen);
        self.fee_e6 += fen(line.fee_e6);
        self.order += fen(line.order_fen);
        self.refund_applied += fen(line.refund_applied_fen);
        match line.direction {
            Some("in") => {
                self.count_in += 1;
                self.sum_in += fen(line.amount_fen);
            }
            Some(_) => {
                self.count_out += 1;
                self.sum_out += fen(line.amount_fen);
            }
            None => {}
        }
    }

    /// Every total of the layout, beside the summary.
    pub(super) fn compare(&self, layout: Layout, rows: u64, footer: &Footer) -> Vec<Total> {
        let table = match (layout.kind(), layout) {
            (BillKind::Fund, _) => FUND,
            (_, Layout::WechatTradeAll24) => TRADE_OLD,
            _ => TRADE,
        };
        let mut totals = Vec::new();
        for (name, what, column) in table {
            let stated = footer.get(*name);
            // A total that no canonical column holds is worth a line only when the file states it.
            if stated.is_none() && column.is_none() {
                continue;
            }
            let (computed, unit_e6) = match what {
                What::Rows => (i128::from(rows), 1_000_000),
                What::CountIn => (self.count_in, 1_000_000),
                What::CountOut => (self.count_out, 1_000_000),
                What::Amount => (self.amount, E6_PER_FEN),
                What::Refund => (self.refund, E6_PER_FEN),
                What::CouponRefund => (self.coupon_refund, E6_PER_FEN),
                What::Order => (self.order, E6_PER_FEN),
                What::RefundApplied => (self.refund_applied, E6_PER_FEN),
                What::In => (self.sum_in, E6_PER_FEN),
                What::Out => (self.sum_out, E6_PER_FEN),
                What::Fee => (self.fee_e6, 1),
            };
            let in_unit = stated.copied().flatten().and_then(|e6| {
                let e6 = i128::from(e6);
                (e6 % unit_e6 == 0).then_some(e6 / unit_e6).and_then(|n| i64::try_from(n).ok())
            });
            totals.push(Total {
                name,
                column: *column,
                computed: i64::try_from(computed).ok(),
                stated: in_unit,
                is_stated_unreadable: stated.is_some() && in_unit.is_none(),
            });
        }
        totals
    }
}
