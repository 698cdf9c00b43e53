//! The story as CRMEB keeps it: epoch seconds, settings as JSON, orders that are split into parts, a log of routes.

use std::collections::BTreeMap;

use serde_json::json;

use super::sql::{Dialect, Dump};
use super::story::{Deed, Order, Platform, Refund, RefundState, Story, in_window};
use super::{Findings, Project, System};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED};
use crate::synth::merchant::GOODS;
use crate::synth::prng::Prng;
use crate::synth::tables::{Cell, cells};

mod tables;
use tables::*;

/// Keys start above those that an installation comes with.
const BASE: i64 = 100_000;
/// Accounts and menus have short keys.
const ADMINS: i64 = 1_000;
const MENUS: i64 = 30_000;
/// Parts of split orders.
const PARTS: i64 = 10_000_000;
const MCH: &str = "1900000409";
const PROJECT: &str = "CLOSE-CRMEB";
/// Roles by level of staff, with the routes of each.
const ROLES: [(&str, &[(&str, &str)]); 3] = [
    ("示例超级管理员", &[]),
    ("示例店长", &[("order/refund/<id>", "PUT"), ("setting/admin/<id>", "PUT"), ("order/delivery/<id>", "PUT")]),
    ("示例店员", &[("order/delivery/<id>", "PUT"), ("order/refund/<id>", "PUT")]),
];

pub(super) const SYSTEM: System = System {
    id: "crmeb",
    dialects: &[Dialect::Mysql],
    planted: &["FND-004", "LOG-001", "TXN-001", "TXN-014", "TXN-018"],
    project: Project::Closing { project_ref: PROJECT, merchant_ref: "1" },
    role: "self-operated",
    channels: &["wechat", "alipay"],
    params: &[("merchant", "1")],
    render,
};

fn render(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut rng = Prng::new(story.seed, "crmeb");
    // Balances are those of customers; nobody observed the balance of the merchant number.
    findings.add("FND-002", format!("{PROJECT}/{MCH}"), "no-observation");
    // Messages to customers are kept, what the home page shows is not.
    findings.add("DRG-007", PROJECT, "no-notice");
    settings(dump, &mut rng)?;
    customers(story, dump, &mut rng)?;
    staff(story, dump, findings, &mut rng)?;
    log(story, dump, findings)?;
    orders(story, dump, findings)?;
    marketing(story, dump)?;
    funds(story, dump)
}

/// Seconds since 1970 of a wall clock in Beijing.
fn epoch(at: Local) -> i64 {
    at.0 - 8 * HOUR
}

/// The same; 0 says "not yet".
fn epoch_or_zero(at: Option<Local>) -> i64 {
    at.map_or(0, epoch)
}

/// Text of a secret, of nothing: tests look for it in archives.
fn secret(rng: &mut Prng) -> String {
    format!("PlantedSecret{}", rng.hex(18))
}

fn settings(dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    let values = [
        ("pay_weixin_mchid", MCH.to_owned()),
        ("routine_appId", "wx00000000000e3d01".to_owned()),
        ("ali_pay_appid", "2021000000000002".to_owned()),
        ("pay_weixin_key", secret(rng)),
        ("pay_weixin_key_v3", secret(rng)),
        ("routine_appsecret", secret(rng)),
        ("alipay_merchant_private_key", secret(rng)),
        ("sms_token", secret(rng)),
        ("qiniu_secretKey", secret(rng)),
    ];
    for (id, (name, value)) in (1_i64..).zip(values) {
        dump.row(&CONFIG, cells![BASE + id, name, 1_i64, json!(value).to_string(), "示例设置"])?;
    }
    let push = |what: &str| format!("https://erp.example.com/push/{what}");
    let row = cells![
        BASE + 1,
        "sample-erp",
        secret(rng),
        "示例对接",
        1_i64,
        epoch(OPENED),
        0_i64,
        1_i64,
        "erp",
        secret(rng),
        push("token"),
        push("user"),
        push("order"),
        push("pay"),
        push("refund"),
        ""
    ];
    dump.row(&OUT_ACCOUNT, row)?;
    dump.row(&STORE, cells![BASE + 1, "示例门店", "示例市", "示例路1号", 1_i64, 0_i64, epoch(OPENED)])
}

fn customers(story: &Story, dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    for c in &story.customers {
        let uid = BASE + c.id;
        let is_gone = c.id % 97 == 0;
        let (money, commission) = (if c.id % 10 == 0 { 10_500 } else { 0 }, if c.id % 25 == 0 { 500 } else { 0 });
        let row = cells![
            uid,
            format!("u{uid}"),
            secret(rng),
            &c.nickname,
            c.mobile(),
            epoch(c.registered),
            epoch(c.registered.plus(5 * DAY)),
            "198.51.100.77",
            Cell::Yuan(money),
            Cell::Yuan(commission),
            c.id % 500,
            1_i64,
            c.id % 3,
            i64::from(is_gone),
            "routine"
        ];
        dump.row(&USER, row)?;
        dump.row(&WECHAT_USER, cells![uid, uid, &c.openid, &c.nickname, "routine", epoch(c.registered), 0_i64])?;
        if is_gone || c.id % 97 == 1 {
            let at = c.registered.plus(60 * DAY).min(AS_OF.plus(-2 * DAY));
            let (state, done) = if is_gone { (1_i64, epoch(at.plus(DAY))) } else { (0, 0) };
            dump.row(&CANCEL, cells![uid, uid, &c.nickname, c.mobile(), epoch(at), state, done])?;
        }
    }
    for (i, (customer, at, text)) in (1_i64..).zip(&story.inquiries) {
        let row = cells![
            BASE + i,
            BASE + customer,
            format!("顾客{customer}"),
            format!("199001{:05}", customer % 100_000),
            *text,
            i64::from(i % 3 != 0),
            epoch(*at)
        ];
        dump.row(&FEEDBACK, row)?;
    }
    Ok(())
}

fn staff(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    let mut menu = MENUS;
    for (level, (name, routes)) in (1_i64..).zip(ROLES) {
        let role = BASE + level;
        let mut rules = Vec::new();
        for (ord, (route, method)) in (1_i64..).zip(routes) {
            menu += 1;
            rules.push(menu.to_string());
            dump.row(&MENU, cells![menu, 0_i64, "示例接口", *route, *method, "", 2_i64, 0_i64])?;
            findings.add("LOG-005", format!("role:{role}:{ord}"), "grant-unlogged");
        }
        dump.row(&ROLE, cells![role, name, rules.join(","), level, 1_i64])?;
    }
    for person in &story.people {
        let id = ADMINS + person.id;
        let role = if person.level == 1 { String::new() } else { (BASE + person.level).to_string() };
        if person.level > 1 {
            findings.add("LOG-005", format!("account_role:{id}:1"), "grant-unlogged");
        }
        let row = cells![
            id,
            &person.login,
            secret(rng),
            &person.name,
            role,
            "203.0.113.9",
            epoch_or_zero(person.last_login),
            epoch(person.opened),
            1_i64,
            person.level - 1,
            1_i64,
            i64::from(person.removed.is_some())
        ];
        dump.row(&ADMIN, row)?;
        if person.level == 3 {
            let row = cells![
                BASE + person.id,
                0_i64,
                BASE + 1,
                &person.name,
                person.mobile(),
                i64::from(person.removed.is_none()),
                epoch(person.opened)
            ];
            dump.row(&STORE_STAFF, row)?;
        }
    }
    Ok(())
}

fn log(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut id = BASE;
    for act in &story.acts {
        let Some(person) = act.who.and_then(|who| story.person(who)) else { continue };
        let (path, page) = match act.deed {
            Deed::Login | Deed::LoginFailed(_) => continue,
            Deed::Logout => ("setting/admin/logout", "退出登陆"),
            Deed::Open(_) => ("setting/admin", "管理员"),
            Deed::Edit(_) | Deed::Remove(_) => ("setting/admin/<id>", "管理员"),
            Deed::Ship(_) => ("order/delivery/<id>", "订单发货"),
            Deed::Refund(..) => ("order/refund/<id>", "订单退款"),
        };
        id += 1;
        let ip = act.ip.clone().unwrap_or_default();
        let row = cells![id, ADMINS + person.id, &person.login, path, page, "adminapi", ip, "system", epoch(act.at)];
        dump.row(&LOG, row)?;
        if matches!(act.deed, Deed::Edit(_) | Deed::Remove(_)) && in_window(act.at) {
            findings.add("LOG-001", format!("log:{id}"), "device-missing");
            if act.ip.is_none() {
                findings.add("LOG-001", format!("log:{id}"), "ip-missing");
            }
        }
    }
    Ok(())
}

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

fn orders(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut serials = Serials { item: BASE, flow: BASE, refund: BASE, invoice: BASE };
    let mut numbers: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for order in &story.orders {
        let id = BASE + order.id;
        trade_order(story, dump, order, &mut serials)?;
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
    if order.id % 17 == 0 {
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
    let info = json!({ "productInfo": { "store_name": name }, "truePrice": crate::synth::local::yuan(price), "cart_num": count });
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

fn marketing(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for (i, c) in (1_i64..).zip(&story.coupons) {
        let row = cells![
            BASE + i,
            c.name,
            Cell::Yuan(c.face_fen),
            Cell::Yuan(c.min_fen),
            1_000_i64,
            400_i64,
            0_i64,
            0_i64,
            0_i64,
            0_i64,
            30_i64,
            1_i64,
            epoch(OPENED),
            0_i64
        ];
        dump.row(&COUPON, row)?;
    }
    for (i, h) in (1_i64..).zip(&story.holdings) {
        let code = match (h.used, h.is_expired) {
            (Some(_), _) => 1_i64,
            (None, true) => 2,
            (None, false) => 0,
        };
        let Some(coupon) = story.coupons.get(h.coupon as usize - 1) else { continue };
        let row = cells![
            BASE + i,
            BASE + h.coupon,
            BASE + h.customer,
            coupon.name,
            Cell::Yuan(coupon.face_fen),
            Cell::Yuan(coupon.min_fen),
            epoch(h.received),
            epoch_or_zero(h.used.map(|(at, _)| at)),
            code,
            0_i64
        ];
        dump.row(&HOLDING, row)?;
    }
    for (i, r) in (1_i64..).zip(&story.rules) {
        let (name, price) = GOODS[r.good];
        let row = cells![
            BASE + i,
            name,
            epoch(r.starts),
            epoch(r.ends),
            i64::from(r.ends >= AS_OF),
            0_i64,
            super::story::GROUP_SIZE,
            Cell::Yuan(price - super::story::GROUP_FEN),
            epoch(r.starts).to_string()
        ];
        dump.row(&COMBINATION, row)?;
    }
    for group in &story.groups {
        let head = group.orders.first().map(|o| BASE + story.orders[*o].id);
        let Some(rule) = story.rules.get(group.rule as usize - 1) else { continue };
        for place in &group.orders {
            let order = &story.orders[*place];
            let id = BASE + order.id;
            let code = if group.is_complete {
                2_i64
            } else if group.has_failed {
                3
            } else {
                1
            };
            let row = cells![
                id,
                BASE + order.customer,
                &order.no,
                id,
                BASE + group.rule,
                super::story::GROUP_SIZE,
                Cell::Yuan(order.payable),
                epoch(order.created).to_string(),
                epoch(rule.ends).to_string(),
                head.filter(|head| *head != id).unwrap_or(0),
                i64::from(order.refunded() > 0),
                code,
                0_i64
            ];
            dump.row(&PINK, row)?;
        }
    }
    Ok(())
}

/// Stored value of every tenth customer, commission of every twenty-fifth, membership of every fortieth.
fn funds(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for c in &story.customers {
        let uid = BASE + c.id;
        if c.id % 10 == 0 {
            let at = c.registered.plus(DAY);
            let no = format!("wx{}{:08}", at.compact_date(), c.id);
            let row = cells![
                uid,
                uid,
                &no,
                format!("4200009{uid:020}"),
                Cell::Yuan(10_000),
                Cell::Yuan(500),
                "routine",
                1_i64,
                epoch(at.plus(30)),
                epoch(at),
                Cell::Yuan(0),
                "routine"
            ];
            dump.row(&RECHARGE, row)?;
            let row = cells![
                uid,
                uid,
                uid.to_string(),
                "recharge",
                "用户余额充值",
                Cell::Yuan(10_500),
                Cell::Yuan(10_500),
                1_i64,
                "成功充值余额",
                1_i64,
                epoch(at.plus(30))
            ];
            dump.row(&MONEY, row)?;
        }
        if c.id % 25 == 0 {
            let at = c.registered.plus(2 * DAY);
            for (nth, kind, fen, after, pm) in
                [(1, "one_brokerage", 2_000, 2_000, 1_i64), (2, "extract", 1_500, 500, 0)]
            {
                let row = cells![
                    uid * 10 + nth,
                    uid,
                    uid.to_string(),
                    kind,
                    "佣金",
                    Cell::Yuan(fen),
                    Cell::Yuan(after),
                    pm,
                    "示例",
                    1_i64,
                    epoch(at.plus(nth * HOUR))
                ];
                dump.row(&BROKERAGE, row)?;
            }
            let row = cells![
                uid,
                uid,
                &c.nickname,
                "bank",
                format!("6222{uid:012}"),
                "",
                "",
                Cell::Yuan(1_500),
                Cell::Yuan(500),
                1_i64,
                epoch(at.plus(2 * HOUR))
            ];
            dump.row(&EXTRACT, row)?;
        }
        if c.id % 40 == 0 {
            let at = c.registered.plus(3 * DAY);
            let row = cells![
                uid,
                uid,
                format!("hy{}{:08}", at.compact_date(), c.id),
                "weixin",
                1_i64,
                Cell::Yuan(9_900),
                Cell::Yuan(9_900),
                epoch(at.plus(20)),
                format!("4200008{uid:020}"),
                "routine",
                0_i64,
                epoch(at)
            ];
            dump.row(&MEMBERSHIP, row)?;
        }
    }
    Ok(())
}
