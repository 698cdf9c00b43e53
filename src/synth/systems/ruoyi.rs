//! The story as ruoyi-vue-pro keeps it: one tenant, payments with their attempts, roles as rows that are deleted softly.

use std::collections::BTreeMap;

use serde_json::json;

use super::sql::{Dialect, Dump};
use super::story::{Close, Deed, Order, Platform, Refund, RefundState, Story, in_window};
use super::{Findings, Project, System, ZONE, ZONE_EVIDENCE};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED};
use crate::synth::merchant::GOODS;
use crate::synth::prng::Prng;
use crate::synth::tables::{Cell, cells};

mod tables;
use tables::*;

/// Keys start above those that an installation comes with.
const BASE: i64 = 900_000;
/// The tenant everything belongs to.
const TENANT: i64 = 900;
const MCH: &str = "1900000309";
const PROJECT: &str = "CLOSE-RUOYI";
const AGENT: &str = "Mozilla/5.0 (sample browser)";
/// Seconds a session can be renewed.
const SESSION: i64 = 30 * DAY;
/// Roles by level of staff, with the permissions of each.
const ROLES: [(&str, &str, &[&str]); 3] = [
    ("示例超管", "super_admin", &[]),
    ("示例店长", "sample_manager", &["system:user:update", "trade:after-sale:refund", "pay:order:query"]),
    ("示例店员", "sample_clerk", &["trade:order:update", "trade:after-sale:refund"]),
];

pub(super) const SYSTEM: System = System {
    id: "ruoyi-vue-pro",
    dialects: &[Dialect::Mysql, Dialect::Postgres],
    planted: &["FND-004", "LOG-001", "PRM-020", "PRM-021", "TXN-001", "TXN-003", "TXN-014", "TXN-018"],
    project: Project::Closing { project_ref: PROJECT, merchant_ref: "900" },
    role: "self-operated",
    channels: &["wechat", "alipay"],
    params: &[ZONE, ZONE_EVIDENCE, ("tenant", "900")],
    render,
};

fn render(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut rng = Prng::new(story.seed, "ruoyi-vue-pro");
    // The wallets' observations are of customers; nobody observed the balance of the merchant number.
    findings.add("FND-002", format!("{PROJECT}/{MCH}"), "no-observation");
    // Announcements are for the back office: what the home page shows is not among them.
    findings.add("DRG-007", PROJECT, "no-notice");
    merchant(dump, &mut rng)?;
    customers(story, dump, &mut rng)?;
    staff(story, dump, findings, &mut rng)?;
    log(story, dump, findings, &mut rng)?;
    orders(story, dump, findings)?;
    marketing(story, dump)?;
    wallets(story, dump)
}

/// Text of a secret, of nothing: tests look for it in archives.
fn secret(rng: &mut Prng) -> String {
    format!("PlantedSecret{}", rng.hex(18))
}

/// Text of the form of a password hash, of no password.
fn bcrypt(rng: &mut Prng) -> String {
    format!("$2a$10$PlantedSecret{}", rng.hex(40))
}

fn merchant(dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    let until = Local::date(2030, 1, 1);
    let row =
        cells![TENANT, "示例果园", "示例联系人", "19900009000", 0_i64, 111_i64, until, 100_i64, OPENED, OPENED, 0_i64];
    dump.row(&TENANTS, row)?;
    let row =
        cells![BASE + 1, "示例小程序", 34_i64, 1_i64, "wx00000000000d2c01", secret(rng), 0_i64, OPENED, 0_i64, TENANT];
    dump.row(&SOCIAL_CLIENT, row)?;
    let url = |what: &str| format!("https://shop.example.com/notify/{what}");
    let row =
        cells![BASE + 1, "mall", "商城", 0_i64, url("order"), url("refund"), url("transfer"), OPENED, 0_i64, TENANT];
    dump.row(&PAY_APP, row)?;
    let wechat = json!({
        "@class": "sample.WxPayClientConfig", "appId": "wx00000000000d2c01", "mchId": MCH, "apiVersion": "v3",
        "mchKey": secret(rng), "apiV3Key": secret(rng), "privateKeyContent": secret(rng), "certSerialNo": "5FA0",
        "keyContent": null,
    });
    let alipay = json!({
        "@class": "sample.AlipayPayClientConfig", "appId": "2021000000000001", "mode": 1, "privateKey": secret(rng),
        "encryptKey": "",
    });
    for (id, code, config) in [(1, "wx_lite", wechat), (2, "alipay_wap", alipay)] {
        let row = cells![
            BASE + id,
            code,
            0_i64,
            Cell::Yuan(60),
            BASE + 1,
            config.to_string(),
            OPENED,
            "900001",
            OPENED,
            0_i64,
            TENANT
        ];
        dump.row(&PAY_CHANNEL, row)?;
    }
    Ok(())
}

fn customers(story: &Story, dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    for c in &story.customers {
        let id = BASE + c.id;
        let closed = i64::from(c.id % 97 == 0);
        let row = cells![
            id,
            c.mobile(),
            bcrypt(rng),
            &c.nickname,
            c.id % 3,
            c.id % 500,
            0_i64,
            c.registered,
            c.registered.plus(90 * DAY),
            closed,
            TENANT
        ];
        dump.row(&MEMBER, row)?;
        let raw = json!({ "session_key": secret(rng) }).to_string();
        let row = cells![id, 34_i64, &c.openid, secret(rng), raw, &c.nickname, "{}", "code", 0_i64, TENANT];
        dump.row(&SOCIAL_USER, row)?;
        dump.row(&SOCIAL_BIND, cells![id, id, 1_i64, 34_i64, id, 0_i64, TENANT])?;
    }
    for (i, (customer, at, text)) in story.inquiries.iter().enumerate() {
        let read = dump.flag(i % 3 != 0);
        let [a, b, c, d, e, f, g] = cells![BASE + 1 + i as i64, BASE + customer, 1_i64, BASE + 2, 2_i64, *text, *at];
        dump.row(&KEFU, [a, b, c, d, e, f, read, g, Cell::Int(0), Cell::Int(TENANT)])?;
    }
    Ok(())
}

/// Reference of a member of staff.
fn staff_ref(id: i64) -> String {
    (BASE + id).to_string()
}

fn staff(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    let owner = staff_ref(1);
    let mut menu = BASE;
    for (level, (name, code, permissions)) in (1_i64..).zip(ROLES) {
        let role = BASE + level;
        dump.row(&ROLE, cells![role, name, code, level, 1_i64, 0_i64, 2_i64, OPENED, 0_i64, TENANT])?;
        for permission in permissions {
            menu += 1;
            dump.row(&MENU, cells![menu, "示例按钮", *permission, 3_i64, 0_i64, 0_i64])?;
            let row = cells![menu, role, menu, &owner, OPENED, &owner, OPENED, 0_i64, TENANT];
            dump.row(&ROLE_MENU, row)?;
        }
    }
    let mut session = BASE;
    for person in &story.people {
        let id = BASE + person.id;
        let opener = person.opened_by.map(staff_ref).unwrap_or_default();
        let (changed, changer) = match person.removed {
            Some((at, by)) => (at, staff_ref(by)),
            None => (person.opened, opener.clone()),
        };
        let gone = i64::from(person.removed.is_some());
        let row = cells![
            id,
            &person.login,
            &person.name,
            person.mobile(),
            bcrypt(rng),
            0_i64,
            "203.0.113.9",
            person.last_login,
            &opener,
            person.opened,
            &changer,
            changed,
            gone,
            TENANT
        ];
        dump.row(&USERS, row)?;
        let granted = granted_at(person.opened);
        let ended = person.removed.map_or(granted, |(at, _)| at);
        let by = if person.removed.is_some() { &changer } else { &opener };
        let row = cells![id, id, BASE + person.level, &opener, granted, by, ended, gone, TENANT];
        dump.row(&USER_ROLE, row)?;
        for act in story.acts.iter().filter(|a| a.deed == Deed::Login && a.who == Some(person.id)) {
            let end = person.removed.map(|(at, _)| at);
            if end.is_some_and(|end| act.at > end) {
                continue;
            }
            session += 1;
            let renew = secret(rng);
            let row = cells![
                session,
                secret(rng),
                &renew,
                id,
                2_i64,
                "{}",
                "default",
                act.at.plus(1_800),
                act.at,
                act.at,
                0_i64,
                TENANT
            ];
            dump.row(&ACCESS_TOKEN, row)?;
            let expires = act.at.plus(SESSION);
            let ended = end.filter(|end| *end < expires && !person.keeps_sessions);
            let row = cells![
                session,
                &renew,
                id,
                2_i64,
                "default",
                expires,
                act.at,
                ended.unwrap_or(act.at),
                i64::from(ended.is_some()),
                TENANT
            ];
            dump.row(&REFRESH_TOKEN, row)?;
            if person.keeps_sessions && end.is_some_and(|end| expires > end.plus(60)) {
                let reason = if expires > AS_OF { "not-revoked" } else { "revoked-late" };
                findings.add("PRM-020", format!("refresh:{session}"), reason);
            }
        }
    }
    Ok(())
}

/// When the role is given to an account that was opened.
fn granted_at(opened: Local) -> Local {
    opened.plus(31)
}

/// Serial numbers of the log tables.
#[derive(Default)]
struct Serials {
    operate: i64,
    login: i64,
    access: i64,
}

fn log(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    let mut serials = Serials { operate: BASE, login: BASE, access: BASE };
    for act in &story.acts {
        let ip = act.ip.clone().unwrap_or_default();
        match act.deed {
            Deed::Login | Deed::Logout => {
                let code = if act.deed == Deed::Login { 100_i64 } else { 200 };
                let Some(person) = act.who.and_then(|id| story.person(id)) else { continue };
                serials.login += 1;
                let row = cells![
                    serials.login,
                    code,
                    BASE + person.id,
                    2_i64,
                    &person.login,
                    0_i64,
                    ip,
                    AGENT,
                    act.at,
                    0_i64,
                    TENANT
                ];
                dump.row(&LOGIN_LOG, row)?;
            }
            Deed::LoginFailed(id) => {
                let Some(person) = story.person(id) else { continue };
                serials.login += 1;
                let row = cells![
                    serials.login,
                    100_i64,
                    0_i64,
                    2_i64,
                    &person.login,
                    10_i64,
                    ip,
                    AGENT,
                    act.at,
                    0_i64,
                    TENANT
                ];
                dump.row(&LOGIN_LOG, row)?;
            }
            Deed::Open(id) | Deed::Edit(id) | Deed::Remove(id) => {
                account(story, dump, findings, rng, &mut serials, (act.at, act.who, act.deed, id), act.ip.as_deref())?
            }
            Deed::Ship(order) => {
                let body = json!({ "id": BASE + 1 + order as i64, "logisticsNo": format!("SF{order:09}") });
                request(
                    dump,
                    &mut serials,
                    (act.at, act.who, &ip),
                    "PUT",
                    "/admin-api/trade/order/delivery",
                    &body.to_string(),
                )?;
            }
            Deed::Refund(order, nth) => {
                let body = json!({ "id": aftersale_id(order, nth), "password": secret(rng) });
                request(
                    dump,
                    &mut serials,
                    (act.at, act.who, &ip),
                    "PUT",
                    "/admin-api/trade/after-sale/refund",
                    &body.to_string(),
                )?;
            }
        }
        ghost_findings(story, findings, act.at, act.who, act.deed);
    }
    Ok(())
}

/// An entry of the request log; the request takes a second.
fn request(
    dump: &mut Dump,
    serials: &mut Serials,
    (at, who, ip): (Local, Option<i64>, &str),
    method: &'static str,
    url: &'static str,
    body: &str,
) -> Result<(), Error> {
    serials.access += 1;
    let row = cells![
        serials.access,
        who.map(|id| BASE + id),
        2_i64,
        "yudao-server",
        method,
        url,
        body.to_owned(),
        ip.to_owned(),
        AGENT,
        "示例模块",
        at,
        at.plus(1),
        1_000_i64,
        0_i64,
        at,
        0_i64,
        TENANT
    ];
    dump.row(&ACCESS_LOG, row)
}

/// Something done to an account: the entry of the operation log, and the role rows that go with it.
fn account(
    story: &Story,
    dump: &mut Dump,
    findings: &mut Findings<'_>,
    rng: &mut Prng,
    serials: &mut Serials,
    (at, who, deed, id): (Local, Option<i64>, Deed, i64),
    ip: Option<&str>,
) -> Result<(), Error> {
    let Some(person) = story.person(id) else { return Ok(()) };
    serials.operate += 1;
    let is_reset = matches!(deed, Deed::Edit(_)) && serials.operate % 3 == 0;
    let (sub_type, sentence) = match deed {
        Deed::Open(_) => ("创建用户", format!("创建了用户【{}】", person.name)),
        Deed::Remove(_) => ("删除用户", format!("删除了用户【{}】", person.name)),
        _ if is_reset => {
            let (old, new) = (bcrypt(rng), bcrypt(rng));
            ("重置用户密码", format!("将用户【{}】的密码从【{old}】重置为【{new}】", person.name))
        }
        _ => ("更新用户", format!("更新了用户【{}】: 【部门编号】从【103】修改为【104】", person.name)),
    };
    let row = cells![
        serials.operate,
        who.map(|w| BASE + w),
        2_i64,
        "SYSTEM 用户",
        sub_type,
        BASE + id,
        sentence,
        ip.map(str::to_owned),
        AGENT,
        at,
        0_i64,
        TENANT
    ];
    dump.row(&OPERATE_LOG, row)?;
    let change = format!("operate_log:{}", serials.operate);
    let relation = match deed {
        Deed::Open(_) => {
            let granted = granted_at(person.opened);
            request(
                dump,
                serials,
                (granted, who, ip.unwrap_or_default()),
                "POST",
                "/admin-api/system/permission/assign-user-role",
                "{}",
            )?;
            Some((granted, format!("user_role:{}:grant", BASE + id)))
        }
        Deed::Remove(_) => {
            request(dump, serials, (at, who, ip.unwrap_or_default()), "DELETE", "/admin-api/system/user/delete", "{}")?;
            Some((at, format!("user_role:{}:revoke", BASE + id)))
        }
        _ => None,
    };
    for (at, change) in [(at, change.clone())].into_iter().chain(relation) {
        if in_window(at) {
            findings.add("LOG-001", change.clone(), "device-missing");
            if ip.is_none() {
                findings.add("LOG-001", change, "ip-missing");
            }
        }
    }
    if in_window(at) && matches!(deed, Deed::Remove(_)) {
        findings.add("PRM-005", change, "request-time-missing");
    }
    Ok(())
}

/// What was done with an account after it was removed.
fn ghost_findings(story: &Story, findings: &mut Findings<'_>, at: Local, who: Option<i64>, deed: Deed) {
    let Some(person) = who.and_then(|id| story.person(id)) else { return };
    let Some((removed, _)) = person.removed else { return };
    let reason = match deed {
        Deed::Login if at > removed.plus(60) => "login",
        Deed::Open(_) | Deed::Edit(_) | Deed::Remove(_) if at > removed.plus(60) => "permission-change",
        Deed::Refund(..) if refund_asked(at) > removed.plus(60) => "refund",
        _ => return,
    };
    findings.about_staff("PRM-021", &staff_ref(person.id), reason);
}

/// When the refund that was done at a time was handed to the channel.
fn refund_asked(done: Local) -> Local {
    done.plus(-60)
}

/// Key of the after-sales request behind a refund.
fn aftersale_id(order: usize, nth: usize) -> i64 {
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

fn orders(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
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

fn marketing(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    let manager = staff_ref(2);
    for (i, c) in (1_i64..).zip(&story.coupons) {
        let row = cells![
            BASE + i,
            c.name,
            0_i64,
            -1_i64,
            0_i64,
            c.min_fen,
            1_i64,
            2_i64,
            30_i64,
            1_i64,
            None::<i64>,
            c.face_fen,
            &manager,
            OPENED,
            OPENED,
            0_i64,
            TENANT
        ];
        dump.row(&COUPON_TEMPLATE, row)?;
    }
    for (i, h) in (1_i64..).zip(&story.holdings) {
        let code = match (h.used, h.is_expired) {
            (Some(_), _) => 2_i64,
            (None, true) => 3,
            (None, false) => 1,
        };
        let face = story.coupons.get(h.coupon as usize - 1).map(|c| c.face_fen);
        let row = cells![
            BASE + i,
            BASE + h.coupon,
            code,
            BASE + h.customer,
            1_i64,
            face,
            h.used.map(|(_, order)| BASE + order),
            h.used.map(|(at, _)| at),
            h.received,
            0_i64,
            TENANT
        ];
        dump.row(&COUPON, row)?;
    }
    for (i, r) in (1_i64..).zip(&story.rules) {
        let row = cells![
            BASE + i,
            GOODS[r.good].0,
            BASE + r.good as i64,
            r.starts,
            r.ends,
            super::story::GROUP_SIZE,
            i64::from(r.ends < AS_OF),
            &manager,
            r.starts,
            r.ends,
            0_i64,
            TENANT
        ];
        dump.row(&COMBINATION, row)?;
    }
    for group in &story.groups {
        let head = group.orders.first().map(|o| BASE + story.orders[*o].id);
        let ends = story.rules.get(group.rule as usize - 1).map(|r| r.ends);
        for place in &group.orders {
            let order = &story.orders[*place];
            let id = BASE + order.id;
            let code = if group.is_complete {
                1_i64
            } else if group.has_failed {
                2
            } else {
                0
            };
            let row = cells![
                id,
                BASE + group.rule,
                order.payable,
                BASE + order.customer,
                if head == Some(id) { Some(0) } else { head },
                code,
                id,
                super::story::GROUP_SIZE,
                group.orders.len() as i64,
                order.created,
                ends,
                0_i64,
                TENANT
            ];
            dump.row(&COMBINATION_RECORD, row)?;
        }
    }
    Ok(())
}

/// Stored value of every tenth customer, commission of every twenty-fifth.
fn wallets(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for c in story.customers.iter().filter(|c| c.id % 10 == 0) {
        let id = BASE + c.id;
        let at = c.registered.plus(DAY);
        let (paid, bonus) = (10_000_i64, 500_i64);
        let payment = 2 * BASE + 2_000_000 + c.id;
        let row = cells![id, id, 1_i64, paid + bonus, 0_i64, 0_i64, paid, at.plus(30), 0_i64, TENANT];
        dump.row(&WALLET, row)?;
        let is_paid = dump.flag(true);
        let [a, b, d, e, f] = cells![id, id, paid + bonus, paid, bonus];
        let [g, h, i, j, k] = cells![payment, "wx_lite", at.plus(30), 0_i64, None::<Local>];
        let [l, m, n, o] = cells![0_i64, at, 0_i64, TENANT];
        dump.row(&RECHARGE, [a, b, d, e, f, is_paid, g, h, i, j, k, l, m, n, o])?;
        let row = cells![
            id,
            format!("W{id}"),
            id,
            1_i64,
            id.to_string(),
            "充值",
            paid + bonus,
            paid + bonus,
            at.plus(30),
            0_i64,
            TENANT
        ];
        dump.row(&WALLET_LINE, row)?;
        let no = format!("PR{id}");
        let row = cells![
            payment,
            BASE + 1,
            BASE + 1,
            "wx_lite",
            id,
            1_i64,
            format!("recharge-{id}"),
            "充值",
            paid,
            60_i64,
            10_i64,
            "198.51.100.7",
            at.plus(1_800),
            at.plus(30),
            payment * 10 + 1,
            &no,
            0_i64,
            None::<String>,
            format!("4200009{id:020}"),
            at,
            at.plus(30),
            0_i64,
            TENANT
        ];
        dump.row(&PAY_ORDER, row)?;
        let row = cells![
            payment * 10 + 1,
            &no,
            payment,
            BASE + 1,
            "wx_lite",
            10_i64,
            None::<String>,
            None::<String>,
            None::<String>,
            at.plus(5),
            at.plus(30),
            0_i64,
            TENANT
        ];
        dump.row(&EXTENSION, row)?;
    }
    for c in story.customers.iter().filter(|c| c.id % 25 == 0) {
        let id = BASE + c.id;
        let at = c.registered.plus(2 * DAY);
        for (nth, kind, price, about) in [(1, 1_i64, 2_000_i64, "订单佣金"), (2, 2, -1_500, "提现")] {
            let row = cells![
                id * 10 + nth,
                id,
                id.to_string(),
                kind,
                about,
                price,
                1_i64,
                at.plus(nth * HOUR),
                0_i64,
                TENANT
            ];
            dump.row(&BROKERAGE_LINE, row)?;
        }
        dump.row(&BROKERAGE_USER, cells![id, 500_i64, 0_i64, at.plus(2 * HOUR), 0_i64, TENANT])?;
        let row = cells![
            id,
            id,
            1_500_i64,
            0_i64,
            2_i64,
            format!("6222{id:012}"),
            11_i64,
            at.plus(3 * HOUR),
            None::<i64>,
            at.plus(4 * HOUR),
            at.plus(2 * HOUR),
            at.plus(4 * HOUR),
            0_i64,
            TENANT
        ];
        dump.row(&WITHDRAW, row)?;
    }
    Ok(())
}
