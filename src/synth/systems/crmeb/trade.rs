//! Orders, their parts and history, the capital flow, invoices and refunds.

use std::collections::BTreeMap;

use serde_json::json;

use super::tables::{CAPITAL, EVENT, INVOICE, ITEM, ORDER, REFUND};
use super::{BASE, Dump, Findings, MCH, PROJECT, Story, epoch, epoch_or_zero};
use crate::synth::Error;
use crate::synth::local::{DAY, HOUR, Local, yuan};
use crate::synth::merchant::GOODS;
use crate::synth::systems::story::{Order, Platform, Refund, RefundState, in_window};
use crate::synth::tables::{Cell, cells};

/// Parts of split orders.
const PARTS: i64 = 10_000_000;

/// How an order is paid, and how the capital flow calls it.
fn pay_type(order: &Order) -> (&'static str, &'static str) {
    match order.platform {
        Platform::Wechat => ("weixin", "routine"),
        Platform::Alipay => ("alipay", "alipay"),
    }
}

/// Whether an order was sent off in two parts.
fn is_split(order: &Order) -> bool {
    order.id % 13 == 0
        && order.items.len() == 2
        && order.received.is_some()
        && order.refunds.is_empty()
        && order.coupon_fen == 0
}

/// Serial numbers of the tables that orders fill.
struct Serials {
    item: i64,
    flow: i64,
    refund: i64,
    invoice: i64,
}

pub(super) fn orders(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut serials = Serials { item: BASE, flow: BASE, refund: BASE, invoice: BASE };
    let mut numbers: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for order in &story.orders {
        let id = BASE + order.id;
        trade_order(story, dump, order, &mut serials)?;
        if let Some(again) = order.paid_twice.filter(|at| order.closed.is_none() && in_window(*at)) {
            debug_assert!(order.paid < Some(again), "the second booking is the later one");
            findings.add("REC-011", format!("capital:{}", serials.flow), "booked-again");
        }
        events(dump, order)?;
        let (mut back, mut promised) = (0, 0);
        for (nth, refund) in order.refunds.iter().enumerate() {
            let number = give_back(story, dump, order, nth, refund, &mut serials)?;
            match refund.state {
                RefundState::Done => back += refund.amount,
                RefundState::Requested | RefundState::Approved => {
                    if refund.state == RefundState::Approved {
                        promised += refund.amount;
                    }
                    findings.add("FND-004", format!("{PROJECT}/{number}"), "in-flight");
                }
                RefundState::Rejected | RefundState::Cancelled => {}
            }
        }
        if back + promised > order.payable {
            let reason = if back > order.payable { "refunded-over" } else { "committed-over" };
            findings.add("TXN-014", format!("order:{id}"), reason);
        }
        if order.paid.is_some() && order.closed.is_none() {
            let mch = if order.platform == Platform::Wechat { MCH } else { "unknown" };
            let uses = numbers.entry((mch, &order.no)).or_default();
            *uses += 1;
            if *uses == 2 {
                findings.add("TXN-018", format!("{mch}/{}", order.no), "several-orders");
            }
        }
        if order.paid_twice.is_some() {
            findings.add("TXN-001", id.to_string(), "not-refunded");
        }
    }
    Ok(())
}

/// Codes of an order: paid, status, state of refunds, kind of refund.
fn state(order: &Order) -> (i64, i64, i64, i64) {
    let paid = i64::from(order.paid.is_some());
    let status = match (order.shipped, order.received) {
        (None, _) => 0,
        (Some(_), None) => 1,
        (Some(_), Some(_)) if order.id % 2 == 0 => 2,
        (Some(_), Some(_)) => 3,
    };
    let back = order.refunded();
    if back > 0 && back >= order.payable {
        return (paid, -2, 2, 6);
    }
    match order.refunds.last().map(|r| r.state) {
        Some(RefundState::Requested | RefundState::Approved) => (paid, status, 1, 1),
        Some(RefundState::Rejected | RefundState::Cancelled) => (paid, status, 0, 3),
        Some(RefundState::Done) => (paid, status, 3, 0),
        None => (paid, status, 0, 0),
    }
}

/// What of an order goes into one row.
struct Share {
    id: i64,
    pid: i64,
    no: String,
    unique: String,
    goods: i64,
    count: i64,
    postage: i64,
    pay: i64,
}

fn trade_order(story: &Story, dump: &mut Dump, order: &Order, serials: &mut Serials) -> Result<(), Error> {
    let id = BASE + order.id;
    let split = is_split(order);
    let whole = Share {
        id,
        pid: if split { -1 } else { 0 },
        no: order.no.clone(),
        unique: format!("{:032x}", order.id),
        goods: order.goods_fen,
        count: order.items.iter().map(|i| i.count).sum(),
        postage: order.freight_fen,
        pay: order.payable,
    };
    row(story, dump, order, &whole)?;
    for item in &order.items {
        line(dump, order, id, item.good, item.count, serials)?;
    }
    if split {
        for (nth, item) in (0_i64..).zip(&order.items) {
            let goods = GOODS[item.good].1 * item.count;
            let postage = if nth == 0 { order.freight_fen } else { 0 };
            let part = Share {
                id: PARTS + order.id * 2 + nth,
                pid: id,
                no: format!("{}-{}", order.no, nth + 1),
                unique: format!("{:032x}", PARTS + order.id * 2 + nth),
                goods,
                count: item.count,
                postage,
                pay: goods + postage,
            };
            row(story, dump, order, &part)?;
            line(dump, order, part.id, item.good, item.count, serials)?;
            let at = order.shipped.unwrap_or(order.created);
            dump.row(&EVENT, cells![part.id, "split_create_order", "拆分生成", epoch(at.plus(-60))])?;
            dump.row(&EVENT, cells![part.id, "delivery_goods", "已发货", epoch(at)])?;
            dump.row(&EVENT, cells![part.id, "take_delivery", "已收货", epoch(order.received.unwrap_or(at))])?;
        }
    }
    let Some(paid) = order.paid.filter(|_| order.closed.is_none()) else { return Ok(()) };
    for at in [Some(paid), order.paid_twice].into_iter().flatten() {
        capital(story, dump, order, (order.payable, 1, &order.no, at), serials)?;
    }
    // The product keeps no red invoices, so this shop invoices nothing of which money may go back.
    if order.id % 17 == 0 && order.refunds.is_empty() {
        serials.invoice += 1;
        let issued = order.id % 34 == 0;
        let (title, tax) = if issued { ("示例公司", "91000000000000000X") } else { ("示例个人", "") };
        let row = cells![
            serials.invoice,
            BASE + order.customer,
            id,
            if issued { 2_i64 } else { 1 },
            1_i64,
            title,
            tax,
            i64::from(issued),
            0_i64,
            if issued { format!("0440000{:08}", order.id) } else { String::new() },
            if issued { epoch(paid.plus(2 * DAY)) } else { 0 },
            epoch(paid.plus(HOUR))
        ];
        dump.row(&INVOICE, row)?;
    }
    Ok(())
}

fn row(story: &Story, dump: &mut Dump, order: &Order, share: &Share) -> Result<(), Error> {
    let customer = story.customers.get(order.customer as usize - 1);
    let (paid, status, refund_status, refund_type) = state(order);
    // A payment that comes after the order was closed never reaches the order.
    let paid_at = order.paid.filter(|_| order.closed.is_none());
    let paid = if order.closed.is_some() { 0 } else { paid };
    let group = order.group.map(|g| &story.groups[g]);
    let [a, b, c, d, e, f, g, h] = cells![
        share.id,
        share.pid,
        &share.no,
        paid_at.and(order.trade_no()).unwrap_or_default(),
        BASE + order.customer,
        customer.map(|c| c.nickname.clone()),
        customer.map(|c| c.mobile()),
        format!("示例市示例路{}号", order.customer)
    ];
    let [i, j, k, l, m, n] = cells![
        "[]",
        share.count,
        Cell::Yuan(share.goods),
        Cell::Yuan(share.postage),
        Cell::Yuan(share.pay),
        Cell::Yuan(share.postage)
    ];
    let [o, p, q, r, s, t] = cells![
        Cell::Yuan(0),
        Cell::Yuan(order.coupon_fen),
        paid,
        epoch_or_zero(paid_at),
        pay_type(order).0,
        epoch(order.created)
    ];
    let [u, v, w, x, y] = cells![
        status,
        refund_status,
        refund_type,
        Cell::Yuan(order.refunded().min(order.payable)),
        if order.id % 11 == 0 { "请放门口" } else { "" }
    ];
    let [z, unique, combination, pink, seckill, bargain] = cells![
        i64::from(order.closed.is_some()),
        &share.unique,
        group.map_or(0, |g| BASE + g.rule),
        group.map_or(0, |_| BASE + order.id),
        0_i64,
        0_i64
    ];
    let [store, clerk, hidden, channel] = cells![BASE + 1, 0_i64, 0_i64, "routine"];
    dump.row(
        &ORDER,
        [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
            q,
            r,
            s,
            t,
            u,
            v,
            w,
            x,
            y,
            z,
            unique,
            combination,
            pink,
            seckill,
            bargain,
            store,
            clerk,
            hidden,
            channel,
        ],
    )
}

fn line(dump: &mut Dump, order: &Order, oid: i64, good: usize, count: i64, serials: &mut Serials) -> Result<(), Error> {
    serials.item += 1;
    let (name, price) = GOODS[good];
    let info = json!({ "productInfo": { "store_name": name }, "truePrice": yuan(price), "cart_num": count });
    let id = serials.item;
    let row = cells![
        id,
        oid,
        BASE + order.customer,
        id.to_string(),
        BASE + good as i64,
        count,
        info.to_string(),
        format!("{id:032x}")
    ];
    dump.row(&ITEM, row)
}

fn capital(
    story: &Story,
    dump: &mut Dump,
    order: &Order,
    (fen, kind, about, at): (i64, i64, &str, Local),
    serials: &mut Serials,
) -> Result<(), Error> {
    serials.flow += 1;
    let customer = story.customers.get(order.customer as usize - 1);
    let row = cells![
        serials.flow,
        format!("ZJ{}{:04}", at.compact_date(), serials.flow % 10_000),
        about.to_owned(),
        BASE + order.customer,
        customer.map(|c| c.nickname.clone()),
        customer.map(|c| c.mobile()),
        Cell::Yuan(fen),
        kind,
        pay_type(order).1,
        "",
        epoch(at)
    ];
    dump.row(&CAPITAL, row)
}

/// The order's history.
fn events(dump: &mut Dump, order: &Order) -> Result<(), Error> {
    let id = BASE + order.id;
    let mut steps = vec![("cache_key_create_order", "订单生成", order.created)];
    if order.closed.is_none() {
        steps.extend(order.paid.map(|at| ("pay_success", "用户付款成功", at)));
    }
    if !is_split(order) {
        steps.extend(order.shipped.map(|at| ("delivery_goods", "已发货", at)));
        steps.extend(order.received.map(|at| ("take_delivery", "已收货", at)));
    }
    if let Some(refund) = order.refunds.first() {
        steps.push(("apply_refund", "用户申请退款", refund.requested));
        match (refund.state, refund.handled) {
            (RefundState::Done, Some(at)) => steps.push(("refund_price", "退款成功", at)),
            (RefundState::Rejected, Some(at)) => steps.push(("refund_n", "不退款", at)),
            (RefundState::Cancelled, Some(at)) => steps.push(("cancel_refund_order", "用户取消退款", at)),
            _ => {}
        }
    }
    for (kind, text, at) in steps {
        dump.row(&EVENT, cells![id, kind, text, epoch(at)])?;
    }
    Ok(())
}

/// The row of a refund, and the money that goes back; its key.
fn give_back(
    story: &Story,
    dump: &mut Dump,
    order: &Order,
    nth: usize,
    refund: &Refund,
    serials: &mut Serials,
) -> Result<i64, Error> {
    serials.refund += 1;
    let kind = match refund.state {
        RefundState::Requested | RefundState::Cancelled => 1_i64,
        RefundState::Approved => 4,
        RefundState::Rejected => 3,
        RefundState::Done => 6,
    };
    let no = format!("R{}{nth}", order.id);
    let done = refund.handled.filter(|_| refund.state == RefundState::Done);
    let row = cells![
        serials.refund,
        BASE + order.id,
        &no,
        BASE + order.customer,
        kind,
        1_i64,
        Cell::Yuan(refund.amount),
        Cell::Yuan(if done.is_some() { refund.amount } else { 0 }),
        "示例说明",
        "质量问题",
        epoch_or_zero(done),
        i64::from(refund.state == RefundState::Cancelled),
        0_i64,
        epoch(refund.requested),
        0_i64
    ];
    dump.row(&REFUND, row)?;
    if let Some(at) = done {
        capital(story, dump, order, (-refund.amount, 2, &no, at), serials)?;
    }
    Ok(serials.refund)
}
