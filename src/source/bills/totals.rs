//! Totals: what the rows give beside what the file's summary states.

use std::collections::BTreeMap;

use super::layout::Layout;
use super::line::{Direction, Line};

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

/// A stated total by name: millionths, or `None` when it is no number.
pub(super) type Footer = BTreeMap<String, Option<i64>>;

/// Names under which the summaries of Alipay and UnionPay are kept: there they are sentences or rows, not columns.
pub(super) mod names {
    pub(in super::super) const ROWS: &str = "合计笔数";
    pub(in super::super) const PAID_COUNT: &str = "交易笔数";
    pub(in super::super) const PAID: &str = "交易商家实收";
    pub(in super::super) const PAID_COUPON: &str = "交易商家优惠";
    pub(in super::super) const REFUND_COUNT: &str = "退款笔数";
    pub(in super::super) const REFUND: &str = "退款商家实收";
    pub(in super::super) const REFUND_COUPON: &str = "退款商家优惠";
    pub(in super::super) const IN_COUNT: &str = "收入笔数";
    pub(in super::super) const IN: &str = "收入金额";
    pub(in super::super) const OUT_COUNT: &str = "支出笔数";
    pub(in super::super) const OUT: &str = "支出金额";
    pub(in super::super) const NET_ORDER: &str = "订单金额";
    pub(in super::super) const NET: &str = "商家实收";
    /// The net where it is a loss, positive.
    pub(in super::super) const NET_LOSS: &str = "商家实收(净退款)";
    pub(in super::super) const FEE: &str = "服务费";
    pub(in super::super) const CREDIT: &str = "交易金额(贷)";
    pub(in super::super) const DEBIT: &str = "交易金额(借)";
    pub(in super::super) const FEE_NET: &str = "费用";
    pub(in super::super) const SETTLED: &str = "资金清算差额";
}

#[derive(Debug, Clone, Copy)]
enum What {
    Rows,
    PaidCount,
    RefundCount,
    Amount,
    Refund,
    Coupon,
    CouponRefund,
    Fee,
    Order,
    RefundApplied,
    CountIn,
    CountOut,
    In,
    Out,
    NetOrder,
    /// Received less refunded, where positive.
    Net,
    /// Refunded less received, where positive.
    NetLoss,
    /// Received less refunded less fees.
    Settled,
}

type Row = (&'static str, What, Option<&'static str>);

const TRADE: &[Row] = &[
    ("总交易单数", What::Rows, Some("row_count")),
    ("应结订单总金额", What::Amount, Some("total_fen")),
    ("退款总金额", What::Refund, Some("refund_fen")),
    ("充值券退款总金额", What::CouponRefund, None),
    ("手续费总金额", What::Fee, Some("fee_e6")),
    ("订单总金额", What::Order, None),
    ("申请退款总金额", What::RefundApplied, None),
];
const TRADE_OLD: &[Row] = &[
    ("总交易单数", What::Rows, Some("row_count")),
    ("总交易额", What::Amount, Some("total_fen")),
    ("总退款金额", What::Refund, Some("refund_fen")),
    ("总代金券或立减优惠退款金额", What::CouponRefund, None),
    ("总企业红包退款金额", What::CouponRefund, None),
    ("手续费总金额", What::Fee, Some("fee_e6")),
];
const FUND: &[Row] = &[
    ("资金流水总笔数", What::Rows, Some("row_count")),
    (names::IN_COUNT, What::CountIn, None),
    (names::IN, What::In, Some("total_fen")),
    (names::OUT_COUNT, What::CountOut, None),
    (names::OUT, What::Out, Some("refund_fen")),
];
const ALIPAY_TRADE: &[Row] = &[
    (names::ROWS, What::Rows, Some("row_count")),
    (names::PAID_COUNT, What::PaidCount, None),
    (names::PAID, What::Amount, Some("total_fen")),
    (names::PAID_COUPON, What::Coupon, None),
    (names::REFUND_COUNT, What::RefundCount, None),
    (names::REFUND, What::Refund, Some("refund_fen")),
    (names::REFUND_COUPON, What::CouponRefund, None),
    (names::FEE, What::Fee, Some("fee_e6")),
];
const ALIPAY_TRADE_SUMMARY: &[Row] = &[
    (names::PAID_COUNT, What::PaidCount, None),
    (names::REFUND_COUNT, What::RefundCount, None),
    (names::NET_ORDER, What::NetOrder, None),
    (names::NET, What::Net, Some("total_fen")),
    (names::NET_LOSS, What::NetLoss, Some("refund_fen")),
    (names::FEE, What::Fee, Some("fee_e6")),
];
const ALIPAY_FUND: &[Row] = &[
    (names::ROWS, What::Rows, Some("row_count")),
    (names::IN_COUNT, What::CountIn, None),
    (names::IN, What::In, Some("total_fen")),
    (names::OUT_COUNT, What::CountOut, None),
    (names::OUT, What::Out, Some("refund_fen")),
];
const ALIPAY_FUND_SUMMARY: &[Row] = &[
    (names::IN_COUNT, What::CountIn, None),
    (names::IN, What::In, Some("total_fen")),
    (names::OUT_COUNT, What::CountOut, None),
    (names::OUT, What::Out, Some("refund_fen")),
];
const UNIONPAY_ZM: &[Row] = &[
    (names::ROWS, What::Rows, Some("row_count")),
    (names::CREDIT, What::Amount, Some("total_fen")),
    (names::DEBIT, What::Refund, Some("refund_fen")),
    (names::FEE_NET, What::Fee, Some("fee_e6")),
];
const UNIONPAY_ZME: &[Row] = &[(names::ROWS, What::Rows, Some("row_count"))];
const UNIONPAY_RD: &[Row] = &[
    (names::ROWS, What::Rows, None),
    (names::CREDIT, What::Amount, Some("total_fen")),
    (names::DEBIT, What::Refund, Some("refund_fen")),
    (names::FEE_NET, What::Fee, Some("fee_e6")),
    (names::SETTLED, What::Settled, None),
];

fn table(layout: Layout) -> &'static [Row] {
    match layout {
        Layout::WechatFund11 => FUND,
        Layout::WechatTradeAll24 | Layout::WechatTradeSuccess18 | Layout::WechatTradeRefund26 => TRADE_OLD,
        Layout::AlipayTrade25 => ALIPAY_TRADE,
        Layout::AlipayTradeSummary12 => ALIPAY_TRADE_SUMMARY,
        Layout::AlipayFund12 => ALIPAY_FUND,
        Layout::AlipayFundSummary6 => ALIPAY_FUND_SUMMARY,
        Layout::UnionpayZm => UNIONPAY_ZM,
        Layout::UnionpayZme => UNIONPAY_ZME,
        Layout::UnionpayRd => UNIONPAY_RD,
        Layout::WechatTradeAll27
        | Layout::WechatTradeSuccess20
        | Layout::WechatTradeRefund29
        | Layout::WechatTradeRechargeRefund28 => TRADE,
    }
}

/// Running sums of a bill, in fen (the fee in millionths).
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) rows: u64,
    paid_count: i128,
    refund_count: i128,
    amount: i128,
    refund: i128,
    coupon: i128,
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
    pub(super) fn add(&mut self, line: &Line<'_>) {
        let fen = |x: Option<i64>| i128::from(x.unwrap_or(0));
        self.rows += 1;
        if !line.is_unclassified {
            if line.is_refund {
                self.refund_count += 1;
            } else {
                self.paid_count += 1;
                self.coupon += fen(line.coupon_fen);
            }
        }
        self.amount += fen(line.amount_fen);
        self.refund += fen(line.refund_fen);
        self.coupon_refund += fen(line.coupon_refund_fen);
        self.fee_e6 += fen(line.fee_e6);
        self.order += fen(line.order_fen);
        self.refund_applied += fen(line.refund_applied_fen);
        match line.direction {
            Some(Direction::In) => {
                self.count_in += 1;
                self.sum_in += fen(line.amount_fen);
            }
            Some(Direction::Out) => {
                self.count_out += 1;
                self.sum_out += fen(line.amount_fen);
            }
            None => {}
        }
    }

    /// Adds the sums of another bill.
    pub(super) fn join(&mut self, other: &Self) {
        self.rows += other.rows;
        self.paid_count += other.paid_count;
        self.refund_count += other.refund_count;
        self.amount += other.amount;
        self.refund += other.refund;
        self.coupon += other.coupon;
        self.coupon_refund += other.coupon_refund;
        self.fee_e6 += other.fee_e6;
        self.order += other.order;
        self.refund_applied += other.refund_applied;
        self.count_in += other.count_in;
        self.count_out += other.count_out;
        self.sum_in += other.sum_in;
        self.sum_out += other.sum_out;
    }

    /// The sum and its unit in millionths.
    fn of(&self, what: What) -> (i128, i128) {
        let count = |n| (n, 1_000_000);
        let fen = |n| (n, E6_PER_FEN);
        match what {
            What::Rows => count(i128::from(self.rows)),
            What::PaidCount => count(self.paid_count),
            What::RefundCount => count(self.refund_count),
            What::CountIn => count(self.count_in),
            What::CountOut => count(self.count_out),
            What::Amount => fen(self.amount),
            What::Refund => fen(self.refund),
            What::Coupon => fen(self.coupon),
            What::CouponRefund => fen(self.coupon_refund),
            What::Order => fen(self.order),
            What::RefundApplied => fen(self.refund_applied),
            What::In => fen(self.sum_in),
            What::Out => fen(self.sum_out),
            What::NetOrder => fen(self.order - self.refund_applied),
            What::Net => fen((self.amount - self.refund).max(0)),
            What::NetLoss => fen((self.refund - self.amount).max(0)),
            What::Settled => ((self.amount - self.refund) * E6_PER_FEN - self.fee_e6, 1),
            What::Fee => (self.fee_e6, 1),
        }
    }

    /// Every total of the layout, beside the summary.
    pub(super) fn compare(&self, layout: Layout, footer: &Footer) -> Vec<Total> {
        let mut totals = Vec::new();
        for (name, what, column) in table(layout) {
            let stated = footer.get(*name);
            // A total that no canonical column holds is worth a line only when the file states it.
            if stated.is_none() && column.is_none() {
                continue;
            }
            let (computed, unit_e6) = self.of(*what);
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
