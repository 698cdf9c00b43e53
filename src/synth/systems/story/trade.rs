//! Customers, orders, payments, refunds, coupons and group-buys.

use crate::progress::Cancel;
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use crate::synth::merchant::GOODS;
use crate::synth::prng::Prng;
use crate::synth::season;

use super::super::Planted;
use super::TAIL;
use super::people::{Act, Deed, GHOST_REFUND, Person, address, clerk_at};

/// Members of a group-buy.
pub(in super::super) const GROUP_SIZE: i64 = 3;
/// What a member of a group saves.
pub(in super::super) const GROUP_FEN: i64 = 300;
/// Orders inside the window between two planted ones.
const STEP: u64 = 5;

/// Which wallet pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Platform {
    Wechat,
    Alipay,
}

/// A customer.
#[derive(Debug, Clone)]
pub(in super::super) struct Customer {
    pub(in super::super) id: i64,
    pub(in super::super) openid: String,
    pub(in super::super) nickname: String,
    pub(in super::super) registered: Local,
}

impl Customer {
    /// Invented number of the range 199001xxxxx.
    pub(in super::super) fn mobile(&self) -> String {
        format!("199001{:05}", self.id % 100_000)
    }
}

/// A kind of coupon.
#[derive(Debug, Clone)]
pub(in super::super) struct Coupon {
    pub(in super::super) name: &'static str,
    pub(in super::super) face_fen: i64,
    pub(in super::super) min_fen: i64,
}

/// A coupon somebody holds.
#[derive(Debug, Clone)]
pub(in super::super) struct Holding {
    /// From 1, in [`super::Story::coupons`].
    pub(in super::super) coupon: i64,
    pub(in super::super) customer: i64,
    pub(in super::super) received: Local,
    /// When it was used, and for which order.
    pub(in super::super) used: Option<(Local, i64)>,
    pub(in super::super) is_expired: bool,
}

/// A group-buy offer of one month.
#[derive(Debug, Clone)]
pub(in super::super) struct Rule {
    pub(in super::super) good: usize,
    pub(in super::super) starts: Local,
    pub(in super::super) ends: Local,
}

/// A group of buyers.
#[derive(Debug, Clone)]
pub(in super::super) struct Group {
    /// From 1.
    pub(in super::super) rule: i64,
    /// Places of the members' orders, the one who opened it first.
    pub(in super::super) orders: Vec<usize>,
    pub(in super::super) is_complete: bool,
    /// The offer ended before the group was complete.
    pub(in super::super) has_failed: bool,
}

/// One line of an order.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Item {
    /// Place in [`GOODS`].
    pub(in super::super) good: usize,
    pub(in super::super) count: i64,
}

/// Why an order was closed without payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Close {
    Timeout,
    Customer,
    Merchant,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum RefundState {
    Requested,
    Approved,
    Done,
    Rejected,
    Cancelled,
}

/// Money that goes back.
#[derive(Debug, Clone)]
pub(in super::super) struct Refund {
    pub(in super::super) amount: i64,
    pub(in super::super) requested: Local,
    /// When it was decided or done.
    pub(in super::super) handled: Option<Local>,
    pub(in super::super) state: RefundState,
    /// The whole order before it was sent off; otherwise an after-sales request.
    pub(in super::super) is_whole: bool,
}

/// An order.
#[derive(Debug, Clone)]
pub(in super::super) struct Order {
    pub(in super::super) id: i64,
    pub(in super::super) no: String,
    pub(in super::super) customer: i64,
    pub(in super::super) platform: Platform,
    pub(in super::super) created: Local,
    pub(in super::super) items: Vec<Item>,
    pub(in super::super) goods_fen: i64,
    pub(in super::super) freight_fen: i64,
    pub(in super::super) coupon_fen: i64,
    pub(in super::super) group_fen: i64,
    /// Place of its group in [`super::Story::groups`].
    pub(in super::super) group: Option<usize>,
    pub(in super::super) payable: i64,
    pub(in super::super) paid: Option<Local>,
    pub(in super::super) closed: Option<(Local, Close)>,
    pub(in super::super) shipped: Option<Local>,
    pub(in super::super) received: Option<Local>,
    pub(in super::super) refunds: Vec<Refund>,
    /// Nobody downstream confirmed that the payment was taken.
    pub(in super::super) is_unconfirmed: bool,
    /// When it was paid a second time, by another attempt.
    pub(in super::super) paid_twice: Option<Local>,
    pub(in super::super) ip: String,
}

impl Order {
    /// What went back.
    pub(in super::super) fn refunded(&self) -> i64 {
        self.refunds.iter().filter(|r| r.state == RefundState::Done).map(|r| r.amount).sum()
    }

    /// The platform's number of the payment.
    pub(in super::super) fn trade_no(&self) -> Option<String> {
        let paid = self.paid?;
        Some(match self.platform {
            Platform::Wechat => format!("4200003{}{:010}", paid.compact_date(), self.id),
            Platform::Alipay => format!("{}22001{:011}", paid.compact_date(), self.id),
        })
    }

    /// Whether all of it goes or went back before it was sent off.
    pub(in super::super) fn whole_refund(&self) -> Option<&Refund> {
        self.refunds.iter().find(|r| r.is_whole)
    }
}

/// Something that goes wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twist {
    PaidAfterClose,
    RefundedOver,
    CommittedOver,
    NumberReused,
    Unconfirmed,
    InFlight,
    GhostRefund,
    PaidTwice,
}

/// The twists of a story, each with the policy that finds it.
const TWISTS: [(Twist, &str); 13] = [
    (Twist::PaidAfterClose, "TXN-003"),
    (Twist::RefundedOver, "TXN-014"),
    (Twist::NumberReused, "TXN-018"),
    (Twist::Unconfirmed, "FND-007"),
    (Twist::InFlight, "FND-004"),
    (Twist::GhostRefund, "PRM-021"),
    (Twist::PaidAfterClose, "TXN-003"),
    (Twist::CommittedOver, "TXN-014"),
    (Twist::Unconfirmed, "FND-007"),
    (Twist::PaidAfterClose, "TXN-003"),
    (Twist::InFlight, "FND-004"),
    (Twist::PaidTwice, "TXN-001"),
    (Twist::PaidTwice, "TXN-001"),
];

/// What this module tells.
pub(super) struct Trade {
    pub(super) customers: Vec<Customer>,
    pub(super) coupons: Vec<Coupon>,
    pub(super) holdings: Vec<Holding>,
    pub(super) rules: Vec<Rule>,
    pub(super) groups: Vec<Group>,
    pub(super) orders: Vec<Order>,
    pub(super) inquiries: Vec<(i64, Local, &'static str)>,
}

/// Everything around orders; adds what staff did about them.
pub(super) fn tell(
    seed: u64,
    orders: u64,
    planted: Planted<'_>,
    people: &[Person],
    acts: &mut Vec<Act>,
    cancel: &Cancel,
) -> Result<Trade, Error> {
    let mut teller = Teller {
        rng: Prng::new(seed, "system trade"),
        planted,
        people,
        acts,
        twists: TWISTS.iter().filter(|(_, policy)| planted.has(policy)).map(|(twist, _)| *twist).rev().collect(),
        trade: Trade {
            customers: customers(seed, orders),
            coupons: vec![
                Coupon { name: "满50减5", face_fen: 500, min_fen: 5_000 },
                Coupon { name: "满100减12", face_fen: 1_200, min_fen: 10_000 },
            ],
            holdings: Vec::new(),
            rules: rules(),
            groups: Vec::new(),
            orders: Vec::new(),
            inquiries: Vec::new(),
        },
        in_window: 0,
    };
    for (day, count) in season::days(orders) {
        cancel.check()?;
        for at in season::times(day, count, &mut teller.rng) {
            teller.order(at);
        }
    }
    teller.end_groups();
    teller.keep_coupons();
    Ok(teller.trade)
}

fn customers(seed: u64, orders: u64) -> Vec<Customer> {
    let mut rng = Prng::new(seed, "system customers");
    let count = (orders / 4).clamp(50, 200_000) as i64;
    (1..=count)
        .map(|id| Customer {
            id,
            openid: format!("oSample{}", rng.hex(21)),
            nickname: format!("顾客{id}"),
            registered: OPENED.plus(rng.range(0, (AS_OF.0 - OPENED.0) / 2)),
        })
        .collect()
}

fn rules() -> Vec<Rule> {
    let mut list = Vec::new();
    let mut starts = OPENED;
    while starts < AS_OF {
        let ends = starts.next_month();
        list.push(Rule { good: list.len() % GOODS.len(), starts, ends });
        starts = ends;
    }
    list
}

struct Teller<'a> {
    rng: Prng,
    planted: Planted<'a>,
    people: &'a [Person],
    acts: &'a mut Vec<Act>,
    /// Still to be planted, the next one last.
    twists: Vec<Twist>,
    trade: Trade,
    in_window: u64,
}

impl Teller<'_> {
    fn order(&mut self, at: Local) {
        let place = self.trade.orders.len();
        let mut order = self.draft(at);
        let mut twist = None;
        if at >= WINDOW && at < TAIL {
            self.in_window += 1;
            let is_due = |t: &Twist| {
                // A leaver refunds only what was asked for after leaving, and a number is reused of a payment before.
                match t {
                    Twist::GhostRefund => {
                        self.people.get(GHOST_REFUND as usize - 1).and_then(|p| p.removed).is_some_and(|(r, _)| at > r)
                    }
                    Twist::NumberReused => self
                        .trade
                        .orders
                        .last()
                        .is_some_and(|o| o.paid.is_some() && o.refunds.is_empty() && o.created >= WINDOW),
                    _ => true,
                }
            };
            if self.in_window.is_multiple_of(STEP) {
                let found = (0..self.twists.len()).rev().find(|i| is_due(&self.twists[*i]));
                twist = found.map(|i| self.twists.remove(i));
            }
        }
        match twist {
            Some(twist) => self.twisted(&mut order, place, twist),
            None => self.ordinary(&mut order, place),
        }
        if self.rng.permille(8) {
            let text = *self.rng.pick(&["配送太慢了", "请问可以开发票吗", "水果很新鲜", "希望多一些优惠"]);
            self.trade.inquiries.push((order.customer, at.plus(3 * HOUR).min(AS_OF.plus(-60)), text));
        }
        self.trade.orders.push(order);
    }

    fn draft(&mut self, at: Local) -> Order {
        let id = self.trade.orders.len() as i64 + 1;
        let lines = 1 + self.rng.below(2) as usize;
        let first = self.rng.below(GOODS.len() as u64) as usize;
        let items: Vec<Item> =
            (0..lines).map(|i| Item { good: (first + i * 5) % GOODS.len(), count: self.rng.range(1, 4) }).collect();
        let goods_fen: i64 = items.iter().map(|i| GOODS[i.good].1 * i.count).sum();
        let freight_fen = if goods_fen >= 8_800 { 0 } else { 800 };
        let customer = 1 + self.rng.below(self.trade.customers.len() as u64) as i64;
        Order {
            id,
            no: format!("{}{:06}", at.compact_date(), id % 1_000_000),
            customer,
            platform: if self.rng.permille(700) { Platform::Wechat } else { Platform::Alipay },
            created: at,
            items,
            goods_fen,
            freight_fen,
            coupon_fen: 0,
            group_fen: 0,
            group: None,
            payable: goods_fen + freight_fen,
            paid: None,
            closed: None,
            shipped: None,
            received: None,
            refunds: Vec::new(),
            is_unconfirmed: false,
            paid_twice: None,
            ip: format!("198.51.100.{}", 1 + self.rng.below(254)),
        }
    }

    /// Pays; false when the story ends before.
    fn pay(&mut self, order: &mut Order) -> bool {
        let at = order.created.plus(self.rng.range(15, 600));
        if at < AS_OF {
            order.paid = Some(at);
        }
        order.paid.is_some()
    }

    fn ordinary(&mut self, order: &mut Order, place: usize) {
        let roll = self.rng.below(1_000);
        if roll < 90 {
            let (after, why) = match roll {
                0..60 => (1_800, Close::Timeout),
                60..84 => (300, Close::Customer),
                _ => (900, Close::Merchant),
            };
            order.closed = Some((order.created.plus(after), why)).filter(|(at, _)| *at < AS_OF);
            return;
        }
        if roll < 130 {
            self.join_group(order, place);
        } else if roll < 230 {
            self.use_coupon(order);
        }
        if !self.pay(order) || order.group.is_some() {
            return;
        }
        if roll < 270 && self.refund_whole(order, place) {
            return;
        }
        self.deliver(order, place);
        if roll < 320 {
            self.after_sale(order, place, roll);
        }
    }

    fn twisted(&mut self, order: &mut Order, place: usize, twist: Twist) {
        order.platform = Platform::Wechat;
        match twist {
            Twist::PaidAfterClose => {
                order.closed = Some((order.created.plus(1_800), Close::Timeout));
                order.paid = Some(order.created.plus(1_800 + self.rng.range(5, 240)));
                return;
            }
            Twist::NumberReused => {
                if let Some(last) = self.trade.orders.last() {
                    order.no.clone_from(&last.no);
                    order.platform = last.platform;
                }
            }
            _ => {}
        }
        self.pay(order);
        match twist {
            Twist::InFlight => {
                let requested = order.paid.unwrap_or(order.created).plus(2 * HOUR);
                let amount = order.payable;
                order.refunds.push(Refund {
                    amount,
                    requested,
                    handled: None,
                    state: RefundState::Requested,
                    is_whole: true,
                });
                return;
            }
            Twist::Unconfirmed => order.is_unconfirmed = true,
            Twist::PaidTwice => order.paid_twice = order.paid.map(|at| at.plus(self.rng.range(20, 120))),
            _ => {}
        }
        self.deliver(order, place);
        let at = order.received.unwrap_or(order.created).plus(5 * HOUR);
        let mut ask = |amount: i64, after: i64, state: RefundState| {
            let requested = at.plus(after);
            let handled = (state != RefundState::Requested).then_some(requested.plus(4 * HOUR));
            order.refunds.push(Refund { amount, requested, handled, state, is_whole: false });
        };
        let payable = order.payable;
        match twist {
            Twist::RefundedOver => {
                ask(payable, 0, RefundState::Done);
                ask(payable / 2, DAY, RefundState::Done);
            }
            Twist::CommittedOver => {
                ask(payable, 0, RefundState::Done);
                ask(payable / 3, DAY, RefundState::Approved);
            }
            Twist::GhostRefund => ask(payable / 2, 0, RefundState::Done),
            _ => {}
        }
        let ghost = (twist == Twist::GhostRefund).then_some(GHOST_REFUND);
        for nth in 0..order.refunds.len() {
            self.log_refund(order, place, nth, ghost);
        }
    }

    fn use_coupon(&mut self, order: &mut Order) {
        let fitting: Vec<usize> =
            (0..self.trade.coupons.len()).filter(|i| self.trade.coupons[*i].min_fen <= order.goods_fen).collect();
        let Some(coupon) = fitting.last().copied() else { return };
        order.coupon_fen = self.trade.coupons[coupon].face_fen;
        order.payable -= order.coupon_fen;
        self.trade.holdings.push(Holding {
            coupon: coupon as i64 + 1,
            customer: order.customer,
            received: order.created.plus(-self.rng.range(HOUR, 5 * DAY)),
            used: Some((order.created, order.id)),
            is_expired: false,
        });
    }

    fn join_group(&mut self, order: &mut Order, place: usize) {
        let Some(rule) = self.trade.rules.iter().position(|r| r.starts <= order.created && order.created < r.ends)
        else {
            return;
        };
        let number = rule as i64 + 1;
        let open = self.trade.groups.iter().position(|g| g.rule == number && !g.is_complete);
        let group = open.unwrap_or_else(|| {
            self.trade.groups.push(Group { rule: number, orders: Vec::new(), is_complete: false, has_failed: false });
            self.trade.groups.len() - 1
        });
        let good = self.trade.rules[rule].good;
        order.items = vec![Item { good, count: 1 }];
        order.goods_fen = GOODS[good].1;
        order.freight_fen = 0;
        order.group_fen = GROUP_FEN;
        order.payable = order.goods_fen - GROUP_FEN;
        order.group = Some(group);
        let group = &mut self.trade.groups[group];
        group.orders.push(place);
        group.is_complete = group.orders.len() as i64 == GROUP_SIZE;
    }

    /// Groups that are complete are sent off; those that failed are paid back, except for what is planted.
    fn end_groups(&mut self) {
        let mut left_open = self.planted.has("FND-004");
        for i in 0..self.trade.groups.len() {
            let group = self.trade.groups[i].clone();
            let ends = self.trade.rules[group.rule as usize - 1].ends;
            self.trade.groups[i].has_failed = !group.is_complete && ends < AS_OF;
            let last = group.orders.last().and_then(|o| self.trade.orders[*o].paid);
            for place in group.orders {
                let mut order = self.trade.orders[place].clone();
                if order.paid.is_none() {
                    continue;
                }
                if group.is_complete {
                    if let Some(last) = last {
                        self.send(&mut order, place, last);
                    }
                } else if ends < AS_OF {
                    let keeps = ends > WINDOW && std::mem::take(&mut left_open);
                    let handled = ends.plus(10 * HOUR + self.rng.range(0, 8 * HOUR));
                    let done = !keeps && handled < AS_OF;
                    order.refunds.push(Refund {
                        amount: order.payable,
                        requested: ends,
                        handled: done.then_some(handled),
                        state: if done { RefundState::Done } else { RefundState::Requested },
                        is_whole: true,
                    });
                    self.log_refund(&order, place, 0, None);
                }
                self.trade.orders[place] = order;
            }
        }
    }

    fn deliver(&mut self, order: &mut Order, place: usize) {
        if let Some(paid) = order.paid {
            self.send(order, place, paid);
        }
    }

    fn send(&mut self, order: &mut Order, place: usize, ready: Local) {
        let at = ready.plus(self.rng.range(3 * HOUR, 26 * HOUR));
        if at >= AS_OF {
            return;
        }
        order.shipped = Some(at);
        let who = clerk_at(self.people, &mut self.rng, at);
        let ip = Some(address(&mut self.rng));
        self.acts.push(Act { at, who: Some(who), deed: Deed::Ship(place), ip });
        order.received = Some(at.plus(self.rng.range(DAY, 4 * DAY))).filter(|t| *t < AS_OF);
    }

    fn refund_whole(&mut self, order: &mut Order, place: usize) -> bool {
        let Some(paid) = order.paid else { return false };
        let requested = paid.plus(self.rng.range(600, 2 * HOUR));
        let handled = requested.plus(self.rng.range(HOUR, 10 * HOUR));
        if handled >= AS_OF {
            return false;
        }
        order.refunds.push(Refund {
            amount: order.payable,
            requested,
            handled: Some(handled),
            state: RefundState::Done,
            is_whole: true,
        });
        self.log_refund(order, place, 0, None);
        true
    }

    fn after_sale(&mut self, order: &mut Order, place: usize, roll: u64) {
        let Some(received) = order.received else { return };
        let requested = received.plus(self.rng.range(2 * HOUR, 2 * DAY));
        let handled = requested.plus(self.rng.range(HOUR, DAY));
        if handled >= AS_OF {
            return;
        }
        let state = match roll % 10 {
            0 => RefundState::Rejected,
            1 => RefundState::Cancelled,
            _ => RefundState::Done,
        };
        let amount = if roll.is_multiple_of(2) { order.payable } else { order.payable / 2 };
        order.refunds.push(Refund { amount, requested, handled: Some(handled), state, is_whole: false });
        self.log_refund(order, place, 0, None);
    }

    fn log_refund(&mut self, order: &Order, place: usize, nth: usize, by: Option<i64>) {
        let Some(refund) = order.refunds.get(nth).filter(|r| r.state == RefundState::Done) else { return };
        let Some(at) = refund.handled else { return };
        let who = by.unwrap_or_else(|| clerk_at(self.people, &mut self.rng, at));
        let ip = Some(address(&mut self.rng));
        self.acts.push(Act { at, who: Some(who), deed: Deed::Refund(place, nth), ip });
    }

    /// Coupons nobody has used.
    fn keep_coupons(&mut self) {
        for i in 0..self.trade.customers.len() as i64 / 3 {
            let received = OPENED.plus(self.rng.range(0, AS_OF.0 - OPENED.0 - DAY));
            self.trade.holdings.push(Holding {
                coupon: 1 + i % 2,
                customer: 1 + i * 3,
                received,
                used: None,
                is_expired: received.plus(30 * DAY) < AS_OF,
            });
        }
    }
}
