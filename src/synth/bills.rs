//! Platform bills: WeChat trade and fund bills as the platform writes them, Alipay and UnionPay as canonical CSV.
//!
//! Framing of the WeChat files: UTF-8 with byte order mark, CRLF, every value after one backtick, the summary last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::Error;
use super::faults::{FaultSelection, Truth};
use super::local::{Local, yuan};
use super::merchant::MCHS;
use crate::crypto;
use crate::fsio;

const TRADE_HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TRADE_SUMMARY: &str =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const FUND_HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";
const FUND_SUMMARY: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";
const BILL_COLUMNS: &str = "bill_ref,platform,bill_kind,layout,mch_id,bill_on,is_bill_on_derived,is_resaved,row_count,stated_count,total_fen,stated_total_fen,refund_fen,stated_refund_fen,fee_e6,stated_fee_e6,digest_algorithm,expected_digest,actual_digest";
const LINE_COLUMNS: &str = "bill_ref,line_no,platform,bill_kind,mch_id,sub_mch_id,bill_on,occurred_at,out_trade_no,channel_trade_no,out_refund_no,channel_refund_no,trade_kind,state,refund_state,amount_fen,order_fen,refund_fen,fee_e6,currency,payer_ref,app_id";

/// What a bill says about one payment or refund.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) app: &'static str,
    pub(super) out_trade_no: String,
    pub(super) channel_no: String,
    pub(super) payer: String,
    /// Kind of trade in WeChat's words.
    pub(super) kind: &'static str,
    pub(super) goods: &'static str,
    /// For a refund: our number, the platform's number, the platform's state.
    pub(super) refund: Option<(String, String, &'static str)>,
    /// Amount as printed; differs from the books only where that is the fault.
    pub(super) printed: i64,
    /// A finding rests on this line: its file must exist.
    pub(super) is_needed: bool,
}

#[derive(Debug, Default)]
struct TradeDay {
    rows: Vec<String>,
    payments: u64,
    is_needed: bool,
    total: i64,
    refund: i64,
    fee: i64,
}

#[derive(Debug, Default)]
struct FundDay {
    rows: Vec<String>,
    income: (u64, i64),
    expense: (u64, i64),
}

/// Collects the lines of a day and writes the day's files.
pub(super) struct Bills {
    dir: PathBuf,
    trade: Vec<TradeDay>,
    fund: Vec<FundDay>,
    files: Vec<u64>,
    sums: BTreeMap<PathBuf, Vec<String>>,
    csv_bills: BufWriter<File>,
    csv_lines: BufWriter<File>,
    no_bill_due: bool,
    /// Bills and lines that an archive must hold.
    pub(super) bill_count: u64,
    pub(super) line_count: u64,
}

impl Bills {
    /// Opens the folders below `source`.
    pub(super) fn create(source: &Path, faults: &FaultSelection) -> Result<Self, Error> {
        let csv = source.join("bills-csv");
        fsio::create_dir(&csv)?;
        let open = |name: &str, header: &str| -> Result<BufWriter<File>, Error> {
            let path = csv.join(name);
            let file = File::create(&path).map_err(|e| fsio::Error::io("create", &path, e))?;
            let mut file = BufWriter::new(file);
            writeln!(file, "{header}").map_err(|e| fsio::Error::io("write", &path, e))?;
            Ok(file)
        };
        Ok(Self {
            csv_bills: open("bills.csv", BILL_COLUMNS)?,
            csv_lines: open("bill_lines.csv", LINE_COLUMNS)?,
            dir: source.join("bills"),
            trade: MCHS.iter().map(|_| TradeDay::default()).collect(),
            fund: MCHS.iter().map(|_| FundDay::default()).collect(),
            files: vec![0; MCHS.len() * 2],
            sums: BTreeMap::new(),
            no_bill_due: faults.has("DAT-002"),
            bill_count: 0,
            line_count: 0,
        })
    }

    /// Adds a payment or refund to the day's trade bill. `fee` is negative where it is given back.
    pub(super) fn trade(&mut self, mch_index: usize, at: Local, line: &Line, fee: i64) {
        let mch = &MCHS[mch_index];
        let day = &mut self.trade[mch_index];
        let (order, refund) = if line.refund.is_some() { (0, line.printed) } else { (line.printed, 0) };
        day.payments += u64::from(line.refund.is_none());
        day.is_needed |= line.is_needed;
        day.total += order;
        day.refund += refund;
        day.fee += fee;
        let (out_refund_no, refund_no, refund_state) = match &line.refund {
            Some((ours, theirs, state)) => (ours.as_str(), theirs.as_str(), *state),
            None if mch.platform == 1 => ("0", "0", ""),
            None => ("", "", ""),
        };
        let state = if line.refund.is_some() { "REFUND" } else { "SUCCESS" };
        let row = if mch.platform == 1 {
            let cells: [&str; 27] = [
                &at.text(),
                line.app,
                mch.bill_no(),
                if mch.provider.is_some() { mch.no } else { "0" },
                "",
                &line.channel_no,
                &line.out_trade_no,
                &line.payer,
                line.kind,
                state,
                "OTHERS",
                "CNY",
                &yuan(order),
                "0.00",
                refund_no,
                out_refund_no,
                &yuan(refund),
                "0.00",
                if line.refund.is_some() { "ORIGINAL" } else { "" },
                refund_state,
                line.goods,
                "",
                &format!("{}000", yuan(fee)),
                &format!("0.{:02}%", mch.rate),
                &yuan(order),
                &yuan(refund),
                "",
            ];
            backticked(&cells)
        } else {
            let sub = if mch.provider.is_some() { mch.no } else { "" };
            format!(
                "{},{},trade,{},{sub},{},{},{},{},{out_refund_no},{refund_no},{},{state},{refund_state},{order},{order},{refund},{},CNY,{},{}",
                day.rows.len() + 1,
                mch.platform_word(),
                mch.bill_no(),
                at.date_text(),
                at.iso(),
                line.out_trade_no,
                line.channel_no,
                line.kind,
                fee * 10_000,
                line.payer,
                line.app,
            )
        };
        day.rows.push(row);
    }

    /// Adds a movement to the day's fund bill.
    pub(super) fn fund(
        &mut self,
        mch_index: usize,
        at: Local,
        ids: (&str, &str),
        kind: (&str, &str),
        signed: i64,
        balance: i64,
        proof: &str,
    ) {
        let day = &mut self.fund[mch_index];
        let side = if signed >= 0 { &mut day.income } else { &mut day.expense };
        side.0 += 1;
        side.1 += signed.abs();
        let api = format!("{}API", MCHS[mch_index].no);
        day.rows.push(backticked(&[
            &at.text(),
            ids.0,
            ids.1,
            kind.0,
            kind.1,
            if signed >= 0 { "收入" } else { "支出" },
            &yuan(signed.abs()),
            &yuan(balance),
            if kind.0 == "交易" { "system" } else { &api },
            "",
            proof,
        ]));
    }

    /// Writes the files of a day.
    pub(super) fn end_day(&mut self, day: Local, faults: &FaultSelection, truth: &mut Truth) -> Result<(), Error> {
        for (i, mch) in MCHS.iter().enumerate() {
            let trade = std::mem::take(&mut self.trade[i]);
            if !trade.rows.is_empty() {
                self.files[i] += 1;
                let number = self.files[i];
                if i == 0 && self.no_bill_due && number >= 5 && trade.payments > 0 && !trade.is_needed {
                    self.no_bill_due = false;
                    truth.add("DAT-002", format!("wechat/{}/{}", mch.no, day.date_text()), "no-bill");
                } else if mch.platform == 1 {
                    self.write_trade(i, number, day, &trade, faults, truth)?;
                } else {
                    self.write_canonical(i, number, day, &trade, faults, truth)?;
                }
            }
            let fund = std::mem::take(&mut self.fund[i]);
            if !fund.rows.is_empty() {
                self.files[MCHS.len() + i] += 1;
                let number = self.files[MCHS.len() + i];
                self.write_fund(i, number, day, &fund, faults, truth)?;
            }
        }
        Ok(())
    }

    fn write_trade(
        &mut self,
        i: usize,
        number: u64,
        day: Local,
        bill: &TradeDay,
        faults: &FaultSelection,
        truth: &mut Truth,
    ) -> Result<(), Error> {
        let mch = &MCHS[i];
        let damage = match number {
            9 if i == 0 => Some("count-differs"),
            11 if i == 0 => Some("total-differs"),
            13 if i == 0 => Some("refund-differs"),
            15 if i == 0 => Some("fee-differs"),
            _ => None,
        }
        .filter(|_| faults.has("REC-003"));
        let off = |reason: &str, by: i64| if damage == Some(reason) { by } else { 0 };
        let total = yuan(bill.total + off("total-differs", 100));
        let refund = yuan(bill.refund + off("refund-differs", 100));
        let summary = backticked(&[
            &(bill.rows.len() as i64 + off("count-differs", 1)).to_string(),
            &total,
            &refund,
            "0.00",
            &format!("{}000", yuan(bill.fee + off("fee-differs", 1))),
            &total,
            &refund,
        ]);
        let bytes = framed(TRADE_HEADER, &bill.rows, TRADE_SUMMARY, &summary);
        let reference = bill_ref("trade", mch.bill_no(), day, &bytes);
        if let Some(reason) = damage {
            truth.add("REC-003", &reference, reason);
        }
        let wrong = i == 0 && number == 7 && faults.has("REC-002");
        if wrong {
            truth.add("REC-002", &reference, "digest-differs");
        }
        self.line_count += bill.rows.len() as u64;
        self.save("trade", mch.bill_no(), &format!("{}All{}.csv", mch.bill_no(), day.date_text()), &bytes, wrong)
    }

    fn write_fund(
        &mut self,
        i: usize,
        number: u64,
        day: Local,
        bill: &FundDay,
        faults: &FaultSelection,
        truth: &mut Truth,
    ) -> Result<(), Error> {
        let mch = &MCHS[i];
        let wrong = i == 0 && number == 6 && faults.has("REC-003");
        let summary = backticked(&[
            &format!("{}.0", bill.rows.len()),
            &format!("{}.0", bill.income.0),
            &yuan(bill.income.1 + if wrong { 1 } else { 0 }),
            &format!("{}.0", bill.expense.0),
            &yuan(bill.expense.1),
        ]);
        let bytes = framed(FUND_HEADER, &bill.rows, FUND_SUMMARY, &summary);
        if wrong {
            truth.add("REC-003", bill_ref("fund", mch.no, day, &bytes), "total-differs");
        }
        self.line_count += bill.rows.len() as u64;
        self.save("fund", mch.no, &format!("{}Basic{}.csv", mch.no, day.date_text()), &bytes, false)
    }

    fn save(&mut self, kind: &str, mch_no: &str, name: &str, bytes: &[u8], is_digest_wrong: bool) -> Result<(), Error> {
        let dir = self.dir.join(kind).join(mch_no);
        fsio::create_dir(&dir)?;
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|e| fsio::Error::io("write", &path, e))?;
        let digest = if is_digest_wrong { crypto::sha1_hex(b"not this file") } else { crypto::sha1_hex(bytes) };
        self.sums.entry(dir).or_default().push(format!("{digest}  {name}\n"));
        self.bill_count += 1;
        Ok(())
    }

    fn write_canonical(
        &mut self,
        i: usize,
        number: u64,
        day: Local,
        bill: &TradeDay,
        faults: &FaultSelection,
        truth: &mut Truth,
    ) -> Result<(), Error> {
        let mch = &MCHS[i];
        let reference = format!("{}-trade-{}-{}", mch.platform_word(), mch.no, day.compact_date());
        let digest = crypto::sha256(bill.rows.join("\n").as_bytes()).to_string();
        let (mut expected, mut actual, mut total) = (digest.clone(), digest, bill.total);
        let mut plant = |policy: &str, reason: &str| {
            let planted = faults.has(policy);
            if planted {
                truth.add(policy, &reference, reason);
            }
            planted
        };
        if i == 4 {
            match number {
                3 if plant("REC-003", "lines-differ") => total += 100,
                5 if plant("REC-002", "digest-differs") => expected = crypto::sha256(b"another file").to_string(),
                7 if plant("REC-002", "digest-unknown") => actual.clear(),
                _ => {}
            }
        }
        let fee = bill.fee * 10_000;
        let (rows, refund, date) = (bill.rows.len(), bill.refund, day.date_text());
        let written = writeln!(
            self.csv_bills,
            "{reference},{},trade,canonical,{},{date},false,false,{rows},{rows},{total},{total},{refund},{refund},{fee},{fee},sha256,{expected},{actual}",
            mch.platform_word(),
            mch.bill_no(),
        )
        .and_then(|()| bill.rows.iter().try_for_each(|row| writeln!(self.csv_lines, "{reference},{row}")));
        written.map_err(|e| fsio::Error::io("write", &self.dir, e))?;
        self.bill_count += 1;
        self.line_count += rows as u64;
        Ok(())
    }

    /// Writes the digest lists and closes the files.
    pub(super) fn finish(mut self) -> Result<(u64, u64), Error> {
        for (dir, lines) in &self.sums {
            let path = dir.join("SHA1SUMS");
            std::fs::write(&path, lines.concat()).map_err(|e| fsio::Error::io("write", &path, e))?;
        }
        self.csv_bills
            .flush()
            .and_then(|()| self.csv_lines.flush())
            .map_err(|e| fsio::Error::io("write", &self.dir, e))?;
        Ok((self.bill_count, self.line_count))
    }
}

/// Key of a WeChat bill, as the reader of bills makes it.
fn bill_ref(kind: &str, mch_no: &str, day: Local, bytes: &[u8]) -> String {
    let digest = crypto::sha256(bytes).to_string();
    format!("wechat-{kind}-{mch_no}-{}-{}", day.compact_date(), &digest[..12])
}

/// One line of values, each after a backtick.
fn backticked(cells: &[&str]) -> String {
    let mut line = String::with_capacity(cells.iter().map(|c| c.len() + 2).sum());
    for (i, cell) in cells.iter().enumerate() {
        line.push_str(if i == 0 { "`" } else { ",`" });
        line.push_str(cell);
    }
    line
}

fn framed(header: &str, rows: &[String], summary_header: &str, summary: &str) -> Vec<u8> {
    let mut bytes = Vec::from("\u{feff}".as_bytes());
    for line in std::iter::once(header).chain(rows.iter().map(String::as_str)).chain([summary_header, summary]) {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
