//! Layouts of bills: header names, what they mean here, and how one layout is told from another.
//!
//! Columns are found by name, never by position: platforms have renamed, added and reordered them.

use super::Refusal;

/// What a bill lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillKind {
    /// Payments and refunds.
    Trade,
    /// Refunds only.
    Refund,
    /// Movements of a platform account.
    Fund,
}

impl BillKind {
    /// The word in `bills.bill_kind`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Refund => "refund",
            Self::Fund => "fund",
        }
    }
}

/// A layout this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// WeChat Pay trade bill, all rows, 27 columns.
    WechatTradeAll27,
    /// WeChat Pay trade bill, payments only, 20 columns.
    WechatTradeSuccess20,
    /// WeChat Pay trade bill, refunds only, 29 columns.
    WechatTradeRefund29,
    /// WeChat Pay trade bill, all rows, older layout of 24 columns.
    WechatTradeAll24,
    /// WeChat Pay fund-flow bill, 11 columns.
    WechatFund11,
}

impl Layout {
    /// Name in `bills.layout`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WechatTradeAll27 => "wechat-trade-all-27",
            Self::WechatTradeSuccess20 => "wechat-trade-success-20",
            Self::WechatTradeRefund29 => "wechat-trade-refund-29",
            Self::WechatTradeAll24 => "wechat-trade-all-24",
            Self::WechatFund11 => "wechat-fund-11",
        }
    }

    /// What the bill lists.
    pub fn kind(self) -> BillKind {
        match self {
            Self::WechatTradeAll27 | Self::WechatTradeSuccess20 | Self::WechatTradeAll24 => BillKind::Trade,
            Self::WechatTradeRefund29 => BillKind::Refund,
            Self::WechatFund11 => BillKind::Fund,
        }
    }

    /// Columns without which the rows cannot be counted and added up.
    fn required(self) -> &'static [Field] {
        use Field::*;
        match self {
            Self::WechatTradeAll27 => &[Time, MchId, TradeNo, State, Amount, RefundNo, Refund, Fee, Order],
            Self::WechatTradeSuccess20 => &[Time, MchId, TradeNo, State, Amount, Fee, Order],
            Self::WechatTradeRefund29 => {
                &[Time, MchId, TradeNo, State, Amount, RefundAppliedAt, RefundNo, Refund, Fee, Order]
            }
            Self::WechatTradeAll24 => &[Time, MchId, TradeNo, State, Amount, RefundNo, Refund, Fee],
            Self::WechatFund11 => &[Time, BusinessNo, FlowNo, BusinessKind, Direction, Amount, Balance],
        }
    }
}

/// Meaning of a column. Trade and fund bills share the names where the meaning is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    AppId,
    MchId,
    SubMchId,
    Device,
    TradeNo,
    OutTradeNo,
    Payer,
    Kind,
    State,
    Bank,
    Currency,
    Amount,
    Coupon,
    RefundAppliedAt,
    RefundDoneAt,
    RefundNo,
    OutRefundNo,
    Refund,
    CouponRefund,
    RefundKind,
    RefundState,
    Goods,
    Note,
    Fee,
    Rate,
    Order,
    RefundApplied,
    RateNote,
    BusinessNo,
    FlowNo,
    BusinessName,
    BusinessKind,
    Direction,
    Balance,
    Applicant,
    Voucher,
}

/// Number of variants of [`Field`].
const FIELDS: usize = Field::Voucher as usize + 1;

const NAMES: &[(&str, Field)] = &[
    ("交易时间", Field::Time),
    ("公众账号ID", Field::AppId),
    ("商户号", Field::MchId),
    ("特约商户号", Field::SubMchId),
    ("子商户号", Field::SubMchId),
    ("设备号", Field::Device),
    ("微信订单号", Field::TradeNo),
    ("商户订单号", Field::OutTradeNo),
    ("用户标识", Field::Payer),
    ("交易类型", Field::Kind),
    ("交易状态", Field::State),
    ("付款银行", Field::Bank),
    ("货币种类", Field::Currency),
    ("应结订单金额", Field::Amount),
    ("总金额", Field::Amount),
    ("代金券金额", Field::Coupon),
    ("代金券或立减优惠金额", Field::Coupon),
    ("企业红包金额", Field::Coupon),
    ("退款申请时间", Field::RefundAppliedAt),
    ("退款成功时间", Field::RefundDoneAt),
    ("微信退款单号", Field::RefundNo),
    ("商户退款单号", Field::OutRefundNo),
    ("退款金额", Field::Refund),
    ("充值券退款金额", Field::CouponRefund),
    ("代金券或立减优惠退款金额", Field::CouponRefund),
    ("企业红包退款金额", Field::CouponRefund),
    ("退款类型", Field::RefundKind),
    ("退款状态", Field::RefundState),
    ("商品名称", Field::Goods),
    ("商户数据包", Field::Note),
    ("手续费", Field::Fee),
    ("费率", Field::Rate),
    ("订单金额", Field::Order),
    ("申请退款金额", Field::RefundApplied),
    ("费率备注", Field::RateNote),
    ("记账时间", Field::Time),
    ("微信支付业务单号", Field::BusinessNo),
    ("资金流水单号", Field::FlowNo),
    ("业务名称", Field::BusinessName),
    ("业务类型", Field::BusinessKind),
    ("收支类型", Field::Direction),
    ("收支金额(元)", Field::Amount),
    ("账户结余(元)", Field::Balance),
    ("资金变更提交申请人", Field::Applicant),
    ("备注", Field::Note),
    ("业务凭证号", Field::Voucher),
];

/// A recognised header line.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) layout: Layout,
    /// Number of columns of the file.
    pub(super) width: usize,
    /// Names nothing here knows.
    pub(super) unknown: Vec<String>,
    /// Index of the free-text cell into which surplus parts of a line are rejoined.
    pub(super) text_index: Option<usize>,
    position: [Option<usize>; FIELDS],
}

impl Header {
    /// Where the column is in the file.
    pub(super) fn position(&self, field: Field) -> Option<usize> {
        self.position[field as usize]
    }

    /// Reads the names of a header line; fails with what the file is instead.
    pub(super) fn recognise(names: &[String]) -> Result<Self, Refusal> {
        let has = |name: &str| names.iter().any(|n| n == name);
        let starts = |first: &[&str]| names.len() >= first.len() && names.iter().zip(first).all(|(a, b)| a == b);
        let is_trade = starts(&["交易时间", "公众账号ID", "商户号"]);
        let is_fund = starts(&["记账时间", "微信支付业务单号", "资金流水单号"]);
        let layout = if is_fund {
            Layout::WechatFund11
        } else if has("银联订单号") || has("银联交易号") {
            return Err(Refusal::Relayed);
        } else if has("标价币种") {
            return Err(Refusal::WechatGlobal);
        } else if has("交易商户号") && has("技术服务费") {
            return Err(Refusal::WechatB2b);
        } else if names.iter().any(|n| n.contains("分账")) {
            return Err(Refusal::WechatSharing);
        } else if !is_trade || !has("微信订单号") {
            return Err(Refusal::Unknown);
        } else {
            match (has("退款申请时间"), has("订单金额"), has("微信退款单号")) {
                _ if has("返还手续费") => return Err(Refusal::Layout("RECHARGE_REFUND")),
                (true, true, _) => Layout::WechatTradeRefund29,
                (true, false, _) => return Err(Refusal::Layout("REFUND, 26")),
                (false, true, true) => Layout::WechatTradeAll27,
                (false, true, false) => Layout::WechatTradeSuccess20,
                (false, false, true) => Layout::WechatTradeAll24,
                (false, false, false) => return Err(Refusal::Layout("SUCCESS, 18")),
            }
        };
        let mut header =
            Self { layout, width: names.len(), unknown: Vec::new(), text_index: None, position: [None; FIELDS] };
        for (index, name) in names.iter().enumerate() {
            match NAMES.iter().find(|(known, _)| known == name) {
                Some((_, field)) => {
                    header.position[*field as usize].get_or_insert(index);
                }
                None => header.unknown.push(name.clone()),
            }
        }
        header.text_index = header.position(Field::Note).or(header.position(Field::Goods));
        match layout.required().iter().find(|f| header.position(**f).is_none()) {
            Some(missing) => {
                let name = NAMES.iter().find(|(_, field)| field == missing).map_or("", |(name, _)| name);
                Err(Refusal::MissingColumn(name))
            }
            None => Ok(header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The discriminants address an array: the last variant must be the one its length is taken from.
    #[test]
    fn every_name_has_a_place() {
        assert!(NAMES.iter().all(|(_, field)| (*field as usize) < FIELDS));
    }

    /// Look-alikes are told apart by the names that only they have.
    #[test]
    fn lookalikes() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let trade = "交易时间,公众账号ID,商户号";
        for (header, expected) in [
            (format!("{trade},银联订单号,银联退款单号"), Refusal::Relayed),
            (format!("{trade},微信订单号,标价币种"), Refusal::WechatGlobal),
            ("交易商户号,技术服务费,结算状态".to_owned(), Refusal::WechatB2b),
            ("分账时间,分账单号".to_owned(), Refusal::WechatSharing),
            (format!("{trade},微信订单号,退款申请时间,返还手续费,订单金额"), Refusal::Layout("RECHARGE_REFUND")),
            (format!("{trade},微信订单号,退款申请时间,总金额"), Refusal::Layout("REFUND, 26")),
            (format!("{trade},微信订单号,总金额"), Refusal::Layout("SUCCESS, 18")),
            (format!("{trade},微信订单号,订单金额,交易状态,应结订单金额"), Refusal::MissingColumn("手续费")),
            ("姓名,电话".to_owned(), Refusal::Unknown),
        ] {
            assert_eq!(Header::recognise(&names(&header)).unwrap_err(), expected, "{header}");
        }
    }
}
