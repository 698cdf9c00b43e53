//! Files that are recognised and refused, each with its reason and a next step.

use std::fmt;

use crate::model::Lang;

/// Why a file is not read as a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// WeChat's export for a private person.
    PersonalWechat,
    /// Alipay's export for a private person.
    PersonalAlipay,
    /// A bill in WeChat's shape that an acquirer wrote.
    Relayed,
    /// A statement of WeChat Pay for other currencies.
    WechatGlobal,
    /// A bill of WeChat's B2b payments.
    WechatB2b,
    /// A profit-sharing bill.
    WechatSharing,
    /// Another bill of Alipay than the four that are read.
    AlipayOther,
    /// A file of an acquirer, not of a merchant.
    Institution,
    /// An answer that lists encrypted bills of second-level merchants.
    EncryptedList,
    /// Bills of different forms joined into one file.
    Joined,
    /// A bill that lacks a column the totals need.
    MissingColumn(&'static str),
    /// An answer of the interface saved as if it were a bill, with the code it holds.
    ApiError(String),
    /// An archive that is not unpacked, with the reason.
    Archive(&'static str),
    /// A workbook.
    Workbook,
    /// Nothing this program knows.
    Unknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PersonalWechat => f.write_str("a private person's WeChat export, not a merchant's bill"),
            Self::PersonalAlipay => f.write_str("a private person's Alipay export, not a merchant's bill"),
            Self::Relayed => f.write_str("an acquirer's bill in WeChat's shape, not a file of WeChat Pay"),
            Self::WechatGlobal => f.write_str("a WeChat Pay statement for other currencies, which is not read"),
            Self::WechatB2b => f.write_str("a WeChat B2b payment bill, which is not read"),
            Self::WechatSharing => f.write_str("a WeChat profit-sharing bill, which is not read"),
            Self::AlipayOther => f.write_str("an Alipay bill of another kind, which is not read"),
            Self::Institution => f.write_str("a UnionPay file for acquirers, not for merchants"),
            Self::EncryptedList => f.write_str("a list of encrypted bills, not a bill"),
            Self::Joined => f.write_str("several bills of different forms joined into one file"),
            Self::MissingColumn(name) => write!(f, "a bill without the column `{name}`"),
            Self::ApiError(code) => write!(f, "an error answer of the interface (`{code}`), not a bill"),
            Self::Archive(reason) => write!(f, "an archive that is not unpacked: {reason}"),
            Self::Workbook => f.write_str("a workbook, not a bill file"),
            Self::Unknown => f.write_str("not a bill of any known form"),
        }
    }
}

impl Refusal {
    /// What to do next.
    pub fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::PersonalWechat | Self::PersonalAlipay => lang.pick(
                "这是个人账单，含个人消费隐私且缺少商户字段：请从商户平台或接口下载商户账单，并且不要留存此文件。",
                "It shows one person's private spending and lacks the merchant's fields: download the bill from the merchant portal or interface, and keep no copy of this file.",
            ),
            Self::AlipayOther => lang.pick(
                "请从支付宝下载业务明细（trade）或账务明细（signcustomer）账单。",
                "Download the bill of type trade (业务明细) or signcustomer (账务明细) from Alipay.",
            ),
            Self::Institution => lang.pick(
                "请从银联商户服务下载商户对账文件（INN…ZM_商户号）。",
                "Download the merchant's own file (INN…ZM_ and the merchant number) from UnionPay.",
            ),
            Self::EncryptedList => lang.pick(
                "请先按微信支付文档用商户私钥解密各分片、按顺序合并，再载入明文账单。",
                "Decrypt its parts with the merchant's private key as WeChat Pay describes, join them in order, then bring in the plain bill.",
            ),
            Self::Joined => lang.pick(
                "请把各账单作为单独的文件放入。",
                "Bring each bill in as a file of its own.",
            ),
            Self::Relayed | Self::WechatGlobal | Self::WechatB2b | Self::WechatSharing => lang.pick(
                "请改从微信支付下载 ALL 类型的交易账单或资金账单。",
                "Download the trade bill of type ALL, or the fund-flow bill, from WeChat Pay itself.",
            ),
            Self::MissingColumn(_) => lang.pick(
                "请重新下载原始账单，不要删除列。",
                "Download the original bill again; no column may be removed.",
            ),
            Self::ApiError(code) if code == "NO_STATEMENT_EXIST" || code == "No Bill Exist" => lang.pick(
                "当日没有交易，因而没有账单：请把该文件移出 [[bills]] 的 glob，另行保存作为凭证。",
                "That day had no trade, so there is no bill: move the file out of the glob of [[bills]] and keep it as evidence.",
            ),
            Self::ApiError(_) => lang.pick("请重新下载该日账单。", "Download the bill of that day again."),
            Self::Archive(_) => lang.pick(
                "请重新下载该账单；若完好，请自行解压后放入其中的账单文件。",
                "Download the bill again; if it is sound, unpack it yourself and bring in the bill files it holds.",
            ),
            Self::Workbook => lang.pick(
                "请下载 CSV 格式的原始账单。",
                "Download the original bill as CSV.",
            ),
            Self::Unknown => lang.pick(
                "请检查 case.toml 中 [[bills]] 的 glob 是否只匹配账单文件。",
                "Check that the glob of [[bills]] in case.toml matches bill files only.",
            ),
        };
        Some(text.to_owned())
    }
}

/// The kind of archive that some bytes begin.
pub(super) fn archive_of(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(&[0x1f, 0x8b]) {
        Some("gzip")
    } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        Some("zip")
    } else {
        None
    }
}

/// What the first bytes of a file that has no known header say it is.
pub(super) fn of_start(start: &[u8]) -> Refusal {
    let decoded;
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The start may end inside a character; only a failure before that means another encoding.
        Err(e) if start.len() - e.valid_up_to() < 4 && e.error_len().is_none() => {
            std::str::from_utf8(&start[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => {
            decoded = encoding_rs::GB18030.decode_without_bom_handling(start).0;
            &decoded
        }
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_dashed = text.starts_with("-----");
    if text.starts_with("微信支付账单明细") {
        Refusal::PersonalWechat
    } else if text.contains("电子客户回单")
        || text.starts_with("支付宝交易记录明细查询")
        || (is_dashed && text.lines().nth(1).is_some_and(|l| l.trim_start().starts_with("导出信息")))
    {
        Refusal::PersonalAlipay
    } else if text.starts_with("#支付宝") {
        Refusal::AlipayOther
    } else if text.starts_with('{') && text.contains("\"download_bill_list\"") {
        Refusal::EncryptedList
    } else if text.starts_with("<xml") || text.starts_with('{') {
        api_error(text).map_or(Refusal::Unknown, Refusal::ApiError)
    } else {
        Refusal::Unknown
    }
}

/// The code an error answer holds: a word, nothing of the rest.
fn api_error(text: &str) -> Option<String> {
    let after = |marker: &str| {
        let rest = text.split_once(marker)?.1.trim_start_matches([' ', ':', '"']).trim_start_matches("<![CDATA[");
        let word: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ')).take(40).collect();
        Some(word.trim().to_owned()).filter(|w| !w.is_empty())
    };
    if text.starts_with('{') { after("\"code\"") } else { after("<return_msg>").or_else(|| after("<return_code>")) }
}
