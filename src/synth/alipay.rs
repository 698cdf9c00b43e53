//! Alipay's daily trade bill: `#` lines around a table of 25 columns, and its summary by shop, both in GBK.

use super::bills::{Line, TradeDay};
use super::local::{DAY, HOUR, Local, yuan};
use super::merchant::Mch;
use super::zip::Member;

const HEADER: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";
const SUMMARY_HEADER: &str = "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）";

/// A row of the trade bill. Refunds are negative, and so is a fee that is charged.
pub(super) fn row(at: Local, line: &Line, fee: i64) -> String {
    let (kind, amount, request) = match &line.refund {
        Some((ours, _, _)) => ("退款", -line.printed, ours.as_str()),
        None => ("交易", line.printed, ""),
    };
    let ending = &line.payer[line.payer.len().saturating_sub(2)..];
    format!(
        "{}\t,{}\t,{kind}\t,{},{},{},\t,\t,\t,\t,*友(199****{ending})\t,{amount},{amount},0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,{request}\t,{},0.00,",
        line.channel_no,
        line.out_trade_no,
        line.goods,
        at.plus(-20).text(),
        at.text(),
        yuan(-fee),
        amount = yuan(amount),
    )
}

/// Name of the zip, and its two members.
pub(super) fn files(mch: &Mch, day: Local, bill: &TradeDay) -> (String, Vec<Member>) {
    let account = format!("{}0156", mch.no);
    let date = day.compact_date();
    let chinese = |at: Local| {
        let (y, m, d) = at.civil();
        format!("{y:04}年{m:02}月{d:02}日 {}", &at.text()[11..])
    };
    let frame = |title: &str, list: &str, header: &str, rows: &str, totals: &str| {
        format!(
            "#支付宝{title}查询\r\n#账号：[{account}]\r\n#起始日期：[{}]   终止日期：[{}]\r\n#-----------------------------------------{list}----------------------------------------\r\n{header}\r\n{rows}#-----------------------------------------{list}结束------------------------------------\r\n{totals}#导出时间：[{}]\r\n",
            chinese(day),
            chinese(day.plus(DAY)),
            chinese(day.plus(DAY + 6 * HOUR)),
        )
    };
    let rows: String = bill.rows.iter().flat_map(|row| [row.as_str(), "\r\n"]).collect();
    let refunds = bill.rows.len() as u64 - bill.payments;
    let totals = format!(
        "#交易合计：{}笔，商家实收共{}元，商家优惠共0.00元\r\n#退款合计：{refunds}笔，商家实收退款共{}元，商家优惠退款共0.00元\r\n",
        bill.payments,
        yuan(bill.total),
        yuan(-bill.refund),
    );
    let detail = frame("业务明细", "业务明细列表", HEADER, &rows, &totals);
    let net = bill.total - bill.refund;
    let figures = format!(
        "{},{refunds},{net},{net},0.00,0.00,0.00,{},0.00,{}\r\n",
        bill.payments,
        yuan(-bill.fee),
        yuan(net - bill.fee),
        net = yuan(net),
    );
    let summary = frame("业务汇总", "业务汇总列表", SUMMARY_HEADER, &format!("\t,\t,{figures}合计\t,\t,{figures}"), "");
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let members = vec![
        Member { name: gbk(&format!("{account}_{date}_业务明细.csv")), content: gbk(&detail) },
        Member { name: gbk(&format!("{account}_{date}_业务明细(汇总).csv")), content: gbk(&summary) },
    ];
    (format!("{account}_{date}.csv.zip"), members)
}
