//! The merchant's books: ledger, settlements, withdrawals, balances, in time order, day by day.
//!
//! Money that a customer pays goes into the gateway transit account of the merchant number and leaves it the same
//! evening; refunds come out of the pending account. What the platform holds is kept apart for the fund bills.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::bills::{Bills, Line};
use super::faults::{FaultSelection, Truth};
use super::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use super::merchant::{DEREG_PROJECT, DORMANT, MCHS};
use super::people::FINANCE;
use super::tables::{Cell, Sink, T};

/// Float that stays in a basic account when money is withdrawn, so that refunds never fail.
const FLOAT_FEN: i64 = 500_000;

/// Something that moves money.
#[derive(Debug)]
pub(super) enum Move {
    /// A customer's payment through a platform.
    Pay {
        mch: usize,
        amount: i64,
        payment: i64,
        /// The evening sweep overlooks it.
        is_stuck: bool,
        /// Difference of the fee in the bill from the one booked.
        fee_off: i64,
        /// Difference of the amount booked from the one paid.
        booked_off: i64,
        line: Option<Line>,
    },
    /// A refund accepted by the platform.
    Refund { mch: usize, amount: i64, fee_back: i64, refund: i64, line: Option<Line> },
    /// A line that only the platform knows.
    Foreign { mch: usize, line: Line },
    /// Stored value of a member.
    Member {
        member: i64,
        signed: i64,
        kind: &'static str,
        about: (&'static str, String),
        /// It was booked before.
        is_again: bool,
    },
}

#[derive(Debug, Default, Clone, Copy)]
struct Account {
    transit: i64,
    pending: i64,
    /// At the platform: basic account of a direct WeChat number, else what is not yet settled.
    held: i64,
    gross: i64,
    refund: i64,
    fee: i64,
    /// Today's payments that the sweep will take.
    sweep: i64,
}

/// Books of one run.
pub(super) struct Books {
    accounts: Vec<Account>,
    /// Movements by day, to be booked when that day ends.
    due: BTreeMap<i64, Vec<(Local, u64, Move)>>,
    serial: u64,
    settled_from: Local,
    /// Stored value by member, for those who ever had any.
    members: BTreeMap<i64, i64>,
    /// Days of the window on which the first merchant number took payments.
    pub(super) traded: BTreeSet<Local>,
    /// The platform's files.
    pub(super) bills: Bills,
}

impl Books {
    /// Opens the books.
    pub(super) fn new(bills: Bills) -> Self {
        Self {
            accounts: vec![Account::default(); MCHS.len()],
            due: BTreeMap::new(),
            serial: 0,
            settled_from: OPENED,
            members: BTreeMap::new(),
            traded: BTreeSet::new(),
            bills,
        }
    }

    /// Remembers a movement until its day ends.
    pub(super) fn at(&mut self, at: Local, movement: Move) {
        self.serial += 1;
        self.due.entry(at.day_no()).or_default().push((at, self.serial, movement));
    }

    #[expect(clippy::too_many_arguments, reason = "one ledger line has that many columns")]
    fn line(
        sink: &mut Sink,
        account: (String, i64),
        mch: Option<usize>,
        contra: Cell,
        at: Local,
        signed: i64,
        kind: &'static str,
        balance: i64,
        about: (Cell, Cell),
        operator: Option<i64>,
    ) -> Result<i64, Error> {
        let id = sink.next_id(T::Ledger);
        sink.push(
            T::Ledger,
            [
                Cell::Int(id),
                account.0.into(),
                Cell::Int(account.1),
                mch.map(|m| MCHS[m].no).into(),
                mch.map_or(4, |m| MCHS[m].platform).into(),
                contra,
                at.into(),
                Cell::Int(signed),
                kind.into(),
                Cell::Int(balance),
                about.0,
                about.1,
                operator.into(),
                Cell::Null,
            ],
        )?;
        Ok(id)
    }

    /// Books a day: its movements in time order, then the sweep, settlements, withdrawals and snapshots.
    pub(super) fn end_day(
        &mut self,
        day: Local,
        sink: &mut Sink,
        faults: &FaultSelection,
        truth: &mut Truth,
    ) -> Result<(), Error> {
        if day == OPENED {
            for (i, account) in
                self.accounts.iter_mut().enumerate().filter(|(i, _)| MCHS[*i].keeps_balance() && *i != DORMANT)
            {
                account.held = FLOAT_FEN;
                account.pending = FLOAT_FEN;
                let name = (format!("PEND-{}", MCHS[i].no), 2);
                Self::line(
                    sink,
                    name,
                    Some(i),
                    Cell::Null,
                    day.plus(8 * HOUR),
                    FLOAT_FEN,
                    "adjust",
                    FLOAT_FEN,
                    (Cell::Null, Cell::Null),
                    None,
                )?;
            }
        }
        let mut moves = self.due.remove(&day.day_no()).unwrap_or_default();
        moves.sort_by_key(|(at, serial, _)| (*at, *serial));
        for (at, _, movement) in moves {
            self.book(at, movement, sink, truth)?;
        }
        self.sweep(day, sink)?;
        let last = day.plus(DAY) >= AS_OF;
        if day.weekday() == 6 || last {
            self.settle(day, last, sink, faults)?;
        }
        if day.next_month() == day.plus(DAY) {
            self.withdraw(day, last, sink, faults)?;
            self.snapshots(day, last, sink, faults, truth)?;
        }
        if day >= WINDOW { self.bills.end_day(day, faults, truth) } else { Ok(()) }
    }

    fn book(&mut self, at: Local, movement: Move, sink: &mut Sink, truth: &mut Truth) -> Result<(), Error> {
        let in_window = at >= WINDOW;
        match movement {
            Move::Pay { mch, amount, payment, is_stuck, fee_off, booked_off, line } => {
                if in_window && mch == 0 {
                    self.traded.insert(at.midnight());
                }
                let fee = MCHS[mch].fee(amount);
                let account = &mut self.accounts[mch];
                let booked = amount + booked_off;
                account.transit += booked;
                account.gross += amount;
                account.fee += fee;
                if !is_stuck {
                    account.sweep += booked;
                }
                account.held += amount;
                let name = (format!("GT-{}", MCHS[mch].no), 1);
                let about = ("payment".into(), format!("p{payment}").into());
                Self::line(
                    sink,
                    name,
                    Some(mch),
                    "CHANNEL".into(),
                    at,
                    booked,
                    "payment",
                    account.transit,
                    about,
                    None,
                )?;
                let before_fee = account.held;
                account.held -= fee;
                let after_fee = account.held;
                if let Some(line) = line.filter(|_| in_window) {
                    self.bills.trade(mch, at, &line, fee + fee_off);
                    if MCHS[mch].keeps_balance() {
                        let ids = (line.channel_no.as_str(), line.channel_no.as_str());
                        self.bills.fund(mch, at, ids, ("交易", "交易"), amount, before_fee, &line.out_trade_no);
                        if fee > 0 {
                            self.bills.fund(
                                mch,
                                at,
                                ids,
                                ("交易", "扣除交易手续费"),
                                -fee,
                                after_fee,
                                &line.out_trade_no,
                            );
                        }
                    }
                }
            }
            Move::Refund { mch, amount, fee_back, refund, line } => {
                let account = &mut self.accounts[mch];
                account.pending -= amount;
                account.refund += amount;
                account.fee -= fee_back;
                account.held -= amount;
                let name = (format!("PEND-{}", MCHS[mch].no), 2);
                let about = ("refund".into(), format!("r{refund}").into());
                Self::line(
                    sink,
                    name,
                    Some(mch),
                    "CHANNEL".into(),
                    at,
                    -amount,
                    "refund",
                    account.pending,
                    about,
                    None,
                )?;
                let before_fee = account.held;
                account.held += fee_back;
                let after_fee = account.held;
                if let Some(line) = line.filter(|_| in_window) {
                    self.bills.trade(mch, at, &line, -fee_back);
                    if MCHS[mch].keeps_balance()
                        && let Some((ours, theirs, _)) = &line.refund
                    {
                        let ids = (theirs.as_str(), line.channel_no.as_str());
                        self.bills.fund(mch, at, ids, ("退款", "退款"), -amount, before_fee, ours);
                        if fee_back > 0 {
                            self.bills.fund(mch, at, ids, ("退款", "退还交易手续费"), fee_back, after_fee, ours);
                        }
                    }
                }
            }
            Move::Foreign { mch, line } => self.bills.trade(mch, at, &line, MCHS[mch].fee(line.printed)),
            Move::Member { member, signed, kind, about, is_again } => {
                let balance = self.members.entry(member).or_default();
                *balance += signed;
                let after = *balance;
                let name = (format!("MB{member:07}"), 4);
                let id = Self::line(
                    sink,
                    name,
                    None,
                    Cell::Null,
                    at,
                    signed,
                    kind,
                    after,
                    (about.0.into(), about.1.into()),
                    None,
                )?;
                if is_again {
                    truth.add("REC-011", format!("lf{id}"), "booked-again");
                }
            }
        }
        Ok(())
    }

    /// Moves the day's payments from transit to pending.
    fn sweep(&mut self, day: Local, sink: &mut Sink) -> Result<(), Error> {
        let at = day.plus(23 * HOUR + 50 * 60);
        for (i, account) in self.accounts.iter_mut().enumerate() {
            let amount = std::mem::take(&mut account.sweep);
            if amount == 0 {
                continue;
            }
            let (transit, pending) = (format!("GT-{}", MCHS[i].no), format!("PEND-{}", MCHS[i].no));
            account.transit -= amount;
            account.pending += amount;
            let about = || (Cell::Null, Cell::Null);
            Self::line(
                sink,
                (transit.clone(), 1),
                Some(i),
                pending.clone().into(),
                at,
                -amount,
                "settle",
                account.transit,
                about(),
                None,
            )?;
            Self::line(
                sink,
                (pending, 2),
                Some(i),
                transit.into(),
                at,
                amount,
                "settle",
                account.pending,
                about(),
                None,
            )?;
        }
        Ok(())
    }

    /// Closes the week: a settlement per number; those that keep no balance are paid out.
    fn settle(&mut self, day: Local, last: bool, sink: &mut Sink, faults: &FaultSelection) -> Result<(), Error> {
        let at = day.plus(23 * HOUR + 55 * 60);
        for (i, account) in self.accounts.iter_mut().enumerate() {
            let net = account.gross - account.refund - account.fee;
            // A week of refunds only is carried into the next one.
            if net < 0 || account.fee < 0 || (account.gross == 0 && account.refund == 0) {
                continue;
            }
            // The platform keeps UnionPay's last week back: money that the closing report must show.
            let held_back = last && faults.has("FND-002") && i == 6;
            let id = sink.next_id(T::Settle);
            sink.push(
                T::Settle,
                [
                    Cell::Int(id),
                    MCHS[i].no.into(),
                    Cell::Int(MCHS[i].platform),
                    self.settled_from.date_text().into(),
                    day.date_text().into(),
                    Cell::Yuan(account.gross),
                    Cell::Yuan(account.refund),
                    Cell::Yuan(account.fee),
                    Cell::Yuan(net),
                    Cell::Int(if held_back { 0 } else { 2 }),
                    Some(at).filter(|_| !held_back).into(),
                    Cell::Int(FINANCE[0]),
                ],
            )?;
            if held_back {
                continue;
            }
            let name = (format!("PEND-{}", MCHS[i].no), 2);
            let about = || (Cell::from("settlement"), Cell::from(format!("st{id}")));
            if account.fee > 0 {
                account.pending -= account.fee;
                Self::line(
                    sink,
                    name.clone(),
                    Some(i),
                    Cell::Null,
                    at,
                    -account.fee,
                    "fee",
                    account.pending,
                    about(),
                    None,
                )?;
            }
            if !MCHS[i].keeps_balance() {
                account.pending -= net;
                Self::line(sink, name, Some(i), "BANK".into(), at, -net, "settle", account.pending, about(), None)?;
                account.held -= net;
            }
            (account.gross, account.refund, account.fee) = (0, 0, 0);
        }
        self.settled_from = day.plus(DAY);
        Ok(())
    }

    /// Withdraws what direct WeChat numbers hold, down to the float; on the last day everything.
    fn withdraw(&mut self, day: Local, last: bool, sink: &mut Sink, faults: &FaultSelection) -> Result<(), Error> {
        let at = day.plus(23 * HOUR + 57 * 60);
        for (i, account) in self.accounts.iter_mut().enumerate().filter(|(i, _)| MCHS[*i].keeps_balance()) {
            let forgotten = last && i == 0 && faults.has("FND-002");
            let amount = account.held - if last { 0 } else { FLOAT_FEN };
            if amount <= 0 || forgotten {
                continue;
            }
            account.held -= amount;
            account.pending -= amount;
            let id = sink.next_id(T::CashOut);
            sink.push(
                T::CashOut,
                [
                    Cell::Int(id),
                    MCHS[i].no.into(),
                    Cell::Int(1),
                    Cell::Yuan(amount),
                    Cell::Yuan(0),
                    "6222000000000000000".into(),
                    Cell::Int(3),
                    at.plus(-HOUR).into(),
                    at.plus(-1_800).into(),
                    Cell::Int(FINANCE[1]),
                    at.into(),
                ],
            )?;
            let name = (format!("PEND-{}", MCHS[i].no), 2);
            let about = ("withdrawal".into(), format!("w{id}").into());
            Self::line(
                sink,
                name,
                Some(i),
                "BANK".into(),
                at,
                -amount,
                "withdraw",
                account.pending,
                about,
                Some(FINANCE[1]),
            )?;
            if day >= WINDOW {
                let no = format!("5050{}{:016}", day.compact_date(), id);
                self.bills.fund(i, at, (&no, &no), ("充值/提现", "提现"), -amount, account.held, &format!("w{id}"));
            }
        }
        Ok(())
    }

    fn snapshots(
        &mut self,
        day: Local,
        last: bool,
        sink: &mut Sink,
        faults: &FaultSelection,
        truth: &mut Truth,
    ) -> Result<(), Error> {
        let at = day.plus(23 * HOUR + 59 * 60);
        let unswept = faults.has("FND-002");
        let snap = |sink: &mut Sink, name: String, kind: i64, mch: usize, available: Cell, frozen: i64| {
            let id = sink.next_id(T::Balance);
            let mch = &MCHS[mch];
            sink.push(
                T::Balance,
                [
                    Cell::Int(id),
                    name.into(),
                    at.into(),
                    Cell::Int(kind),
                    mch.no.into(),
                    Cell::Int(mch.platform),
                    available,
                    Cell::Yuan(frozen),
                ],
            )
        };
        for (i, account) in self.accounts.iter().enumerate() {
            let mch = &MCHS[i];
            if i == DORMANT && unswept {
                if last {
                    truth.add("FND-002", format!("{DEREG_PROJECT}/{}", mch.no), "no-observation");
                }
                continue;
            }
            let (name, kind) =
                if mch.keeps_balance() { (format!("BASIC-{}", mch.no), 11) } else { (format!("UNSET-{}", mch.no), 15) };
            // A number whose refunds exceed its payments owes the platform nothing yet: it shows zero.
            let held = account.held.max(0);
            if last && unswept && held > 0 {
                truth.add("FND-002", format!("{DEREG_PROJECT}/{name}"), "not-withdrawn");
            }
            let shown = if last && !unswept { 0 } else { held };
            snap(sink, name, kind, i, Cell::Yuan(shown), 0)?;
        }
        let odd = last && unswept;
        snap(sink, format!("OP-{}", MCHS[0].no), 12, 0, if odd { Cell::Null } else { Cell::Yuan(0) }, 0)?;
        snap(sink, format!("MARGIN-{}", MCHS[6].no), 14, 6, Cell::Yuan(0), if odd { 500_000 } else { 0 })?;
        snap(sink, format!("FEE-{}", MCHS[1].no), 13, 1, Cell::Yuan(if odd { 1_234 } else { 0 }), 0)?;
        if odd {
            truth.add("FND-002", format!("{DEREG_PROJECT}/OP-{}", MCHS[0].no), "amount-unknown");
            truth.add("FND-002", format!("{DEREG_PROJECT}/MARGIN-{}", MCHS[6].no), "frozen");
            truth.add("FND-002", format!("{DEREG_PROJECT}/FEE-{}", MCHS[1].no), "not-withdrawn");
        }
        Ok(())
    }
}
