//! Layouts of bills: header names, what they mean here, and how one layout is told from another.
//!
//! Columns are found by name, never by position: platforms have renamed, added and reordered them. What differs from
//! the documented order or number is told.

use super::Refusal;

/// Who wrote a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
    /// UnionPay.
    Unionpay,
}

impl Platform {
    /// The word in `bills.platform`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
            Self::Unionpay => "unionpay",
        }
    }
}

/// What a bill lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BillKind {
    /// Payments and refunds.
    Trade,
    /// Refunds only.
    Refund,
    /// Movements of a platform account.
    Fund,
    /// Totals of another bill; it has no lines of its own.
    Summary,
    /// Disputed or corrected entries.
    Dispute,
}

impl BillKind {
    /// The word in `bills.bill_kind`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Refund => "refund",
            Self::Fund => "fund",
            Self::Summary => "summary",
            Self::Dispute => "dispute",
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
    /// WeChat Pay trade bill, refunds of top-ups, 28 columns.
    WechatTradeRechargeRefund28,
    /// WeChat Pay trade bill, all rows, older layout of 24 columns.
    WechatTradeAll24,
    /// WeChat Pay trade bill, payments only, older layout of 18 columns.
    WechatTradeSuccess18,
    /// WeChat Pay trade bill, refunds only, older layout of 26 columns.
    WechatTradeRefund26,
    /// WeChat Pay fund-flow bill, 11 columns; of the basic, operating or fee account.
    WechatFund11,
    /// Alipay 业务明细.
    AlipayTrade25,
    /// Alipay 业务汇总.
    AlipayTradeSummary12,
    /// Alipay 账务明细.
    AlipayFund12,
    /// Alipay 账务汇总.
    AlipayFundSummary6,
    /// UnionPay ZM: successful trades, records of 607 or 608 bytes.
    UnionpayZm,
    /// UnionPay ZME: disputed and corrected entries, records of 339 bytes.
    UnionpayZme,
    /// UnionPay RD: the settlement summary for people.
    UnionpayRd,
}

impl Layout {
    /// Name in `bills.layout`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WechatTradeAll27 => "wechat-trade-all-27",
            Self::WechatTradeSuccess20 => "wechat-trade-success-20",
            Self::WechatTradeRefund29 => "wechat-trade-refund-29",
            Self::WechatTradeRechargeRefund28 => "wechat-trade-recharge-refund-28",
            Self::WechatTradeAll24 => "wechat-trade-all-24",
            Self::WechatTradeSuccess18 => "wechat-trade-success-18",
            Self::WechatTradeRefund26 => "wechat-trade-refund-26",
            Self::WechatFund11 => "wechat-fund-11",
            Self::AlipayTrade25 => "alipay-trade-25",
            Self::AlipayTradeSummary12 => "alipay-trade-summary-12",
            Self::AlipayFund12 => "alipay-fund-12",
            Self::AlipayFundSummary6 => "alipay-fund-summary-6",
            Self::UnionpayZm => "unionpay-zm",
            Self::UnionpayZme => "unionpay-zme",
            Self::UnionpayRd => "unionpay-rd",
        }
    }

    /// Who wrote it.
    pub fn platform(self) -> Platform {
        match self {
            Self::AlipayTrade25 | Self::AlipayTradeSummary12 | Self::AlipayFund12 | Self::AlipayFundSummary6 => {
                Platform::Alipay
            }
            Self::UnionpayZm | Self::UnionpayZme | Self::UnionpayRd => Platform::Unionpay,
            _ => Platform::Wechat,
        }
    }

    /// What the bill lists.
    pub fn kind(self) -> BillKind {
        match self {
            Self::WechatTradeAll27
            | Self::WechatTradeSuccess20
            | Self::WechatTradeAll24
            | Self::WechatTradeSuccess18
            | Self::AlipayTrade25
            | Self::UnionpayZm => BillKind::Trade,
            Self::WechatTradeRefund29 | Self::WechatTradeRechargeRefund28 | Self::WechatTradeRefund26 => {
                BillKind::Refund
            }
            Self::WechatFund11 | Self::AlipayFund12 => BillKind::Fund,
            Self::AlipayTradeSummary12 | Self::AlipayFundSummary6 | Self::UnionpayRd => BillKind::Summary,
            Self::UnionpayZme => BillKind::Dispute,
        }
    }

    /// The layout whose lines a summary adds up.
    pub(super) fn summarises(self) -> Option<Self> {
        match self {
            Self::AlipayTradeSummary12 => Some(Self::AlipayTrade25),
            Self::AlipayFundSummary6 => Some(Self::AlipayFund12),
            Self::UnionpayRd => Some(Self::UnionpayZm),
            _ => None,
        }
    }

    /// Documented columns in their order; empty where a layout has no header.
    fn columns(self) -> &'static [Field] {
        use Field::*;
        match self {
            Self::WechatTradeAll27 => &[
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
            ],
            Self::WechatTradeSuccess20 => &[
                Time, AppId, MchId, SubMchId, Device, TradeNo, OutTradeNo, Payer, Kind, State, Bank, Currency, Amount,
                Coupon, Goods, Note, Fee, Rate, Order, RateNote,
            ],
            Self::WechatTradeRefund29 => &[
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
            ],
            Self::WechatTradeRechargeRefund28 => &[
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
                FeeReturned,
                Rate,
                Order,
                RefundApplied,
            ],
            Self::WechatTradeAll24 => &[
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
            ],
            Self::WechatTradeSuccess18 => &[
                Time, AppId, MchId, SubMchId, Device, TradeNo, OutTradeNo, Payer, Kind, State, Bank, Currency, Amount,
                Coupon, Goods, Note, Fee, Rate,
            ],
            Self::WechatTradeRefund26 => &[
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
            ],
            Self::WechatFund11 => &[
                Time,
                BusinessNo,
                FlowNo,
                BusinessName,
                BusinessKind,
                Direction,
                Amount,
                Balance,
                Applicant,
                Note,
                Voucher,
            ],
            Self::AlipayTrade25 => &[
                TradeNo,
                OutTradeNo,
                BusinessKind,
                Goods,
                CreatedAt,
                Time,
                StoreNo,
                StoreName,
                Applicant,
                Device,
                Payer,
                Order,
                Amount,
                RedPacket,
                Points,
                AlipayDiscount,
                Coupon,
                Redeemed,
                CouponName,
                MerchantPacket,
                Card,
                OutRefundNo,
                Fee,
                Shared,
                Note,
            ],
            Self::AlipayTradeSummary12 => &[
                StoreNo,
                StoreName,
                PaidCount,
                RefundCount,
                Order,
                Amount,
                AlipayDiscount,
                Coupon,
                Card,
                Fee,
                Shared,
                Net,
            ],
            Self::AlipayFund12 => {
                &[FlowNo, BusinessNo, OutTradeNo, Goods, Time, Payer, In, Out, Balance, Channel, BusinessKind, Note]
            }
            Self::AlipayFundSummary6 => &[GroupName, InCount, In, OutCount, Out, Net],
            Self::UnionpayZm | Self::UnionpayZme | Self::UnionpayRd => &[],
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
            Self::WechatTradeRechargeRefund28 => {
                &[Time, MchId, TradeNo, State, Amount, RefundAppliedAt, RefundNo, Refund, FeeReturned]
            }
            Self::WechatTradeAll24 => &[Time, MchId, TradeNo, State, Amount, RefundNo, Refund, Fee],
            Self::WechatTradeSuccess18 => &[Time, MchId, TradeNo, State, Amount, Fee],
            Self::WechatTradeRefund26 => &[Time, MchId, TradeNo, State, Amount, RefundAppliedAt, RefundNo, Refund, Fee],
            Self::WechatFund11 => &[Time, BusinessNo, FlowNo, BusinessKind, Direction, Amount, Balance],
            Self::AlipayTrade25 => &[TradeNo, BusinessKind, Time, Order, Amount, Fee],
            Self::AlipayTradeSummary12 => &[StoreNo, Amount],
            Self::AlipayFund12 => &[FlowNo, BusinessNo, Time, In, Out, Balance, BusinessKind],
            Self::AlipayFundSummary6 => &[GroupName, In, Out],
            Self::UnionpayZm | Self::UnionpayZme | Self::UnionpayRd => &[],
        }
    }
}

/// What a column means here; one meaning may have had several names.
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
    FeeReturned,
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
    CreatedAt,
    StoreNo,
    StoreName,
    RedPacket,
    Points,
    AlipayDiscount,
    Redeemed,
    CouponName,
    MerchantPacket,
    Card,
    Shared,
    Net,
    In,
    Out,
    InCount,
    OutCount,
    PaidCount,
    RefundCount,
    Channel,
    GroupName,
}

/// Number of variants of [`Field`].
const FIELDS: usize = Field::GroupName as usize + 1;

/// Names of WeChat Pay's columns.
const WECHAT: &[(&str, Field)] = &[
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
    ("返还手续费", Field::FeeReturned),
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

/// Names of Alipay's columns, in one width of signs.
const ALIPAY: &[(&str, Field)] = &[
    ("支付宝交易号", Field::TradeNo),
    ("商户订单号", Field::OutTradeNo),
    ("业务类型", Field::BusinessKind),
    ("商品名称", Field::Goods),
    ("创建时间", Field::CreatedAt),
    ("完成时间", Field::Time),
    ("发生时间", Field::Time),
    ("门店编号", Field::StoreNo),
    ("门店名称", Field::StoreName),
    ("操作员", Field::Applicant),
    ("终端号", Field::Device),
    ("对方账户", Field::Payer),
    ("对方账号", Field::Payer),
    ("订单金额(元)", Field::Order),
    ("商家实收(元)", Field::Amount),
    ("支付宝红包(元)", Field::RedPacket),
    ("集分宝(元)", Field::Points),
    ("支付宝优惠(元)", Field::AlipayDiscount),
    ("商家优惠(元)", Field::Coupon),
    ("券核销金额(元)", Field::Redeemed),
    ("券名称", Field::CouponName),
    ("商家红包消费金额(元)", Field::MerchantPacket),
    ("卡消费金额(元)", Field::Card),
    ("退款批次号/请求号", Field::OutRefundNo),
    ("退款批次号", Field::OutRefundNo),
    ("服务费(元)", Field::Fee),
    ("分润(元)", Field::Shared),
    ("备注", Field::Note),
    ("交易订单总笔数", Field::PaidCount),
    ("退款订单总笔数", Field::RefundCount),
    ("实收净额(元)", Field::Net),
    ("总金额(元)", Field::Net),
    ("账务流水号", Field::FlowNo),
    ("业务流水号", Field::BusinessNo),
    ("收入金额(+元)", Field::In),
    ("支出金额(-元)", Field::Out),
    ("账户余额(元)", Field::Balance),
    ("交易渠道", Field::Channel),
    ("类型", Field::GroupName),
    ("收入笔数", Field::InCount),
    ("支出笔数", Field::OutCount),
];

/// Columns of a header, at most; a line with more is no header.
const COLUMNS_MAX: usize = 200;
/// Names nobody knows that are kept.
const UNKNOWN_MAX: usize = 20;

/// A header name in one form: without quotes, backticks, blanks and tabs, with signs of one width.
pub(super) fn plain_name(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '"' | '`' | ' ' | '\t' | '\u{3000}' | '\u{feff}'))
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            '＋' => '+',
            '－' => '-',
            c => c,
        })
        .collect()
}

/// A recognised header line.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) layout: Layout,
    /// Number of columns of the file.
    pub(super) width: usize,
    /// Names nothing here knows.
    pub(super) unknown: Vec<String>,
    /// Documented columns stand in another order.
    pub(super) is_reordered: bool,
    /// Documented columns that are not there, none of them required.
    pub(super) missing: usize,
    position: [Option<usize>; FIELDS],
}

impl Header {
    /// Where the column is in the file.
    pub(super) fn position(&self, field: Field) -> Option<usize> {
        self.position[field as usize]
    }

    /// Reads the names of a WeChat header line; fails with what the file is instead.
    pub(super) fn wechat(names: &[String]) -> Result<Self, Refusal> {
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
        } else if names.first().is_some_and(|n| n.contains("分账")) || has("分账单号") || has("微信分账单号")
        {
            return Err(Refusal::WechatSharing);
        } else if !has("微信订单号") || !(is_trade || (has("交易时间") && has("商户号") && has("交易状态")))
        {
            return Err(Refusal::Unknown);
        } else {
            match (has("退款申请时间"), has("订单金额"), has("微信退款单号")) {
                _ if has("返还手续费") => Layout::WechatTradeRechargeRefund28,
                (true, true, _) => Layout::WechatTradeRefund29,
                (true, false, _) => Layout::WechatTradeRefund26,
                (false, true, true) => Layout::WechatTradeAll27,
                (false, true, false) => Layout::WechatTradeSuccess20,
                (false, false, true) => Layout::WechatTradeAll24,
                (false, false, false) => Layout::WechatTradeSuccess18,
            }
        };
        Self::of(layout, WECHAT, names)
    }

    /// Reads the names of an Alipay header line of a layout that the file's first line has told.
    pub(super) fn alipay(layout: Layout, names: &[String]) -> Result<Self, Refusal> {
        Self::of(layout, ALIPAY, names)
    }

    fn of(layout: Layout, table: &'static [(&'static str, Field)], names: &[String]) -> Result<Self, Refusal> {
        if names.len() > COLUMNS_MAX {
            return Err(Refusal::Unknown);
        }
        let mut header = Self {
            layout,
            width: names.len(),
            unknown: Vec::new(),
            is_reordered: false,
            missing: 0,
            position: [None; FIELDS],
        };
        for (index, name) in names.iter().enumerate() {
            match table.iter().find(|(known, _)| known == name) {
                Some((_, field)) => {
                    header.position[*field as usize].get_or_insert(index);
                }
                None if header.unknown.len() < UNKNOWN_MAX => header.unknown.push(name.chars().take(40).collect()),
                None => {}
            }
        }
        if let Some(missing) = layout.required().iter().find(|f| header.position(**f).is_none()) {
            let name = table.iter().find(|(_, field)| field == missing).map_or("", |(name, _)| name);
            return Err(Refusal::MissingColumn(name));
        }
        let found: Vec<usize> = layout.columns().iter().filter_map(|f| header.position(*f)).collect();
        header.is_reordered = !found.is_sorted();
        header.missing = layout.columns().len() - found.len();
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The discriminants address an array: the last variant must be the one its length is taken from.
    #[test]
    fn every_name_has_a_place() {
        assert!(WECHAT.iter().chain(ALIPAY).all(|(_, field)| (*field as usize) < FIELDS));
    }

    /// The number in a layout's name is the number of its documented columns.
    #[test]
    fn layouts_have_the_columns_their_names_say() {
        for layout in [
            Layout::WechatTradeAll27,
            Layout::WechatTradeSuccess20,
            Layout::WechatTradeRefund29,
            Layout::WechatTradeRechargeRefund28,
            Layout::WechatTradeAll24,
            Layout::WechatTradeSuccess18,
            Layout::WechatTradeRefund26,
            Layout::WechatFund11,
            Layout::AlipayTrade25,
            Layout::AlipayTradeSummary12,
            Layout::AlipayFund12,
            Layout::AlipayFundSummary6,
        ] {
            assert!(layout.name().ends_with(&format!("-{}", layout.columns().len())), "{layout:?}");
            let table = if layout.platform() == Platform::Alipay { ALIPAY } else { WECHAT };
            assert!(layout.columns().iter().all(|f| table.iter().any(|(_, named)| named == f)), "{layout:?}");
            assert!(layout.required().iter().all(|f| layout.columns().contains(f)), "{layout:?}");
        }
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
            (format!("{trade},微信订单号,退款申请时间,返还手续费,订单金额"), Refusal::MissingColumn("交易状态")),
            (format!("{trade},微信订单号,订单金额,交易状态,应结订单金额"), Refusal::MissingColumn("手续费")),
            ("姓名,电话".to_owned(), Refusal::Unknown),
        ] {
            assert_eq!(Header::wechat(&names(&header)).unwrap_err(), expected, "{header}");
        }
    }

    /// Order and number of the columns are compared with the documented ones; names decide what is read.
    #[test]
    fn order_and_number() {
        let names = |text: &str| text.split(',').map(plain_name).collect::<Vec<_>>();
        let plain = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额（元）,账户结余(元),资金变更提交申请人,备注,业务凭证号";
        let header = Header::wechat(&names(plain)).unwrap();
        assert!(!header.is_reordered && header.missing == 0 && header.unknown.is_empty());
        let moved = plain.replace("业务名称,业务类型", "业务类型,业务名称").replace("备注", "新列");
        let header = Header::wechat(&names(&moved)).unwrap();
        assert_eq!(
            (header.is_reordered, header.missing, header.unknown.as_slice()),
            (true, 1, &["新列".to_owned()][..])
        );
        assert_eq!(header.position(Field::BusinessKind), Some(3));
    }
}
