//! What never changes about the sample merchant: its company, apps, merchant numbers and goods.

use super::Error;
use super::faults::FaultSelection;
use super::local::{Local, OPENED};
use super::people::{SHOPS, shop_code};
use super::prng::Prng;
use super::tables::{Cell, Sink, T, cells};

/// Reference of the one legal entity, as the mapping spells it.
pub(super) const MERCHANT: &str = "M1";
/// Reference of the closing project.
pub(super) const DEREG_PROJECT: &str = "CLOSE-2026";
/// Reference of the moving project.
pub(super) const MIGRATION_PROJECT: &str = "MOVE-2026";
/// App id of the mini-program.
pub(super) const WECHAT_APP: &str = "wx00000000000c1a01";
const ALIPAY_APP: &str = "2021000000000101";
const POS_APP: &str = "POS-01";

/// One merchant number.
#[derive(Debug)]
pub(super) struct Mch {
    pub(super) no: &'static str,
    /// Service provider's number, in service-provider mode.
    pub(super) provider: Option<&'static str>,
    /// 1 WeChat, 2 Alipay, 3 UnionPay.
    pub(super) platform: i64,
    /// Fee in hundredths of a percent.
    pub(super) rate: i64,
}

impl Mch {
    /// Canonical word of the platform.
    pub(super) fn platform_word(&self) -> &'static str {
        ["", "wechat", "alipay", "unionpay"][self.platform as usize]
    }

    /// Number under which the platform files the bills.
    pub(super) fn bill_no(&self) -> &'static str {
        self.provider.unwrap_or(self.no)
    }

    /// Fee of a payment, rounded to the fen.
    pub(super) fn fee(&self, amount: i64) -> i64 {
        (amount * self.rate + 5_000) / 10_000
    }

    /// Whether the money stays with the platform until it is withdrawn.
    pub(super) fn keeps_balance(&self) -> bool {
        self.platform == 1 && self.provider.is_none()
    }
}

/// The dormant WeChat number: no trade since the fund bills began.
pub(super) const DORMANT: usize = 2;
/// All merchant numbers.
pub(super) const MCHS: [Mch; 7] = [
    Mch { no: "1900000101", provider: None, platform: 1, rate: 60 },
    Mch { no: "1900000102", provider: None, platform: 1, rate: 60 },
    Mch { no: "1900000103", provider: None, platform: 1, rate: 60 },
    Mch { no: "1900000201", provider: Some("1900000001"), platform: 1, rate: 54 },
    Mch { no: "2088000000000101", provider: None, platform: 2, rate: 60 },
    Mch { no: "2088000000000201", provider: Some("2088000000000001"), platform: 2, rate: 55 },
    Mch { no: "898000000000101", provider: None, platform: 3, rate: 38 },
];

/// The number that takes a shop's payments on a platform.
pub(super) fn mch_of(platform: i64, shop: usize) -> usize {
    match platform {
        1 if shop < 30 => 0,
        1 if shop < 45 => 1,
        1 => 3,
        2 if shop < 45 => 4,
        2 => 5,
        _ => 6,
    }
}

/// App an order comes from.
pub(super) fn app_of(platform: i64, is_counter: bool) -> &'static str {
    match platform {
        _ if is_counter => POS_APP,
        2 => ALIPAY_APP,
        _ => WECHAT_APP,
    }
}

/// Goods: name, price of a piece or pound in fen.
pub(super) const GOODS: [(&str, i64); 16] = [
    ("赣南脐橙 5斤", 2_990),
    ("阳光玫瑰葡萄 2斤", 3_990),
    ("海南贵妃芒 3斤", 2_680),
    ("智利车厘子 1斤", 5_990),
    ("烟台红富士 5斤", 2_590),
    ("奉节柚 2个", 1_980),
    ("丹东草莓 1盒", 3_580),
    ("麒麟西瓜 1个", 2_280),
    ("云南蓝莓 4盒", 4_560),
    ("进口香蕉 2斤", 890),
    ("冰糖心猕猴桃 12个", 3_280),
    ("山竹 2斤", 3_650),
    ("榴莲肉 300克", 6_900),
    ("即食鲜切果盘", 1_580),
    ("鲜榨橙汁 2瓶", 2_160),
    ("坚果礼盒", 12_800),
];

/// Writes company, shops, apps and merchant numbers; returns the day the company says it opened.
pub(super) fn write(seed: u64, faults: &FaultSelection, sink: &mut Sink) -> Result<Local, Error> {
    let mut rng = Prng::new(seed, "merchant");
    // Records are owed from the opening month; with this fault the archive begins one month too late.
    let opened = if faults.has("RET-003") || faults.has("LOG-004") { Local::date(2025, 3, 15) } else { OPENED };
    let company = "鲜果汀(示例)连锁有限公司";
    sink.push(
        T::Company,
        [
            Cell::Int(1),
            company.into(),
            "91000000MA00000000".into(),
            "self-operated".into(),
            "客户服务中心".into(),
            "19900000000".into(),
            Cell::Int(1),
            opened.date_text().into(),
        ],
    )?;
    for shop in 0..SHOPS {
        let area = ["310101", "310104", "320102", "330106"][shop % 4];
        sink.push(
            T::Shop,
            cells![
                shop as i64 + 1,
                shop_code(shop),
                1_i64,
                format!("鲜果汀第{}店", shop + 1),
                area,
                format!("示例路{}号", 10 + shop * 3),
                1_i64,
                0_i64
            ],
        )?;
    }
    for (i, (platform, app, name)) in
        [(1_i64, WECHAT_APP, "鲜果汀小程序"), (2, ALIPAY_APP, "鲜果汀生活号"), (3, POS_APP, "鲜果汀收银")]
            .into_iter()
            .enumerate()
    {
        let icp = if platform == 3 { Cell::Null } else { "沪ICP备00000000号-1X".into() };
        sink.push(
            T::App,
            [
                Cell::Int(i as i64 + 1),
                Cell::Int(1),
                Cell::Int(platform),
                app.into(),
                rng.hex(32).into(),
                name.into(),
                company.into(),
                icp,
                Cell::Int(1),
            ],
        )?;
    }
    for mch in &MCHS {
        sink.push(
            T::Mch,
            [
                mch.no.into(),
                Cell::Int(mch.platform),
                Cell::Int(1),
                Cell::Int(if mch.provider.is_some() { 2 } else { 1 }),
                mch.provider.into(),
                Cell::Int(1),
                "2025-03-20".into(),
                Cell::Null,
                company.into(),
                rng.hex(32).into(),
                format!("0.{:04}", mch.rate).into(),
            ],
        )?;
    }
    for (key, value) in [("wechat.api_v3_key", rng.hex(32)), ("sms.secret", rng.hex(40)), ("site.name", company.into())]
    {
        sink.push(T::Setting, cells![key, value, OPENED])?;
    }
    for i in 0..20_i64 {
        sink.push(
            T::Cart,
            cells![i + 1, i * 3 + 1, format!("SKU{:03}", i % 16 + 1), 1_i64, OPENED.plus(i * 7_000_000 % 40_000_000)],
        )?;
    }
    Ok(opened)
}
