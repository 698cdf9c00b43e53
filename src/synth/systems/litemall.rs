//! The story as litemall keeps it: orders that are their own payments, a log that names staff by login.

use std::collections::{BTreeMap, BTreeSet};

use super::sql::{Dialect, Dump, Table};
use super::story::{Close, Deed, Order, RefundState, Story, in_window};
use super::{Findings, Project, System, ZONE, ZONE_EVIDENCE};
use crate::synth::Error;
use crate::synth::local::{AS_OF, Local, OPENED};
use crate::synth::merchant::GOODS;
use crate::synth::prng::Prng;
use crate::synth::tables::{Cell, cells};

/// Keys start above those that an installation comes with.
const BASE: i64 = 1_000;
const MCH: &str = "1900000109";
const PROJECT: &str = "CLOSE-2026";

pub(super) const SYSTEM: System = System {
    id: "litemall",
    dialects: &[Dialect::Mysql],
    planted: &["FND-004", "FND-007", "LOG-001", "LOG-005", "PRM-005", "PRM-021", "TXN-003", "TXN-014", "TXN-018"],
    project: Project::Closing { project_ref: PROJECT, merchant_ref: "litemall" },
    role: "self-operated",
    channels: &["wechat"],
    params: &[ZONE, ZONE_EVIDENCE, ("app_id", "wx00000000000c1b01"), ("mch_id", MCH), ("opened_on", "2025-04-01")],
    render,
};

static SETTING: Table =
    Table { name: "litemall_system", columns: &["id", "key_name", "key_value", "add_time", "deleted"] };
static USER: Table = Table {
    name: "litemall_user",
    columns: &[
        "id",
        "username",
        "password",
        "nickname",
        "mobile",
        "weixin_openid",
        "session_key",
        "user_level",
        "status",
        "add_time",
        "deleted",
    ],
};
static ORDER: Table = Table {
    name: "litemall_order",
    columns: &[
        "id",
        "user_id",
        "order_sn",
        "order_status",
        "aftersale_status",
        "consignee",
        "mobile",
        "address",
        "message",
        "goods_price",
        "freight_price",
        "coupon_price",
        "integral_price",
        "groupon_price",
        "order_price",
        "actual_price",
        "pay_id",
        "pay_time",
        "ship_time",
        "refund_amount",
        "refund_type",
        "refund_content",
        "refund_time",
        "confirm_time",
        "end_time",
        "add_time",
        "deleted",
    ],
};
static ORDER_GOODS: Table = Table {
    name: "litemall_order_goods",
    columns: &[
        "id",
        "order_id",
        "goods_name",
        "product_id",
        "number",
        "price",
        "specifications",
        "add_time",
        "deleted",
    ],
};
static AFTERSALE: Table = Table {
    name: "litemall_aftersale",
    columns: &[
        "id",
        "aftersale_sn",
        "order_id",
        "user_id",
        "type",
        "reason",
        "amount",
        "status",
        "handle_time",
        "add_time",
        "deleted",
    ],
};
static COUPON: Table = Table {
    name: "litemall_coupon",
    columns: &[
        "id",
        "name",
        "total",
        "discount",
        "min",
        "status",
        "goods_type",
        "time_type",
        "days",
        "add_time",
        "deleted",
    ],
};
static COUPON_USER: Table = Table {
    name: "litemall_coupon_user",
    columns: &["id", "user_id", "coupon_id", "status", "used_time", "order_id", "add_time", "deleted"],
};
static RULES: Table = Table {
    name: "litemall_groupon_rules",
    columns: &[
        "id",
        "goods_id",
        "goods_name",
        "discount",
        "discount_member",
        "expire_time",
        "status",
        "add_time",
        "deleted",
    ],
};
static GROUPON: Table = Table {
    name: "litemall_groupon",
    columns: &[
        "id",
        "order_id",
        "groupon_id",
        "rules_id",
        "user_id",
        "creator_user_id",
        "creator_user_time",
        "status",
        "add_time",
        "deleted",
    ],
};
static ADMIN: Table = Table {
    name: "litemall_admin",
    columns: &["id", "username", "password", "last_login_ip", "last_login_time", "add_time", "deleted", "role_ids"],
};
static ROLE: Table = Table { name: "litemall_role", columns: &["id", "name", "deleted"] };
static PERMISSION: Table = Table { name: "litemall_permission", columns: &["id", "role_id", "permission", "deleted"] };
static LOG: Table = Table {
    name: "litemall_log",
    columns: &["id", "admin", "ip", "type", "action", "status", "result", "comment", "add_time", "deleted"],
};
static FEEDBACK: Table = Table {
    name: "litemall_feedback",
    columns: &["id", "user_id", "username", "mobile", "feed_type", "content", "status", "add_time", "deleted"],
};

/// Role of a level, and its permissions.
const ROLES: [(&str, &[&str]); 3] = [
    ("示例超级管理员", &["*"]),
    ("示例店长", &["admin:admin:update", "admin:order:list", "admin:order:refund", "admin:coupon:create"]),
    ("示例店员", &["admin:order:list", "admin:order:ship", "admin:order:refund"]),
];

fn render(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut rng = Prng::new(story.seed, "litemall");
    dump.row(&SETTING, cells![BASE + 1, "litemall_mall_name", "示例果园", OPENED, 0_i64])?;
    customers(story, dump, &mut rng)?;
    orders(story, dump, findings)?;
    marketing(story, dump)?;
    staff(story, dump, findings, &mut rng)?;
    log(story, dump, findings)?;
    for (i, (customer, at, text)) in story.inquiries.iter().enumerate() {
        let row = cells![
            BASE + 1 + i as i64,
            BASE + customer,
            format!("user{customer}"),
            "",
            "其他",
            *text,
            1_i64,
            *at,
            0_i64
        ];
        dump.row(&FEEDBACK, row)?;
    }
    Ok(())
}

fn customers(story: &Story, dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    for c in &story.customers {
        let row = cells![
            BASE + c.id,
            // The program names a customer who came through WeChat by the openid.
            &c.openid,
            bcrypt(rng),
            &c.nickname,
            c.mobile(),
            &c.openid,
            rng.hex(24),
            c.id % 3,
            i64::from(c.id % 97 == 0),
            c.registered,
            0_i64
        ];
        dump.row(&USER, row)?;
    }
    Ok(())
}

/// Text of the form of a password hash, of no password.
fn bcrypt(rng: &mut Prng) -> String {
    format!("$2a$10${}", rng.hex(53))
}

fn status(order: &Order) -> i64 {
    match (order.closed, order.paid, order.whole_refund().map(|r| r.state)) {
        (Some((_, Close::Timeout)), ..) => 103,
        (Some((_, Close::Customer)), ..) => 102,
        (Some((_, Close::Merchant)), ..) => 104,
        (None, None, _) => 101,
        (None, Some(_), Some(RefundState::Done)) => 203,
        (None, Some(_), Some(_)) => 202,
        (None, Some(_), None) => match (order.shipped, order.received) {
            (Some(_), Some(_)) if order.id % 5 == 0 => 402,
            (Some(_), Some(_)) => 401,
            (Some(_), None) => 301,
            (None, _) => 201,
        },
    }
}

/// Code of an after-sales request.
fn aftersale_code(state: RefundState) -> i64 {
    match state {
        RefundState::Requested => 1,
        RefundState::Approved => 2,
        RefundState::Done => 3,
        RefundState::Rejected => 4,
        RefundState::Cancelled => 5,
    }
}

/// Number of an after-sales request.
fn aftersale_no(order: &Order, nth: usize) -> String {
    format!("AS{}{nth}", order.id)
}

fn orders(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let (mut item_id, mut aftersale_id) = (BASE, BASE);
    let mut stuck: BTreeMap<String, i64> = BTreeMap::new();
    let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
    let mut repeated: BTreeSet<&str> = BTreeSet::new();
    for order in &story.orders {
        let id = BASE + order.id;
        let code = status(order);
        let whole = order.whole_refund();
        let done = whole.filter(|r| r.state == RefundState::Done);
        let price = order.goods_fen + order.freight_fen - order.coupon_fen - order.group_fen;
        let aftersale = order.refunds.iter().rfind(|r| !r.is_whole).map_or(0, |r| aftersale_code(r.state));
        let customer = &story.customers[order.customer as usize - 1];
        dump.row(
            &ORDER,
            cells![
                id,
                BASE + order.customer,
                &order.no,
                code,
                aftersale,
                &customer.nickname,
                customer.mobile(),
                format!("示例市示例路{}号", order.customer),
                if order.id % 11 == 0 { "请放门口" } else { "" },
                Cell::Yuan(order.goods_fen),
                Cell::Yuan(order.freight_fen),
                Cell::Yuan(order.coupon_fen),
                Cell::Yuan(0),
                Cell::Yuan(order.group_fen),
                Cell::Yuan(price),
                Cell::Yuan(order.payable),
                order.paid.map(|_| format!("4200003{:020}", order.id)),
                order.paid,
                order.shipped,
                done.map(|r| Cell::Yuan(r.amount)),
                done.map(|_| "微信退款接口"),
                done.map(|r| format!("5030003{:020}", order.id * 10 + r.amount % 10)),
                done.and_then(|r| r.handled),
                order.received,
                order.closed.map(|(at, _)| at).or(done.and_then(|r| r.handled)),
                order.created,
                i64::from(code == 102 && order.id % 3 == 0)
            ],
        )?;
        for item in &order.items {
            item_id += 1;
            let (name, price) = GOODS[item.good];
            let row = cells![
                item_id,
                id,
                name,
                BASE + item.good as i64,
                item.count,
                Cell::Yuan(price),
                "[\"标准\"]",
                order.created,
                0_i64
            ];
            dump.row(&ORDER_GOODS, row)?;
        }
        if whole.is_some_and(|r| r.state == RefundState::Requested) {
            findings.add("FND-004", format!("{PROJECT}/order:{id}"), "in-flight");
        }
        let (mut back, mut promised) = (done.map_or(0, |r| r.amount), 0);
        for (nth, refund) in order.refunds.iter().enumerate().filter(|(_, r)| !r.is_whole) {
            aftersale_id += 1;
            let row = cells![
                aftersale_id,
                aftersale_no(order, nth),
                id,
                BASE + order.customer,
                1_i64,
                "质量问题",
                Cell::Yuan(refund.amount),
                aftersale_code(refund.state),
                refund.handled,
                refund.requested,
                0_i64
            ];
            dump.row(&AFTERSALE, row)?;
            match refund.state {
                RefundState::Done => back += refund.amount,
                RefundState::Approved => promised += refund.amount,
                RefundState::Requested | RefundState::Rejected | RefundState::Cancelled => {}
            }
            if matches!(refund.state, RefundState::Requested | RefundState::Approved) {
                findings.add("FND-004", format!("{PROJECT}/aftersale:{aftersale_id}"), "in-flight");
            }
        }
        if back + promised > order.payable {
            let reason = if back > order.payable { "refunded-over" } else { "committed-over" };
            findings.add("TXN-014", format!("order:{id}"), reason);
        }
        if let Some(paid) = order.paid {
            if order.closed.is_some() {
                findings.add("TXN-003", format!("order:{id}"), "not-refunded");
                *stuck.entry(paid.date_text()).or_default() += order.payable;
            }
            let uses = numbers.entry(&order.no).or_default();
            *uses += 1;
            if *uses > 1 {
                repeated.insert(&order.no);
            }
        }
    }
    for no in repeated {
        findings.add("TXN-018", format!("{MCH}/{no}"), "several-orders");
    }
    for day in stuck.keys() {
        findings.add("FND-007", format!("{MCH}/{day}"), "day-not-zero");
    }
    if !stuck.is_empty() {
        findings.add("FND-007", format!("{PROJECT}/{MCH}"), "total-not-zero");
    }
    Ok(())
}

fn marketing(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for (i, c) in story.coupons.iter().enumerate() {
        let id = BASE + 1 + i as i64;
        let row = cells![
            id,
            c.name,
            0_i64,
            Cell::Yuan(c.face_fen),
            Cell::Yuan(c.min_fen),
            0_i64,
            0_i64,
            0_i64,
            30_i64,
            OPENED,
            0_i64
        ];
        dump.row(&COUPON, row)?;
    }
    for (i, h) in story.holdings.iter().enumerate() {
        let code = match (h.used, h.is_expired) {
            (Some(_), _) => 1_i64,
            (None, true) => 2,
            (None, false) => 0,
        };
        let row = cells![
            BASE + 1 + i as i64,
            BASE + h.customer,
            BASE + h.coupon,
            code,
            h.used.map(|(at, _)| at),
            h.used.map(|(_, order)| BASE + order),
            h.received,
            0_i64
        ];
        dump.row(&COUPON_USER, row)?;
    }
    for (i, r) in story.rules.iter().enumerate() {
        let code = i64::from(r.ends < AS_OF);
        let discount = super::story::GROUP_FEN / 100;
        let row = cells![
            BASE + 1 + i as i64,
            BASE + r.good as i64,
            GOODS[r.good].0,
            discount,
            super::story::GROUP_SIZE,
            r.ends,
            code,
            r.starts,
            0_i64
        ];
        dump.row(&RULES, row)?;
    }
    let mut id = BASE;
    for group in &story.groups {
        let leader_id = id + 1;
        let Some(leader) = group.orders.first().map(|o| &story.orders[*o]) else { continue };
        for place in &group.orders {
            id += 1;
            let order = &story.orders[*place];
            let code = match order.paid {
                _ if group.has_failed => 3_i64,
                None => 0,
                Some(_) if group.is_complete => 2,
                Some(_) => 1,
            };
            let is_leader = id == leader_id;
            dump.row(
                &GROUPON,
                cells![
                    id,
                    BASE + order.id,
                    if is_leader { 0 } else { leader_id },
                    BASE + group.rule,
                    BASE + order.customer,
                    BASE + leader.customer,
                    is_leader.then_some(order.created),
                    code,
                    order.created,
                    0_i64
                ],
            )?;
        }
    }
    Ok(())
}

fn admin_ref(id: i64) -> String {
    format!("admin:{}", BASE + id)
}

fn staff(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    let mut permission_id = BASE;
    let mut permissions: Vec<Vec<i64>> = Vec::new();
    for (i, (name, list)) in ROLES.iter().enumerate() {
        let role = BASE + 1 + i as i64;
        dump.row(&ROLE, cells![role, *name, 0_i64])?;
        let mut ids = Vec::new();
        for permission in *list {
            permission_id += 1;
            ids.push(permission_id);
            dump.row(&PERMISSION, cells![permission_id, role, *permission, 0_i64])?;
        }
        permissions.push(ids);
    }
    for p in &story.people {
        let role = BASE + p.level;
        dump.row(
            &ADMIN,
            cells![
                BASE + p.id,
                &p.login,
                bcrypt(rng),
                "203.0.113.7",
                p.last_login,
                p.opened,
                i64::from(p.removed.is_some()),
                format!("[{role}]")
            ],
        )?;
        let is_logged = story.acts.iter().any(|a| matches!(a.deed, Deed::Open(id) | Deed::Edit(id) if id == p.id));
        if !is_logged {
            for permission in &permissions[p.level as usize - 1] {
                let grant = format!("{}/role:{role}/permission:{permission}", admin_ref(p.id));
                findings.about_staff("LOG-005", &grant, "grant-unlogged");
            }
        }
    }
    Ok(())
}

fn log(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let name = |id: Option<i64>| id.and_then(|id| story.person(id)).map_or("匿名用户", |p| p.login.as_str());
    for (i, act) in story.acts.iter().enumerate() {
        let id = BASE + 1 + i as i64;
        let subject = |id: i64| name(Some(id)).to_owned();
        let number = |order: usize| story.orders.get(order).map_or("", |o| o.no.as_str());
        let (kind, action, result): (i64, &'static str, String) = match act.deed {
            Deed::Login => (1, "登录", String::new()),
            Deed::LoginFailed(_) => (1, "登录", "用户帐号或密码不正确".to_owned()),
            Deed::Logout => (1, "退出", String::new()),
            Deed::Open(person) => (1, "添加管理员", subject(person)),
            Deed::Edit(person) => (1, "编辑管理员", subject(person)),
            Deed::Remove(person) => (1, "删除管理员", subject(person)),
            Deed::Ship(order) => (2, "发货", format!("订单编号 {}", number(order))),
            Deed::Refund(order, nth) => match story.orders.get(order).and_then(|o| Some((o, o.refunds.get(nth)?))) {
                Some((o, r)) if !r.is_whole => {
                    (2, "退款", format!("订单编号 {} 售后编号 {}", o.no, aftersale_no(o, nth)))
                }
                _ => (2, "退款", format!("订单编号 {}", number(order))),
            },
        };
        let ok = i64::from(!matches!(act.deed, Deed::LoginFailed(_)));
        let admin = name(act.who).to_owned();
        dump.row(&LOG, cells![id, admin, act.ip.clone(), kind, action, ok, result, "", act.at, 0_i64])?;
        account_findings(id, act.at, act.deed, act.ip.is_some(), findings);
        ghost_findings(story, (act.at, act.who, act.deed), findings);
    }
    Ok(())
}

/// What every change of an account lacks here.
fn account_findings(id: i64, at: Local, deed: Deed, has_ip: bool, findings: &mut Findings<'_>) {
    if !in_window(at) || !matches!(deed, Deed::Open(_) | Deed::Edit(_) | Deed::Remove(_)) {
        return;
    }
    findings.add("LOG-001", id.to_string(), "device-missing");
    if !has_ip {
        findings.add("LOG-001", id.to_string(), "ip-missing");
    }
    if matches!(deed, Deed::Remove(_)) {
        findings.add("PRM-005", id.to_string(), "request-time-missing");
    }
}

/// What was done with an account after it was removed.
fn ghost_findings(story: &Story, (at, who, deed): (Local, Option<i64>, Deed), findings: &mut Findings<'_>) {
    let Some(person) = who.and_then(|id| story.person(id)) else { return };
    let Some((removed, _)) = person.removed.filter(|(removed, _)| at > removed.plus(60)) else { return };
    let staff = admin_ref(person.id);
    match deed {
        Deed::Login => findings.about_staff("PRM-021", &staff, "login"),
        Deed::Open(_) | Deed::Edit(_) | Deed::Remove(_) => findings.about_staff("PRM-021", &staff, "permission-change"),
        Deed::Refund(order, nth) => {
            // The time of the request is known of after-sales requests only.
            let asked =
                story.orders.get(order).and_then(|o| o.refunds.get(nth)).filter(|r| !r.is_whole).map(|r| r.requested);
            if asked.is_some_and(|asked| asked > removed.plus(60)) {
                findings.about_staff("PRM-021", &staff, "refund");
            }
        }
        Deed::LoginFailed(_) | Deed::Logout | Deed::Ship(_) => {}
    }
}
