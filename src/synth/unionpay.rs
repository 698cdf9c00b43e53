//! UnionPay's daily files: records of 607 bytes and the settlement summary for people, both in GBK.

use super::bills::{Line, TradeDay};
use super::local::{DAY, Local, yuan};
use super::merchant::Mch;
use super::zip::Member;

/// Bytes of a record.
const RECORD_BYTES: usize = 607;

/// UnionPay's number of a trade: the time, six digits of a trace number and one more.
pub(super) fn query_number(at: Local, id: i64) -> String {
    let time: String = at.text().chars().filter(char::is_ascii_digit).collect();
    format!("{time}{:06}8", id % 1_000_000)
}

/// Letter and digits of an amount: `C` towards the merchant.
fn signed(fen: i64, digits: usize) -> String {
    let letter = match fen {
        0 => ' ',
        1.. => 'C',
        _ => 'D',
    };
    format!("{letter}{:0digits$}", fen.unsigned_abs())
}

/// A record of the ZM file: the forty fields of every form, and the original order where there is one.
pub(super) fn record(mch: &Mch, at: Local, line: &Line, fee: i64) -> String {
    let is_refund = line.refund.is_some();
    let number = line.refund.as_ref().map_or(line.channel_no.as_str(), |(_, theirs, _)| theirs);
    let order = line.refund.as_ref().map_or(line.out_trade_no.as_str(), |(ours, _, _)| ours);
    let original = |text: &str| if is_refund { text.to_owned() } else { String::new() };
    let gross = if is_refund { -line.printed } else { line.printed };
    let net = signed(gross - fee, 12);
    let zero = signed(0, 12);
    let ending: String = line.payer.chars().filter(char::is_ascii_digit).collect();
    let ending = &ending[ending.len().saturating_sub(4)..];
    let fields: [(usize, String); 41] = [
        (3, if is_refund { "S30" } else { "S22" }.into()),
        (11, "00010000".into()),
        (11, "00049993".into()),
        (6, number[14..20].into()),
        (10, number[4..14].into()),
        (19, format!("622600******{ending}")),
        (12, format!("{:012}", line.printed)),
        (4, "5411".into()),
        (2, "07".into()),
        (21, number.into()),
        (2, "01".into()),
        (32, order.into()),
        (2, "01".into()),
        (6, original(&line.channel_no).get(14..20).unwrap_or_default().into()),
        (10, original(&line.channel_no).get(4..14).unwrap_or_default().into()),
        (13, signed(-fee, 12)),
        (13, net.clone()),
        (4, "0001".into()),
        (15, String::new()),
        (2, if is_refund { "04" } else { "01" }.into()),
        (2, String::new()),
        (6, "000201".into()),
        (2, String::new()),
        (4, String::new()),
        (32, String::new()),
        (1, String::new()),
        (21, original(&line.channel_no)),
        (15, mch.no.into()),
        (1, String::new()),
        (15, "0".repeat(15)),
        (32, String::new()),
        (13, zero.clone()),
        (13, net),
        (8, "01080209".into()),
        (32, line.goods.into()),
        (13, zero.clone()),
        (13, zero),
        (12, signed(0, 11)),
        (2, String::new()),
        (1, "7".into()),
        (32, original(&line.out_trade_no)),
    ];
    debug_assert!(query_number(at, 0)[..14] == number[..14], "the number holds the time");
    let mut record = String::with_capacity(RECORD_BYTES);
    let mut bytes = 0;
    for (i, (width, text)) in fields.iter().enumerate() {
        if i > 0 {
            record.push(' ');
            bytes += 1;
        }
        record.push_str(text);
        // A Chinese character takes two bytes in GBK; the field is as wide as its bytes.
        let length: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
        record.extend(std::iter::repeat_n(' ', width.saturating_sub(length)));
        bytes += length.max(*width);
    }
    record.extend(std::iter::repeat_n(' ', RECORD_BYTES.saturating_sub(bytes)));
    record
}

/// Name of the zip, and its two members.
pub(super) fn files(mch: &Mch, day: Local, bill: &TradeDay) -> (String, Vec<Member>) {
    let date = day.compact_date();
    let records: String = bill.rows.iter().flat_map(|row| [row.as_str(), "\r\n"]).collect();
    let (charged, returned) = (bill.fee.max(0), (-bill.fee).max(0));
    let net = bill.total - bill.refund - bill.fee;
    let row = |name: &str, count: usize, figures: [i64; 6]| {
        let figures: String = figures.iter().map(|fen| format!("{:>16}", yuan(*fen))).collect();
        format!("{name}{count:>20}{figures}\r\n")
    };
    let figures = [bill.refund, bill.total, charged, returned, (-net).max(0), net.max(0)];
    let line = format!("{}\r\n", "_".repeat(136));
    let table = |title: &str, name: &str, others: &[&str]| {
        let head = format!(
            "{title}            交易笔数               交易金额                         费用                              资金清算差额\r\n"
        );
        let sides = format!(
            "{}借              贷              借              贷               借                  贷\r\n",
            " ".repeat(41)
        );
        let empty: String = others.iter().map(|other| row(other, 0, [0; 6])).collect();
        format!(
            "{head}{sides}{line}{}{empty}{line}{}\r\n",
            row(name, bill.rows.len(), figures),
            row("总计", bill.rows.len(), figures),
        )
    };
    let report = format!(
        "{}中国银联全渠道商户交易汇总表\r\n\r\n商户代码:{}                                        清算币种:人民币\r\n收单机构:00010000                                               清算日期:{date}\r\n商户名称:鲜果汀(示例)                                           生成日期:{}\r\n\r\n\r\n{}{}",
        " ".repeat(73),
        mch.no,
        day.plus(DAY).compact_date(),
        table("交易类型", "消费及退款", &[]),
        table("卡性质", "借记卡", &["贷记卡", "准贷记卡", "其他卡"]),
    );
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let short = &date[2..];
    let members = vec![
        Member { name: format!("INN{short}88ZM_{}", mch.no).into_bytes(), content: gbk(&records) },
        Member { name: format!("RD2010{short}01_{}", mch.no).into_bytes(), content: gbk(&report) },
    ];
    (format!("{}_{date}.zip", mch.no), members)
}
