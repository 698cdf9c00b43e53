//! Orders, their payments with all attempts, after-sales and refunds.

use std::collections::BTreeMap;

use serde_json::json;

use super::tables::{AFTERSALE, AFTERSALE_LOG, EXTENSION, ITEM, NOTIFY, ORDER, ORDER_LOG, PAY_ORDER, REFUND};
use super::{BASE, Dump, Findings, MCH, PROJECT, Story, TENANT};
use crate::synth::Error;
use crate::synth::local::Local;
use crate::synth::merchant::GOODS;
use crate::synth::systems::story::{Close, Deed, Order, Platform, Refund, RefundState};
use crate::synth::tables::cells;

/// When the refund that was done at a time was handed to the channel.
pub(super) fn refund_asked(done: Local) -> Local {
    done.plus(-60)
}

/// Key of the after-sales request behind a refund.
pub(super) fn aftersale_id(order: usize, nth: usize) -> i64 {
    (BASE + 1 + order as i64) * 10 + nth as i64
}

fn order_state(order: &Order) -> (i64, i64, Option<i64>) {
    let back = order.refunded();
    if let Some((_, why)) = order.closed {
        let why = match why {
            Close::Timeout => 10,
            Close::Customer | Close::Merchant => 30,
        };
        return (40, 0, Some(why));
    }
    if order.paid.is_none() {
        return (0, 0, None);
    }
    if back >= order.payable {
        let why = if order.group.is_some() { 40 } else { 20 };
        return (40, 20, Some(why));
    }
    let part = if back > 0 { 10 } else { 0 };
    let state = match (order.shipped, order.received) {
        (None, _) => 10,
        (Some(_), None) => 20,
        (Some(_), Some(_)) => 30,
    };
    (state, part, None)
}

pub(super) fn orders(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut by: BTreeMap<(usize, usize), i64> = BTreeMap::new();
    for act in &story.acts {
        if let (Deed::Refund(order, nth), Some(who)) = (act.deed, act.who) {
            by.insert((order, nth), who);
        }
    }
    let mut numbers: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut item_id = BASE;
    for (place, order) in story.orders.iter().enumerate() {
        let id = BASE + order.id;
        trade_order(story, dump, order)?;
        for item in &order.items {
            item_id += 1;
            let (name, price) = GOODS[item.good];
            let row = cells![
                item_id,
                id,
                BASE + order.customer,
                BASE + item.good as i64,
                name,
                item.count,
                price,
                0_i64,
                0_i64,
                0_i64,
                0_i64,
                price * item.count,
                0_i64,
                TENANT
            ];
            dump.row(&ITEM, row)?;
        }
        payment(dump, order)?;
        let (mut back, mut promised) = (0, 0);
        for (nth, refund) in order.refunds.iter().enumerate() {
            let handler = by.get(&(place, nth)).map_or(2, |who| *who);
            if aftersale(dump, order, (place, nth), refund, handler)? {
                match refund.state {
                    RefundState::Done => back += refund.amount,
                    _ => {
                        promised += refund.amount;
                        findings.add("FND-004", format!("{PROJECT}/{}", aftersale_id(place, nth)), "in-flight");
                    }
                }
            }
        }
        if back + promised > order.payable {
            let reason = if back > order.payable { "refunded-over" } else { "committed-over" };
            findings.add("TXN-014", id.to_string(), reason);
        }
        if order.paid.is_some() {
            if order.closed.is_some() {
                findings.add("TXN-003", id.to_string(), "not-refunded");
            }
            let mch = if order.platform == Platform::Wechat { MCH } else { "unknown" };
            let uses = numbers.entry((mch, &order.no)).or_default();
            *uses += 1;
            if *uses == 2 {
                findings.add("TXN-018", format!("{mch}/P{}", order.no), "several-orders");
            }
        }
        if order.paid_twice.is_some() {
            findings.add("TXN-001", id.to_string(), "not-refunded");
        }
    }
    Ok(())
}

fn trade_order(story: &Story, dump: &mut Dump, order: &Order) -> Result<(), Error> {
    let id = BASE + order.id;
    let (state, refund, cancel) = order_state(order);
    // A payment that comes after the order was closed never reaches the order.
    let paid = order.paid.filter(|_| order.closed.is_none());
    let done = order.refunds.iter().rev().find(|r| r.state == RefundState::Done).and_then(|r| r.handled);
    let cancelled = if state == 40 { order.closed.map(|(at, _)| at).or(done) } else { None };
    let customer = story.customers.get(order.customer as usize - 1);
    let count: i64 = order.items.iter().map(|i| i.count).sum();
    let group = order.group.map(|g| &story.groups[g]);
    let head = group.and_then(|g| g.orders.first()).map(|o| BASE + story.orders[*o].id);
    let is_paid = dump.flag(paid.is_some());
    let [a, b, c, d, e, f, g] =
        cells![id, &order.no, if group.is_some() { 3_i64 } else { 0 }, 10_i64, BASE + order.customer, state, count];
    let [h, i, j, k] = cells![BASE + order.id, paid, refund, order.refunded()];
    let [l, m, n, o, p, q, r] =
        cells![order.goods_fen, order.group_fen, order.freight_fen, order.coupon_fen, 0_i64, 0_i64, order.payable];
    let [s, t, u, v, w] =
        cells![order.shipped, order.received, order.received.filter(|_| state != 40), cancelled, cancel];
    let [x, y, z, note] = cells![
        customer.map(|c| c.nickname.clone()),
        customer.map(|c| c.mobile()),
        format!("示例市示例路{}号", order.customer),
        if order.id % 11 == 0 { "请放门口" } else { "" }
    ];
    let [activity, head, record] = cells![group.map(|g| BASE + g.rule), head, group.map(|_| BASE + order.id)];
    let [created, changed, deleted, tenant] = cells![order.created, order.created, 0_i64, TENANT];
    dump.row(
        &ORDER,
        [
            a, b, c, d, e, f, g, h, is_paid, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, note, activity,
            head, record, created, changed, deleted, tenant,
        ],
    )?;
    order_log(dump, order, (state, cancelled), paid)
}

/// The order's history.
fn order_log(
    dump: &mut Dump,
    order: &Order,
    (state, cancelled): (i64, Option<Local>),
    paid: Option<Local>,
) -> Result<(), Error> {
    let id = BASE + order.id;
    let mut steps: Vec<(Option<i64>, i64, i64, Local)> = vec![(None, 0, 1, order.created)];
    steps.extend(paid.map(|at| (Some(0), 10, 0, at)));
    steps.extend(order.shipped.map(|at| (Some(10), 20, 2, at)));
    steps.extend(order.received.map(|at| (Some(20), 30, 1, at)));
    if state == 40
        && let Some(at) = cancelled
    {
        let before = steps.last().map(|(_, after, ..)| *after);
        steps.push((before, 40, 0, at));
    }
    for (nth, (before, after, user, at)) in (0_i64..).zip(steps) {
        let who = match user {
            1 => BASE + order.customer,
            2 => BASE + 2,
            _ => 0,
        };
        let row = cells![id * 10 + nth, who, user, id, before, after, 1_i64, "示例流转", at, 0_i64, TENANT];
        dump.row(&ORDER_LOG, row)?;
    }
    Ok(())
}

/// The pay order and its attempts.
fn payment(dump: &mut Dump, order: &Order) -> Result<(), Error> {
    let id = BASE + order.id;
    let (channel, code, other) = match order.platform {
        Platform::Wechat => (BASE + 1, "wx_lite", (BASE + 2, "alipay_wap")),
        Platform::Alipay => (BASE + 2, "alipay_wap", (BASE + 1, "wx_lite")),
    };
    let back = order.refunded();
    let state = match order.paid {
        Some(_) if back > 0 => 20_i64,
        Some(_) => 10,
        None if order.closed.is_some() => 30,
        None => 0,
    };
    let no = order.paid.map(|_| format!("P{}", order.no));
    let tried = order.paid.is_some() || order.id % 2 == 0;
    // An attempt that was given up comes before the one that succeeds.
    let attempts: i64 = if order.id % 7 == 0 { 2 } else { 1 };
    let winner = id * 10 + attempts;
    let fee = order.paid.map_or(0, |_| order.payable * 6 / 1_000);
    let row = cells![
        id,
        BASE + 1,
        order.paid.map(|_| channel),
        order.paid.map(|_| code),
        BASE + order.customer,
        1_i64,
        id.to_string(),
        "示例商品",
        order.payable,
        fee,
        state,
        &order.ip,
        order.created.plus(1_800),
        order.paid,
        order.paid.map(|_| winner),
        no,
        back,
        order.paid.map(|_| format!("oPayer{:022}", order.customer)),
        order.trade_no(),
        order.created,
        order.paid.or(order.closed.map(|(at, _)| at)).unwrap_or(order.created),
        0_i64,
        TENANT
    ];
    dump.row(&PAY_ORDER, row)?;
    if !tried {
        return Ok(());
    }
    for nth in 1..=attempts {
        let is_winner = nth == attempts && order.paid.is_some();
        let at = order.created.plus(5 * nth);
        let notify = is_winner.then(|| {
            json!({ "out_trade_no": format!("P{}", order.no), "trade_state": "SUCCESS", "payer": { "openid": format!("oPayer{:022}", order.customer) } }).to_string()
        });
        let state = if is_winner {
            10_i64
        } else if order.paid.is_some() || order.closed.is_some() {
            30
        } else {
            0
        };
        let number = if is_winner { format!("P{}", order.no) } else { format!("P{}-{nth}", order.no) };
        let changed = if is_winner { order.paid.unwrap_or(at) } else { at };
        let row = cells![
            id * 10 + nth,
            number,
            id,
            channel,
            code,
            state,
            None::<String>,
            None::<String>,
            notify,
            at,
            changed,
            0_i64,
            TENANT
        ];
        dump.row(&EXTENSION, row)?;
    }
    if let Some(at) = order.paid_twice {
        let row = cells![
            winner + 1,
            format!("P{}-again", order.no),
            id,
            other.0,
            other.1,
            10_i64,
            None::<String>,
            None::<String>,
            None::<String>,
            order.created.plus(30),
            at,
            0_i64,
            TENANT
        ];
        dump.row(&EXTENSION, row)?;
    }
    if let Some(at) = order.paid {
        let confirmed = !order.is_unconfirmed;
        let row = cells![
            id,
            BASE + 1,
            1_i64,
            id,
            id.to_string(),
            if confirmed { 10_i64 } else { 20 },
            at.plus(5),
            if confirmed { 1_i64 } else { 9 },
            9_i64,
            "https://shop.example.com/notify/order",
            at,
            0_i64,
            TENANT
        ];
        dump.row(&NOTIFY, row)?;
    }
    Ok(())
}

/// An after-sales request with its history; true when the channel was asked to pay back.
fn aftersale(
    dump: &mut Dump,
    order: &Order,
    (place, nth): (usize, usize),
    refund: &Refund,
    handler: i64,
) -> Result<bool, Error> {
    let id = aftersale_id(place, nth);
    let order_id = BASE + order.id;
    let (state, pay_state) = match refund.state {
        RefundState::Requested | RefundState::Approved => (40_i64, Some(0_i64)),
        RefundState::Done => (50, Some(10)),
        RefundState::Rejected => (62, None),
        RefundState::Cancelled => (61, None),
    };
    let asked = refund.handled.map_or(refund.requested, refund_asked);
    let back = (refund.state == RefundState::Done).then_some(refund.handled).flatten();
    let row = cells![
        id,
        format!("S{id}"),
        state,
        10_i64,
        if order.received.is_some() { 20_i64 } else { 10 },
        BASE + order.customer,
        "质量问题",
        "示例说明",
        order_id,
        &order.no,
        order_id,
        1_i64,
        Some(asked),
        BASE + handler,
        refund.amount,
        pay_state.map(|_| id),
        back,
        refund.requested,
        refund.handled.unwrap_or(refund.requested),
        0_i64,
        TENANT
    ];
    dump.row(&AFTERSALE, row)?;
    let mut steps: Vec<(Option<i64>, i64, i64, Local)> = vec![(None, 10, 1, refund.requested)];
    match state {
        50 => {
            steps.push((Some(10), 40, 2, asked));
            steps.extend(back.map(|at| (Some(40), 50, 0, at)));
        }
        40 => steps.push((Some(10), 40, 2, asked)),
        _ => steps.push((Some(10), state, if state == 61 { 1 } else { 2 }, asked)),
    }
    for (n, (before, after, user, at)) in (0_i64..).zip(steps) {
        let who = match user {
            1 => BASE + order.customer,
            2 => BASE + handler,
            _ => 0,
        };
        let row = cells![id * 10 + n, who, user, id, before, after, 1_i64, "示例流转", at, 0_i64, TENANT];
        dump.row(&AFTERSALE_LOG, row)?;
    }
    let Some(pay_state) = pay_state else { return Ok(false) };
    let (channel, code) = match order.platform {
        Platform::Wechat => (BASE + 1, "wx_lite"),
        Platform::Alipay => (BASE + 2, "alipay_wap"),
    };
    let row = cells![
        id,
        format!("R{id}"),
        BASE + 1,
        channel,
        code,
        order_id,
        &order.no,
        order_id.to_string(),
        id.to_string(),
        pay_state,
        order.payable,
        refund.amount,
        "质量问题",
        order.trade_no(),
        back.map(|_| format!("5030003{id:020}")),
        back,
        None::<String>,
        back.map(|_| json!({ "out_refund_no": format!("R{id}"), "refund_status": "SUCCESS" }).to_string()),
        asked,
        back.unwrap_or(asked),
        0_i64,
        TENANT
    ];
    dump.row(&REFUND, row)?;
    Ok(true)
}
