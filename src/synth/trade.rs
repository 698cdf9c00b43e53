//! Orders, payments, refunds and everything around them, in time order.
//!
//! One order at a time is drawn, decided to its end (refunds included) and written; only money that moves later
//! waits in the books. So memory depends on the days that refunds take, not on the number of orders.

use std::collections::BTreeMap;

use super::bills::Line;
use super::books::{Books, Move};
use super::faults::{FaultSelection, Truth};
use super::local::{AS_OF, DAY, HOUR, Local, OPENED};
use super::merchant::{GOODS, MCHS, app_of, mch_of};
use super::people::{OPERATIONS, SHOPS, SUPPORT, World, shop_code};
use super::permissions::Removals;
use super::prng::Prng;
use super::tables::{Cell, Sink, T, cells, yuan_text};
use super::{Error, unionpay};

/// Platforms as the application codes them.
const WECHAT: i64 = 1;
const ALIPAY: i64 = 2;
const BALANCE: i64 = 4;
const CASH: i64 = 5;
/// Members a group-buy needs.
const GROUP_SIZE: i64 = 3;

/// A member's account.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Member {
    balance: i64,
    points: i64,
}

/// A group-buy that still takes members.
#[derive(Debug)]
struct Group {
    id: i64,
    leader: i64,
    joined: i64,
    started: Local,
}

/// Everything trade needs.
pub(super) struct Trade<'a> {
    pub(super) rng: Prng,
    pub(super) sink: &'a mut Sink,
    pub(super) truth: &'a mut Truth,
    pub(super) faults: &'a FaultSelection,
    pub(super) world: &'a World,
    pub(super) removals: &'a Removals,
    pub(super) books: Books,
    members: Vec<Member>,
    group: Option<Group>,
    group_no: i64,
    seed: u64,
    /// Orders since the window began, and in its last days.
    pub(super) in_window: u64,
    pub(super) in_tail: u64,
    pub(super) ghosts_done: u8,
}

/// An order as the customer placed it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) id: i64,
    pub(super) at: Local,
    pub(super) shop: usize,
    pub(super) is_counter: bool,
    /// 1 goods, 2 counter, 3 group-buy, 4 flash sale, 5 top-up.
    pub(super) kind: i64,
    pub(super) platform: i64,
    pub(super) member: i64,
    pub(super) item: usize,
    pub(super) pieces: i64,
    pub(super) goods: i64,
    pub(super) freight: i64,
    pub(super) coupon: i64,
    pub(super) payable: i64,
    pub(super) cashier: Option<i64>,
    pub(super) group: Option<i64>,
    pub(super) campaign: Option<i64>,
    /// Its invoice was written by a fault.
    pub(super) is_invoiced: bool,
}

/// How an order ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// 0 waiting, 1 paid, 2 shipped, 3 done, 4 cancelled, 5 refunding, 6 refunded, 7 partly refunded, 8 closed.
    pub(super) state: i64,
    pub(super) paid: i64,
    pub(super) refunded: i64,
    pub(super) paid_at: Option<Local>,
    pub(super) closed_at: Option<Local>,
    /// 1 timeout, 2 customer, 4 refund, 5 group failed.
    pub(super) close_type: Option<i64>,
}

/// What may be special about a payment.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    /// Amount; none: what is payable.
    pub(super) amount: Option<i64>,
    /// What will be refunded.
    pub(super) refunded: i64,
    /// Attempt, part of the number sent to the platform.
    pub(super) attempt: i64,
    /// Number sent to the platform, where it is not the usual one.
    pub(super) out_trade_no: Option<String>,
    /// Part paid with a coupon voucher, as a tender of its own.
    pub(super) voucher: i64,
    /// Difference of the voucher's flow from what it should be.
    pub(super) voucher_off: i64,
    /// The flow of the voucher is missing.
    pub(super) one_flow: bool,
    /// State of the payment, where it is not a paid one.
    pub(super) state: Option<i64>,
    /// Difference of the platform's amount from ours.
    pub(super) printed_off: i64,
    /// A first attempt at the platform failed.
    pub(super) retried: bool,
    /// Seconds until the notification arrived.
    pub(super) notified_after: i64,
    /// The evening sweep overlooks the payment.
    pub(super) is_stuck: bool,
    /// What is wrong with the event that made it succeed.
    pub(super) event: Option<&'static str>,
    /// Difference of the platform's fee from what was agreed.
    pub(super) fee_off: i64,
    /// The platform's bill lacks the payment.
    pub(super) is_unlisted: bool,
    /// Seconds after which the platform books the payment.
    pub(super) booked_after: i64,
    /// A finding rests on the bill line.
    pub(super) is_needed: bool,
    /// The flow through the platform was not written down.
    pub(super) no_flow: bool,
    /// Difference of the amount in the ledger.
    pub(super) booked_off: i64,
}

/// A payment made.
#[derive(Debug, Clone)]
pub(super) struct Paid {
    pub(super) id: i64,
    pub(super) amount: i64,
    pub(super) at: Local,
    pub(super) mch: Option<usize>,
    pub(super) platform: i64,
    pub(super) out_trade_no: String,
    pub(super) channel_no: String,
}

/// A refund to be written.
#[derive(Debug, Clone)]
pub(super) struct Back {
    pub(super) amount: i64,
    pub(super) requested: Local,
    /// When the platform accepted it; none while it has not.
    pub(super) accepted: Option<Local>,
    pub(super) succeeded: Option<Local>,
    /// 0 requested, 1 approved, 2 processing, 3 succeeded, 4 failed.
    pub(super) state: i64,
    /// 1 original, 2 balance, 3 outside the platform.
    pub(super) route: i64,
    pub(super) operator: i64,
    pub(super) reason: &'static str,
    /// State and difference of amount in the platform's line, where they are not ours.
    pub(super) printed_state: Option<&'static str>,
    pub(super) printed_off: i64,
    /// The platform's bill lacks the refund.
    pub(super) is_unlisted: bool,
}

impl Back {
    /// A refund by the original route, accepted a minute after the request.
    pub(super) fn original(amount: i64, requested: Local, after: i64, operator: i64) -> Self {
        Self {
            amount,
            requested,
            accepted: Some(requested.plus(60)),
            succeeded: Some(requested.plus(after.max(70))),
            state: 3,
            route: 1,
            operator,
            reason: "客户申请退款",
            printed_state: None,
            printed_off: 0,
            is_unlisted: false,
        }
    }
}

/// What both sides call a refund: the platform's own number, or, as Alipay has none, the merchant's request number.
pub(super) fn refund_number(platform: i64, accepted: Local, id: i64, out_refund_no: &str) -> String {
    match platform {
        2 => out_refund_no.to_owned(),
        // Far from the numbers of payments taken in the same second.
        3 => unionpay::query_number(accepted, id + 500_000),
        _ => format!("5030002025{}{id:010}", accepted.compact_date()),
    }
}

/// The merchant's own number of a refund.
pub(super) fn out_refund_number(requested: Local, id: i64) -> String {
    format!("R{}{id:010}", requested.compact_date())
}

impl<'a> Trade<'a> {
    /// Opens the shop.
    pub(super) fn new(
        seed: u64,
        orders: u64,
        (sink, truth): (&'a mut Sink, &'a mut Truth),
        faults: &'a FaultSelection,
        world: &'a World,
        removals: &'a Removals,
        books: Books,
    ) -> Self {
        let members = (orders / 5).clamp(200, 100_000) as usize;
        Self {
            rng: Prng::new(seed, "trade"),
            sink,
            truth,
            faults,
            world,
            removals,
            books,
            members: vec![Member::default(); members],
            group: None,
            group_no: 0,
            seed,
            in_window: 0,
            in_tail: 0,
            ghosts_done: 0,
        }
    }

    /// Draws an order placed at a time.
    pub(super) fn draft(&mut self, at: Local) -> Draft {
        let rng = &mut self.rng;
        let shop = rng.below(SHOPS as u64) as usize;
        let kind = [1_i64, 2, 3, 4, 5][rng.weighted(&[46, 34, 8, 8, 4])];
        let is_counter = kind == 2;
        let item = rng.below(GOODS.len() as u64) as usize;
        let pieces = if rng.permille(250) { 2 } else { 1 };
        let mut price = GOODS[item].1;
        if kind == 3 || kind == 4 {
            price = price * 7 / 10;
        }
        let goods = if kind == 5 { *rng.pick(&[10_000, 20_000, 50_000]) } else { price * pieces };
        let freight = if kind == 1 && goods < 3_900 { 500 } else { 0 };
        let coupon = if kind == 1 && rng.permille(180) { 300 } else { 0 };
        let payable = goods + freight - coupon;
        let member = rng.below(self.members.len() as u64) as i64 + 1;
        let mut platform =
            [WECHAT, ALIPAY, 3, BALANCE, CASH][rng.weighted(&[66, 18, 7, 6, if is_counter { 3 } else { 0 }])];
        if kind == 3 || kind == 5 || (platform == BALANCE && self.members[member as usize - 1].balance < payable) {
            platform = WECHAT;
        }
        let cashiers: Vec<i64> = if is_counter { self.world.at_work(shop, at).collect() } else { Vec::new() };
        let cashier = if cashiers.is_empty() { None } else { Some(*self.rng.pick(&cashiers)) };
        let id = self.sink.next_id(T::Order);
        let campaign = match kind {
            3 => Some(1),
            4 => Some(2),
            _ => None,
        };
        Draft {
            id,
            at,
            shop,
            is_counter,
            kind,
            platform,
            member,
            item,
            pieces,
            goods,
            freight,
            coupon,
            payable,
            cashier,
            group: None,
            campaign,
            is_invoiced: false,
        }
    }

    /// An order of the plainest kind, for faults: mini-program, direct WeChat number, one tender.
    pub(super) fn plain_draft(&mut self, at: Local) -> Draft {
        let mut draft = self.draft(at);
        draft.shop %= 45;
        draft.kind = 1;
        draft.is_counter = false;
        draft.platform = WECHAT;
        draft.cashier = None;
        draft.campaign = None;
        draft.pieces = 1;
        draft.item = 1;
        draft.goods = GOODS[1].1;
        draft.freight = 0;
        draft.coupon = 0;
        draft.payable = draft.goods;
        draft
    }

    /// Openid of a member.
    pub(super) fn openid(&self, member: i64) -> String {
        let mut rng = Prng::new(self.seed, "openid");
        let salt = rng.next() ^ (member as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("oC{:016x}{:09}", salt, member)
    }

    /// Writes a payment that succeeded (or ended as the terms say), with flows, event and movement.
    pub(super) fn pay(&mut self, draft: &Draft, created: Local, paid_at: Local, terms: &Terms) -> Result<Paid, Error> {
        let id = self.sink.next_id(T::Pay);
        let amount = terms.amount.unwrap_or(draft.payable);
        let platform = draft.platform;
        let mch = (platform <= 3).then(|| mch_of(platform, draft.shop));
        let app = app_of(platform, draft.is_counter);
        let out_trade_no = terms
            .out_trade_no
            .clone()
            .unwrap_or_else(|| format!("P{}{:010}{}", created.compact_date(), draft.id, terms.attempt + 1));
        let prefix = if platform == 2 { "2200" } else { "4200" };
        let channel_no = match (mch, platform) {
            (None, _) => String::new(),
            (Some(_), 3) => unionpay::query_number(paid_at, id),
            (Some(_), _) => format!("{prefix}002025{}{:010}", paid_at.compact_date(), id),
        };
        let state = terms.state.unwrap_or(match terms.refunded {
            0 => 2,
            r if r >= amount => 6,
            _ => 7,
        });
        let is_paid = terms.state.is_none();
        let fee = mch.map_or(0, |m| MCHS[m].fee(amount - terms.voucher));
        let expires = created.plus(15 * 60);
        self.sink.push(
            T::Pay,
            [
                Cell::Int(id),
                Cell::Int(draft.id),
                out_trade_no.clone().into(),
                Cell::Int(1),
                mch.map(|m| MCHS[m].no).into(),
                Cell::Int(platform),
                app.into(),
                Cell::Yuan(amount),
                Cell::Yuan(if is_paid { fee } else { 0 }),
                Cell::Yuan(terms.refunded),
                Cell::Int(state),
                created.into(),
                expires.into(),
                Some(paid_at).filter(|_| is_paid).into(),
                Some(expires).filter(|_| state == 5).into(),
                Some(paid_at.plus(terms.notified_after.max(1))).filter(|_| is_paid && mch.is_some()).into(),
                (terms.voucher > 0 || terms.one_flow).into(),
            ],
        )?;
        let channel_amount = amount - terms.voucher;
        if terms.retried {
            let error = ("NOTENOUGH", "余额不足");
            self.flow(id, platform, channel_amount, 3, None, mch, draft.member, 1, created, None, Some(error))?;
        }
        let flow_state = if is_paid { state } else { 5 };
        let is_listed = is_paid || terms.event == Some("status-differs");
        let number = Some(channel_no.clone()).filter(|_| mch.is_some() && is_listed);
        let attempt = if terms.retried { 2 } else { 1 };
        let success = Some(paid_at).filter(|_| is_paid);
        if !terms.no_flow {
            self.flow(
                id,
                platform,
                channel_amount,
                flow_state,
                number,
                mch,
                draft.member,
                attempt,
                created.plus(3),
                success,
                None,
            )?;
        }
        if terms.voucher > 0 {
            let voucher_state = if is_paid { state } else { 2 };
            let value = terms.voucher + terms.voucher_off;
            self.flow(
                id,
                6,
                value,
                voucher_state,
                None,
                None,
                draft.member,
                1,
                created.plus(3),
                Some(created.plus(4)),
                None,
            )?;
        }
        if let Some(mch) = mch.filter(|_| is_listed) {
            let line = Line {
                app,
                out_trade_no: out_trade_no.clone(),
                channel_no: channel_no.clone(),
                payer: self.openid(draft.member),
                kind: if draft.is_counter { "MICROPAY" } else { "JSAPI" },
                goods: if draft.kind == 5 { "储值卡充值" } else { GOODS[draft.item].0 },
                refund: None,
                printed: channel_amount + terms.printed_off,
                is_needed: terms.is_needed,
            };
            let movement = if is_paid {
                self.payment_event(draft, id, paid_at, platform, terms.event)?;
                Move::Pay {
                    mch,
                    amount: channel_amount,
                    payment: id,
                    is_stuck: terms.is_stuck,
                    fee_off: terms.fee_off,
                    booked_off: terms.booked_off,
                    line: Some(line).filter(|_| !terms.is_unlisted),
                }
            } else {
                Move::Foreign { mch, line }
            };
            self.books.at(paid_at.plus(terms.booked_after), movement);
        }
        if platform == BALANCE && is_paid {
            self.member_moves(draft.member, -amount, paid_at, "payment", ("payment", format!("p{id}")), false);
        }
        Ok(Paid { id, amount, at: paid_at, mch, platform, out_trade_no, channel_no })
    }

    #[expect(clippy::too_many_arguments, reason = "one row has that many columns")]
    fn flow(
        &mut self,
        payment: i64,
        tender: i64,
        amount: i64,
        state: i64,
        channel_no: Option<String>,
        mch: Option<usize>,
        member: i64,
        attempt: i64,
        submitted: Local,
        succeeded: Option<Local>,
        error: Option<(&'static str, &'static str)>,
    ) -> Result<(), Error> {
        let id = self.sink.next_id(T::PayFlow);
        let payer = if mch.is_some() { Cell::Text(self.openid(member)) } else { Cell::Null };
        self.sink.push(
            T::PayFlow,
            [
                Cell::Int(id),
                Cell::Int(payment),
                Cell::Int(tender),
                yuan_text(amount),
                Cell::Int(state),
                channel_no.into(),
                mch.map(|m| MCHS[m].bill_no()).into(),
                payer,
                Cell::Int(attempt),
                submitted.into(),
                succeeded.into(),
                error.map(|e| e.0).into(),
                error.map(|e| e.1).into(),
                matches!(state, 2 | 6 | 7).into(),
            ],
        )
    }

    /// Writes one event; returns its reference.
    pub(super) fn event(
        &mut self,
        (object, object_id, order): (i64, i64, i64),
        seq: i64,
        at: Local,
        from: &'static str,
        to: &'static str,
        evidence: &'static str,
        channel: Option<(i64, &'static str, Cell)>,
    ) -> Result<String, Error> {
        let id = self.sink.next_id(T::OrderLog);
        let (platform, product, trade_state) = match channel {
            Some((platform, product, state)) => (Cell::Int(platform), product.into(), state),
            None => (Cell::Null, Cell::Null, Cell::Null),
        };
        let comm = if matches!(platform, Cell::Null) { Cell::Null } else { "SUCCESS".into() };
        self.sink.push(
            T::OrderLog,
            [
                Cell::Int(id),
                Cell::Int(object),
                Cell::Int(object_id),
                Cell::Int(order),
                Cell::Int(seq),
                at.into(),
                Cell::Int(0),
                Cell::Null,
                from.into(),
                to.into(),
                evidence.into(),
                platform,
                product,
                comm,
                Cell::Null,
                trade_state,
                Cell::Null,
            ],
        )?;
        Ok(format!("e{id}"))
    }

    fn payment_event(
        &mut self,
        draft: &Draft,
        payment: i64,
        at: Local,
        platform: i64,
        fault: Option<&'static str>,
    ) -> Result<(), Error> {
        let product = match (platform, draft.is_counter) {
            (WECHAT, true) => "micropay",
            (ALIPAY, true) => "face",
            (WECHAT | ALIPAY, false) => "jsapi",
            _ => "qr",
        };
        let success = ["", "SUCCESS", "TRADE_SUCCESS", "00"][platform as usize];
        let mut evidence = match self.rng.below(50) {
            0 => "query",
            1 => "bill",
            _ => "notify",
        };
        let mut state = Cell::Word(success);
        match fault {
            Some("weak-evidence") => evidence = "sync_return",
            Some("state-missing") => state = Cell::Null,
            Some("state-unmapped") => state = "WHATEVER".into(),
            Some("state-not-success") => state = "USERPAYING".into(),
            _ => {}
        }
        let object = (2, payment, draft.id);
        let event =
            self.event(object, 1, at.plus(1), "PAYING", "PAY_OK", evidence, Some((platform, product, state)))?;
        match fault {
            Some(reason @ ("weak-evidence" | "state-missing" | "state-unmapped" | "state-not-success")) => {
                self.truth.add("TXN-007", event, reason);
            }
            Some("rank-back") => {
                let event = self.event(object, 2, at.plus(40), "PAY_OK", "PAYING", "query", None)?;
                self.truth.add("TXN-006", event, "rank-back");
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes a refund with its movement; returns its reference.
    pub(super) fn refund(&mut self, draft: &Draft, paid: &Paid, back: &Back) -> Result<String, Error> {
        let id = self.sink.next_id(T::Refund);
        let out_refund_no = out_refund_number(back.requested, id);
        let accepted = back.accepted.filter(|_| back.route == 1);
        let channel_no = match (accepted, paid.mch) {
            (Some(at), Some(_)) => Some(refund_number(paid.platform, at, id, &out_refund_no)),
            _ => None,
        };
        let route = if paid.platform == BALANCE && back.route == 1 { 2 } else { back.route };
        self.sink.push(
            T::Refund,
            [
                Cell::Int(id),
                out_refund_no.clone().into(),
                Cell::Int(paid.id),
                Cell::Int(draft.id),
                paid.mch.map(|m| MCHS[m].no).into(),
                Cell::Int(paid.platform),
                Cell::Yuan(back.amount),
                Cell::Int(back.state),
                Cell::Int(route),
                channel_no.clone().into(),
                back.reason.into(),
                back.requested.into(),
                back.accepted.map(|t| t.plus(-20)).into(),
                back.succeeded.into(),
                Cell::Int(back.operator),
                if back.state == 4 { "USER_ACCOUNT_ABNORMAL".into() } else { Cell::Null },
            ],
        )?;
        if let (Some(at), Some(mch), Some(number)) = (accepted, paid.mch, channel_no) {
            let printed_state = back.printed_state.unwrap_or(if back.state == 3 { "SUCCESS" } else { "PROCESSING" });
            let line = Line {
                app: app_of(paid.platform, draft.is_counter),
                out_trade_no: paid.out_trade_no.clone(),
                channel_no: paid.channel_no.clone(),
                payer: self.openid(draft.member),
                kind: if draft.is_counter { "MICROPAY" } else { "JSAPI" },
                goods: GOODS[draft.item].0,
                refund: Some((out_refund_no, number, printed_state)),
                printed: back.amount + back.printed_off,
                is_needed: back.printed_state.is_some() || back.printed_off != 0,
            };
            let fee_back = if back.amount == paid.amount { MCHS[mch].fee(paid.amount) } else { 0 };
            let line = Some(line).filter(|_| !back.is_unlisted);
            self.books.at(at, Move::Refund { mch, amount: back.amount, fee_back, refund: id, line });
        }
        if let (BALANCE, Some(at)) = (paid.platform, back.succeeded) {
            self.member_moves(draft.member, back.amount, at, "refund", ("refund", format!("r{id}")), false);
        }
        Ok(format!("r{id}"))
    }

    /// Moves stored value; `is_again`: by mistake, a second time.
    pub(super) fn member_moves(
        &mut self,
        member: i64,
        signed: i64,
        at: Local,
        kind: &'static str,
        about: (&'static str, String),
        is_again: bool,
    ) {
        self.members[member as usize - 1].balance += signed;
        self.books.at(at, Move::Member { member, signed, kind, about, is_again });
    }

    /// Writes the order with its item and states.
    pub(super) fn close(&mut self, draft: &Draft, end: End) -> Result<(), Error> {
        let at = draft.at;
        let shipped = end.paid_at.filter(|_| !draft.is_counter && matches!(end.state, 2 | 3)).map(|t| t.plus(25 * 60));
        let delivered = draft.kind == 1;
        let receiver = |text: String| if delivered { Cell::Text(text) } else { Cell::Null };
        let remark = if delivered && draft.id % 17 == 0 { Cell::Word("请放门口,不要敲门") } else { Cell::Null };
        self.sink.push(
            T::Order,
            [
                Cell::Int(draft.id),
                format!("{}{:010}", at.compact_date(), draft.id).into(),
                Cell::Int(1),
                shop_code(draft.shop).into(),
                app_of(draft.platform, draft.is_counter).into(),
                Cell::Int(draft.member),
                Cell::Int(draft.kind),
                Cell::Int(if draft.is_counter { 2 } else { 1 }),
                Cell::Int(end.state),
                Cell::Yuan(draft.goods),
                Cell::Yuan(draft.freight),
                Cell::Yuan(draft.coupon),
                Cell::Yuan(draft.coupon),
                Cell::Yuan(draft.payable),
                Cell::Yuan(end.paid),
                Cell::Yuan(end.refunded),
                Cell::Int(draft.pieces),
                draft.campaign.into(),
                draft.group.into(),
                draft.cashier.into(),
                at.into(),
                at.plus(15 * 60).into(),
                end.paid_at.into(),
                shipped.into(),
                end.closed_at.into(),
                end.close_type.into(),
                receiver(format!("顾客{}", draft.member)),
                receiver(format!("199001{:05}", draft.member % 100_000)),
                receiver(format!("示例小区{}号{}室", draft.member % 88 + 1, draft.member % 1_700 + 101)),
                remark,
                Cell::Int(i64::from(draft.id % 997 == 0)),
            ],
        )?;
        self.sink.push(
            T::OrderItem,
            [
                Cell::Int(self.sink.next_id(T::OrderItem)),
                Cell::Int(draft.id),
                if draft.kind == 5 { "CARD".into() } else { format!("SKU{:03}", draft.item + 1).into() },
                if draft.kind == 5 { "储值卡".into() } else { GOODS[draft.item].0.into() },
                Cell::Int(draft.pieces),
                Cell::Yuan(draft.goods / draft.pieces),
                Cell::Yuan(draft.coupon),
                Cell::Yuan(draft.goods - draft.coupon),
                Cell::Yuan(end.refunded.min(draft.goods)),
            ],
        )?;
        self.order_events(draft, end)?;
        self.invoice(draft, end)?;
        if draft.coupon > 0 {
            let used = end.paid_at;
            let id = self.sink.next_id(T::Coupon);
            self.sink.push(
                T::Coupon,
                [
                    Cell::Int(id),
                    Cell::Int(3),
                    Cell::Int(draft.member),
                    Cell::Yuan(draft.coupon),
                    Cell::Int(if used.is_some() { 2 } else { 0 }),
                    // Nothing is older than the shop.
                    at.plus(-3 * DAY).max(OPENED).into(),
                    used.into(),
                    used.map(|_| draft.id).into(),
                ],
            )?;
        }
        self.members[draft.member as usize - 1].points += end.paid / 100;
        self.sink.orders += 1;
        Ok(())
    }

    /// The invoice that every nineteenth customer asks for, and the red one where money went back.
    fn invoice(&mut self, draft: &Draft, end: End) -> Result<(), Error> {
        let Some(paid_at) = end.paid_at.filter(|_| draft.id % 19 == 0 && matches!(end.state, 2 | 3 | 6 | 7)) else {
            return Ok(());
        };
        let (requested, issued) = (paid_at.plus(2 * HOUR), paid_at.plus(DAY));
        if issued >= AS_OF || draft.is_invoiced {
            return Ok(());
        }
        let invoice = self.write_invoice(draft, end.paid, None, requested, issued)?;
        if let Some(back) =
            end.closed_at.map(|at| at.max(issued).plus(DAY)).filter(|at| end.refunded > 0 && *at < AS_OF)
        {
            self.write_invoice(draft, end.refunded, Some(invoice), back.plus(-HOUR), back)?;
        }
        Ok(())
    }

    /// Writes an invoice, or the red one that takes another back; returns its number in the table.
    pub(super) fn write_invoice(
        &mut self,
        draft: &Draft,
        amount: i64,
        red_of: Option<i64>,
        requested: Local,
        issued: Local,
    ) -> Result<i64, Error> {
        let id = self.sink.next_id(T::Invoice);
        let is_company = draft.id % 2 == 0;
        self.sink.push(
            T::Invoice,
            [
                Cell::Int(id),
                Cell::Int(draft.id),
                Cell::Int(draft.member),
                if is_company {
                    format!("示例公司{}", draft.member).into()
                } else {
                    format!("顾客{}", draft.member).into()
                },
                Cell::Int(if is_company { 2 } else { 1 }),
                if is_company { "91000000000000000X".into() } else { Cell::Null },
                Cell::Int(1),
                Cell::Yuan(amount),
                format!("26310000000{id:09}").into(),
                red_of.into(),
                Cell::Int(1),
                requested.into(),
                issued.into(),
            ],
        )?;
        Ok(id)
    }

    fn order_events(&mut self, draft: &Draft, end: End) -> Result<(), Error> {
        let object = (1, draft.id, draft.id);
        let mut seq = 0;
        let mut put = |trade: &mut Self, at: Local, from, to| {
            seq += 1;
            trade.event(object, seq, at, from, to, "system", None).map(|_| ())
        };
        if let Some(paid) = end.paid_at.filter(|_| end.state != 4) {
            put(self, paid.plus(1), "WAIT_PAY", "PAID")?;
            match end.state {
                2 | 3 if draft.is_counter => put(self, paid.plus(2), "PAID", "DONE")?,
                2 | 3 => {
                    put(self, paid.plus(25 * 60), "PAID", "SHIPPED")?;
                    if end.state == 3 {
                        put(self, paid.plus(70 * 60), "SHIPPED", "DONE")?;
                    }
                }
                5 => put(self, paid.plus(HOUR), "PAID", "REFUNDING")?,
                6..=8 => {
                    let done = end.closed_at.unwrap_or_else(|| paid.plus(HOUR));
                    put(self, done.plus(-1), "PAID", "REFUNDING")?;
                    put(self, done, "REFUNDING", if end.state == 7 { "PART_REFUNDED" } else { "REFUNDED" })?;
                }
                _ => {}
            }
        } else if end.state == 4 {
            put(self, end.closed_at.unwrap_or(draft.at), "WAIT_PAY", "CANCEL")?;
        }
        Ok(())
    }

    /// Joins the group-buy that is open, or opens one. Returns the group and, if it will fail, when it ends.
    pub(super) fn join_group(&mut self, draft: &mut Draft) -> Result<Option<Local>, Error> {
        let fails = draft.at.plus(3 * DAY) < AS_OF && self.rng.permille(180);
        if fails {
            self.group_no += 1;
            draft.group = Some(self.group_no);
            let expires = draft.at.plus(DAY);
            self.write_group(&Group { id: self.group_no, leader: draft.member, joined: 1, started: draft.at }, 3)?;
            return Ok(Some(expires));
        }
        let mut group = match self.group.take() {
            Some(group) => group,
            None => {
                self.group_no += 1;
                Group { id: self.group_no, leader: draft.member, joined: 0, started: draft.at }
            }
        };
        group.joined += 1;
        draft.group = Some(group.id);
        if group.joined >= GROUP_SIZE {
            self.write_group(&group, 2)?;
        } else {
            self.group = Some(group);
        }
        Ok(None)
    }

    fn write_group(&mut self, group: &Group, state: i64) -> Result<(), Error> {
        // Groups last until they are full here, so a slow sample shows long ones.
        let expires = group.started.plus(if state == 3 { DAY } else { 10 * DAY });
        self.sink.push(
            T::Group,
            cells![group.id, 1_i64, group.leader, GROUP_SIZE, group.joined, state, group.started, expires],
        )
    }

    /// Adds a top-up to a member's account; returns the gift and the top-up's reference.
    pub(super) fn top_up(&mut self, draft: &Draft, paid: &Paid) -> Result<(i64, String), Error> {
        let gift = draft.payable / 20;
        let id = self.sink.next_id(T::Recharge);
        self.sink.push(
            T::Recharge,
            [
                Cell::Int(id),
                Cell::Int(draft.member),
                Cell::Yuan(draft.payable),
                Cell::Yuan(gift),
                Cell::Yuan(0),
                Cell::Int(paid.id),
                Cell::Int(2),
                paid.at.into(),
            ],
        )?;
        let about = || ("recharge", format!("rc{id}"));
        self.member_moves(draft.member, draft.payable, paid.at.plus(2), "recharge", about(), false);
        self.member_moves(draft.member, gift, paid.at.plus(2), "bonus", about(), false);
        Ok((gift, format!("rc{id}")))
    }

    /// Someone at the service desk.
    pub(super) fn support(&mut self) -> i64 {
        *self.rng.pick(&SUPPORT)
    }

    /// Writes what is known only at the end: members, open groups, campaigns, complaints.
    pub(super) fn finish(mut self) -> Result<Books, Error> {
        if let Some(group) = self.group.take() {
            self.write_group(&group, 1)?;
        }
        for i in 0..self.members.len() {
            let (member, id) = (self.members[i], i as i64 + 1);
            let registered = OPENED.plus((i as i64 * 7_919) % (400 * DAY));
            self.sink.push(
                T::Member,
                [
                    Cell::Int(id),
                    self.openid(id).into(),
                    format!("199001{:05}", id % 100_000).into(),
                    format!("果友{id}").into(),
                    if member.points > 500 { "金卡" } else { "普通" }.into(),
                    Cell::Int(member.points),
                    Cell::Yuan(member.balance),
                    Cell::Int(1),
                    registered.into(),
                    Cell::Null,
                ],
            )?;
        }
        self.campaigns()?;
        self.complaints()?;
        Ok(self.books)
    }

    fn campaigns(&mut self) -> Result<(), Error> {
        let running = AS_OF.plus(60 * DAY);
        for (id, kind, title, by) in
            [(1, 2, "三人拼团", OPERATIONS[0]), (2, 3, "日末清仓秒杀", OPERATIONS[1]), (3, 1, "满减券", OPERATIONS[0])]
        {
            self.campaign(id, kind, title, OPENED, running, by)?;
        }
        if let Some(ghost) = self.world.open_campaign {
            self.campaign(4, 1, "门店新客券", ghost.removed.plus(-20 * DAY), ghost.removed.plus(40 * DAY), ghost.user)?;
            if let Some(change) = self.removals.get(&ghost.user) {
                self.truth.add("OFB-002", format!("{change}/cam4"), "campaign-running");
            }
        }
        Ok(())
    }

    fn campaign(
        &mut self,
        id: i64,
        kind: i64,
        title: &'static str,
        starts: Local,
        ends: Local,
        by: i64,
    ) -> Result<(), Error> {
        let state = if ends <= AS_OF { 3_i64 } else { 2 };
        let budget = Cell::Yuan(5_000_000);
        self.sink.push(
            T::Campaign,
            [
                id.into(),
                kind.into(),
                title.into(),
                starts.into(),
                ends.into(),
                Cell::Null,
                state.into(),
                by.into(),
                Cell::Null,
                budget,
                Cell::Int(0),
            ],
        )
    }

    fn complaints(&mut self) -> Result<(), Error> {
        let orders = self.sink.next_id(T::Order) - 1;
        let mut rng = Prng::new(self.seed, "complaints");
        let mut rows: BTreeMap<(Local, i64), (i64, i64, Local)> = BTreeMap::new();
        for i in 0..(orders / 200).max(5) {
            let opened = OPENED.plus(rng.range(DAY, AS_OF.0 - OPENED.0 - 10 * DAY));
            rows.insert(
                (opened, i),
                (rng.range(1, orders + 1), *rng.pick(&SUPPORT), opened.plus(rng.range(HOUR, 3 * DAY))),
            );
        }
        if let Some(ghost) = self.world.open_complaint {
            rows.insert((ghost.removed.plus(-2 * DAY), -1), (1, ghost.user, ghost.removed.plus(3 * DAY)));
        }
        for ((opened, i), (order, handler, closed)) in rows {
            let id = self.sink.next_id(T::Complaint);
            if i == -1
                && let Some(change) = self.removals.get(&handler)
            {
                self.truth.add("OFB-001", format!("{change}/cp{id}"), "open-complaint");
            }
            let member = order % self.members.len() as i64 + 1;
            self.sink.push(
                T::Complaint,
                [
                    Cell::Int(id),
                    Cell::Int(1),
                    Cell::Int(order),
                    MCHS[0].no.into(),
                    Cell::Int(member),
                    Cell::Yuan(1_000 + order % 5_000),
                    opened.into(),
                    closed.into(),
                    Cell::Int(2),
                    Cell::Int(handler),
                ],
            )?;
        }
        Ok(())
    }
}
