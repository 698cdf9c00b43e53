//! Platform bills as the platforms write them: WeChat trade bills plain and gzip, fund bills, Alipay zips, UnionPay zips.
//!
//! WeChat: UTF-8 with byte order mark, CRLF, every value after one backtick, the summary last. Alipay: GBK with `#`
//! lines, detail and summary in one zip. UnionPay: records of 607 bytes and the settlement summary in one zip, days
//! that end at night. Two days of one Alipay number have no file: somebody wrote their lines down as canonical CSV.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::faults::{FaultSelection, Truth};
use super::local::{HOUR, Local, yuan};
use super::merchant::{MCHS, Mch};
use super::{Error, alipay, unionpay, zip};
use crate::crypto;
use crate::fsio;

const TRADE_HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TRADE_SUMMARY: &str =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const FUND_HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";
const FUND_SUMMARY: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";
/// Index of the number of which two days were written down by hand, and the ordinals of those days.
const BY_HAND: (usize, [u64; 2]) = (4, [3, 7]);
/// Second of the day from which UnionPay counts a trade to the next day.
const UNIONPAY_CUT: i64 = 23 * HOUR + 600;
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

/// The trades of one merchant number and day.
#[derive(Debug, Default)]
pub(super) struct TradeDay {
    pub(super) rows: Vec<String>,
    pub(super) payments: u64,
    is_needed: bool,
    pub(super) total: i64,
    pub(super) refund: i64,
    pub(super) fee: i64,
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
    /// Trades after the platform's day has ended.
    tomorrow: Vec<TradeDay>,
    fund: Vec<FundDay>,
    files: Vec<u64>,
    /// Lines of the digest list of that name in that folder.
    sums: BTreeMap<(PathBuf, &'static str), Vec<String>>,
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
            tomorrow: MCHS.iter().map(|_| TradeDay::default()).collect(),
            fund: MCHS.iter().map(|_| FundDay::default()).collect(),
            files: vec![0; MCHS.len() * 2],
            sums: BTreeMap::new(),
            no_bill_due: faults.has("DAT-002"),
            bill_count: 0,
            line_count: 0,
        })
    }

    /// Whether the next file of this number is one of those written down by hand.
    fn is_by_hand(&self, mch_index: usize) -> bool {
        mch_index == BY_HAND.0 && BY_HAND.1.contains(&(self.files[mch_index] + 1))
    }

    /// Adds a payment or refund to the day's trade bill. `fee` is negative where it is given back.
    pub(super) fn trade(&mut self, mch_index: usize, at: Local, line: &Line, fee: i64) {
        let mch = &MCHS[mch_index];
        // Only WeChat lists refunds that are still under way.
        if mch.platform != 1 && line.refund.as_ref().is_some_and(|(_, _, state)| *state != "SUCCESS") {
            return;
        }
        let is_by_hand = self.is_by_hand(mch_index);
        let is_late = mch.platform == 3 && at.0 - at.midnight().0 >= UNIONPAY_CUT;
        let day = if is_late { &mut self.tomorrow[mch_index] } else { &mut self.trade[mch_index] };
        let (order, refund) = if line.refund.is_some() { (0, line.printed) } else { (line.printed, 0) };
        day.payments += u64::from(line.refund.is_none());
        day.is_needed |= line.is_needed;
        day.total += order;
        day.refund += refund;
        day.fee += fee;
        let row = match mch.platform {
            1 => wechat_row(mch, at, line, fee),
            2 if is_by_hand => canonical_row(mch, at, line, fee, day.rows.len() + 1),
            2 => alipay::row(at, line, fee),
            _ => unionpay::record(mch, at, line, fee),
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
            let trade = std::mem::replace(&mut self.trade[i], std::mem::take(&mut self.tomorrow[i]));
            if !trade.rows.is_empty() {
                let is_by_hand = self.is_by_hand(i);
                self.files[i] += 1;
                let number = self.files[i];
                if i == 0 && self.no_bill_due && number >= 5 && trade.payments > 0 && !trade.is_needed {
                    self.no_bill_due = false;
                    truth.add("DAT-002", format!("wechat/{}/{}", mch.no, day.date_text()), "no-bill");
                } else if mch.platform == 1 {
                    self.write_trade(i, number, day, &trade, faults, truth)?;
                } else if is_by_hand {
                    self.write_canonical(i, number, day, &trade, faults, truth)?;
                } else {
                    self.write_zip(i, number, day, &trade, faults, truth)?;
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
        let reference = bill_ref("wechat-trade", mch.bill_no(), day, &bytes);
        if let Some(reason) = damage {
            truth.add("REC-003", &reference, reason);
        }
        let wrong = i == 0 && number == 7 && faults.has("REC-002");
        if wrong {
            truth.add("REC-002", &reference, "digest-differs");
        }
        self.line_count += bill.rows.len() as u64;
        let name = format!("{}All{}.csv", mch.bill_no(), day.date_text());
        self.save_wechat("trade", mch.bill_no(), &name, &bytes, wrong, number.is_multiple_of(2))
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
            truth.add("REC-003", bill_ref("wechat-fund", mch.no, day, &bytes), "total-differs");
        }
        self.line_count += bill.rows.len() as u64;
        self.save_wechat("fund", mch.no, &format!("{}Basic{}.csv", mch.no, day.date_text()), &bytes, false, false)
    }

    /// Writes a WeChat bill, plain or as gzip; the platform's digest is that of the unpacked bytes either way.
    fn save_wechat(
        &mut self,
        kind: &str,
        mch_no: &str,
        name: &str,
        bytes: &[u8],
        is_digest_wrong: bool,
        is_packed: bool,
    ) -> Result<(), Error> {
        let digest = if is_digest_wrong { crypto::sha1_hex(b"not this file") } else { crypto::sha1_hex(bytes) };
        let dir = self.dir.join(kind).join(mch_no);
        if is_packed {
            let packed = zip::gzip(bytes).map_err(|e| fsio::Error::io("pack", &dir, e))?;
            self.save(dir, &format!("{name}.gz"), &packed, ("SHA1SUMS", &digest))?;
        } else {
            self.save(dir, name, bytes, ("SHA1SUMS", &digest))?;
        }
        self.bill_count += 1;
        Ok(())
    }

    /// Writes a file and its line in the digest list beside it.
    fn save(&mut self, dir: PathBuf, name: &str, bytes: &[u8], sum: (&'static str, &str)) -> Result<(), Error> {
        fsio::create_dir(&dir)?;
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|e| fsio::Error::io("write", &path, e))?;
        self.sums.entry((dir, sum.0)).or_default().push(format!("{}  {name}\n", sum.1));
        Ok(())
    }

    /// Writes an Alipay or UnionPay zip: the bill and its summary.
    fn write_zip(
        &mut self,
        i: usize,
        number: u64,
        day: Local,
        bill: &TradeDay,
        faults: &FaultSelection,
        truth: &mut Truth,
    ) -> Result<(), Error> {
        let mch = &MCHS[i];
        let (name, members) =
            if mch.platform == 2 { alipay::files(mch, day, bill) } else { unionpay::files(mch, day, bill) };
        let dir = self.dir.join(mch.platform_word()).join(mch.no);
        let bytes = zip::archive(&members).map_err(|e| fsio::Error::io("pack", &dir, e))?;
        let mut digest = crypto::sha256(&bytes).to_string();
        if i == BY_HAND.0 && number == 5 && faults.has("REC-002") {
            digest = crypto::sha256(b"another file").to_string();
            for (kind, member) in ["alipay-trade", "alipay-summary"].into_iter().zip(&members) {
                truth.add("REC-002", bill_ref(kind, mch.no, day, &member.content), "digest-differs");
            }
        }
        self.save(dir, &name, &bytes, ("SHA256SUMS", &digest))?;
        self.bill_count += members.len() as u64;
        self.line_count += bill.rows.len() as u64;
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
        let (expected, mut actual, mut total) = (digest.clone(), digest, bill.total);
        let mut plant = |policy: &str, reason: &str| {
            let planted = faults.has(policy);
            if planted {
                truth.add(policy, &reference, reason);
            }
            planted
        };
        match number {
            3 if plant("REC-003", "lines-differ") => total += 100,
            7 if plant("REC-002", "digest-unknown") => actual.clear(),
            _ => {}
        }
        let fee = bill.fee * 10_000;
        let (rows, refund, date) = (bill.rows.len(), bill.refund, day.date_text());
        let written = writeln!(
            self.csv_bills,
            "{reference},{},trade,canonical,{},{date},false,false,{rows},{rows},{total},{total},{refund},{refund},{fee},{fee},sha256,{expected},{actual}",
            mch.platform_word(),
            mch.no,
        )
        .and_then(|()| bill.rows.iter().try_for_each(|row| writeln!(self.csv_lines, "{reference},{row}")));
        written.map_err(|e| fsio::Error::io("write", &self.dir, e))?;
        self.bill_count += 1;
        self.line_count += rows as u64;
        Ok(())
    }

    /// Writes the digest lists and closes the files.
    pub(super) fn finish(mut self) -> Result<(u64, u64), Error> {
        for ((dir, list), lines) in &self.sums {
            let path = dir.join(list);
            std::fs::write(&path, lines.concat()).map_err(|e| fsio::Error::io("write", &path, e))?;
        }
        self.csv_bills
            .flush()
            .and_then(|()| self.csv_lines.flush())
            .map_err(|e| fsio::Error::io("write", &self.dir, e))?;
        Ok((self.bill_count, self.line_count))
    }
}

/// Key of a bill, as the reader of bills makes it.
fn bill_ref(kind: &str, mch_no: &str, day: Local, bytes: &[u8]) -> String {
    let digest = crypto::sha256(bytes).to_string();
    format!("{kind}-{mch_no}-{}-{}", day.compact_date(), &digest[..12])
}

/// A row of a WeChat trade bill.
fn wechat_row(mch: &Mch, at: Local, line: &Line, fee: i64) -> String {
    let (order, refund) = if line.refund.is_some() { (0, line.printed) } else { (line.printed, 0) };
    let (out_refund_no, refund_no, refund_state) =
        line.refund.as_ref().map_or(("0", "0", ""), |(ours, theirs, state)| (ours, theirs, state));
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
        if line.refund.is_some() { "REFUND" } else { "SUCCESS" },
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
}

/// A line of an Alipay bill in canonical columns, without the reference of the bill.
fn canonical_row(mch: &Mch, at: Local, line: &Line, fee: i64, number: usize) -> String {
    let (order, refund) = if line.refund.is_some() { (0, line.printed) } else { (line.printed, 0) };
    let (out_refund_no, refund_no, refund_state) =
        line.refund.as_ref().map_or(("", "", ""), |(ours, theirs, state)| (ours, theirs, state));
    let state = if line.refund.is_some() { "REFUND" } else { "SUCCESS" };
    format!(
        "{number},{},trade,{},,{},{},{},{},{out_refund_no},{refund_no},{},{state},{refund_state},{order},{order},{refund},{},CNY,{},{}",
        mch.platform_word(),
        mch.no,
        at.date_text(),
        at.iso(),
        line.out_trade_no,
        line.channel_no,
        line.kind,
        fee * 10_000,
        line.payer,
        line.app,
    )
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
