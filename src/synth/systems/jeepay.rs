//! The story as jeepay keeps it: payments of two merchants, a log of requests with their parameters, accounts that are
//! deleted for good.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::json;

use super::sql::{Dialect, Dump, Table};
use super::story::{Deed, Order, Platform, Refund, RefundState, Story, in_window};
use super::{Findings, Project, System, ZONE, ZONE_EVIDENCE};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use crate::synth::prng::Prng;
use crate::synth::tables::cells;

/// Accounts start above the one that an installation comes with.
const USERS: i64 = 200_000;
const LOGS: i64 = 1_000;
const PROJECT: &str = "MOVE-2026";
const PROVIDER: &str = "V1690000009";
/// Merchant, its app, its WeChat number.
const MERCHANTS: [(&str, &str, &str); 2] = [
    ("M1690000001", "68a000000000000000000001", "1900000109"),
    ("M1690000002", "68a000000000000000000002", "1900000202"),
];
const PROVIDER_MCH: &str = "1900000001";

pub(super) const SYSTEM: System = System {
    id: "jeepay",
    dialects: &[Dialect::Mysql],
    planted: &["FND-004", "FND-007", "LOG-001", "LOG-005", "PRM-021", "TXN-014"],
    project: Project::Moving { project_ref: PROJECT, merchant_ref: MERCHANTS[0].0, source_mch_id: MERCHANTS[0].2 },
    role: "self-operated",
    channels: &["wechat", "alipay"],
    params: &[ZONE, ZONE_EVIDENCE],
    render,
};

static MCH_INFO: Table = Table {
    name: "t_mch_info",
    columns: &[
        "mch_no",
        "mch_name",
        "mch_short_name",
        "type",
        "isv_no",
        "contact_name",
        "contact_tel",
        "state",
        "created_at",
        "updated_at",
    ],
};
static ISV_INFO: Table = Table {
    name: "t_isv_info",
    columns: &[
        "isv_no",
        "isv_name",
        "isv_short_name",
        "contact_name",
        "contact_tel",
        "state",
        "created_at",
        "updated_at",
    ],
};
static MCH_APP: Table = Table {
    name: "t_mch_app",
    columns: &["app_id", "app_name", "mch_no", "state", "app_secret", "created_at", "updated_at"],
};
static CONFIG: Table = Table {
    name: "t_pay_interface_config",
    columns: &[
        "id",
        "info_type",
        "info_id",
        "if_code",
        "if_params",
        "if_rate",
        "state",
        "updated_uid",
        "created_at",
        "updated_at",
    ],
};
static PASSAGE: Table = Table {
    name: "t_mch_pay_passage",
    columns: &["id", "mch_no", "app_id", "if_code", "way_code", "rate", "state", "created_at", "updated_at"],
};
static PAY_ORDER: Table = Table {
    name: "t_pay_order",
    columns: &[
        "pay_order_id",
        "mch_no",
        "isv_no",
        "app_id",
        "mch_name",
        "mch_type",
        "mch_order_no",
        "if_code",
        "way_code",
        "amount",
        "mch_fee_rate",
        "mch_fee_amount",
        "currency",
        "state",
        "client_ip",
        "subject",
        "body",
        "channel_user",
        "channel_order_no",
        "refund_state",
        "refund_times",
        "refund_amount",
        "notify_url",
        "expired_time",
        "success_time",
        "created_at",
        "updated_at",
    ],
};
static REFUND: Table = Table {
    name: "t_refund_order",
    columns: &[
        "refund_order_id",
        "pay_order_id",
        "mch_no",
        "app_id",
        "mch_name",
        "mch_type",
        "mch_refund_no",
        "way_code",
        "if_code",
        "pay_amount",
        "refund_amount",
        "currency",
        "state",
        "refund_reason",
        "channel_order_no",
        "notify_url",
        "success_time",
        "created_at",
        "updated_at",
    ],
};
static TRANSFER: Table = Table {
    name: "t_transfer_order",
    columns: &[
        "transfer_id",
        "mch_no",
        "app_id",
        "mch_name",
        "mch_type",
        "mch_order_no",
        "if_code",
        "entry_type",
        "amount",
        "currency",
        "account_no",
        "account_name",
        "state",
        "notify_url",
        "success_time",
        "created_at",
        "updated_at",
    ],
};
static DIVISION: Table = Table {
    name: "t_pay_order_division_record",
    columns: &[
        "record_id",
        "mch_no",
        "app_id",
        "mch_name",
        "mch_type",
        "if_code",
        "pay_order_id",
        "pay_order_amount",
        "pay_order_division_amount",
        "batch_order_id",
        "channel_batch_order_id",
        "state",
        "receiver_id",
        "acc_type",
        "acc_no",
        "relation_type",
        "relation_type_name",
        "division_profit",
        "cal_division_amount",
        "created_at",
        "updated_at",
    ],
};
static NOTIFY: Table = Table {
    name: "t_mch_notify_record",
    columns: &[
        "notify_id",
        "order_id",
        "order_type",
        "mch_order_no",
        "mch_no",
        "app_id",
        "notify_url",
        "res_result",
        "notify_count",
        "notify_count_limit",
        "state",
        "last_notify_time",
        "created_at",
        "updated_at",
    ],
};
static SNAPSHOT: Table = Table {
    name: "t_order_snapshot",
    columns: &[
        "order_id",
        "order_type",
        "mch_req_data",
        "mch_req_time",
        "mch_resp_data",
        "mch_resp_time",
        "channel_req_data",
        "channel_req_time",
        "channel_resp_data",
        "channel_resp_time",
    ],
};
static USER: Table = Table {
    name: "t_sys_user",
    columns: &[
        "sys_user_id",
        "login_username",
        "realname",
        "telphone",
        "user_no",
        "is_admin",
        "state",
        "sys_type",
        "belong_info_id",
        "created_at",
        "updated_at",
    ],
};
static AUTH: Table = Table {
    name: "t_sys_user_auth",
    columns: &["auth_id", "user_id", "identity_type", "identifier", "credential", "salt", "sys_type"],
};
static ROLE: Table = Table { name: "t_sys_role", columns: &["role_id", "role_name", "sys_type", "belong_info_id"] };
static USER_ROLE: Table = Table { name: "t_sys_user_role_rela", columns: &["user_id", "role_id"] };
static ROLE_ENT: Table = Table { name: "t_sys_role_ent_rela", columns: &["role_id", "ent_id"] };
static ENTITLEMENT: Table = Table {
    name: "t_sys_entitlement",
    columns: &["ent_id", "ent_name", "ent_type", "state", "pid", "ent_sort", "sys_type"],
};
static LOG: Table = Table {
    name: "t_sys_log",
    columns: &[
        "sys_log_id",
        "user_id",
        "user_name",
        "user_ip",
        "sys_type",
        "method_name",
        "method_remark",
        "req_url",
        "opt_req_param",
        "opt_res_info",
        "created_at",
    ],
};

/// A role: its id, its name, and what it may do.
type Role = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Roles of managers and clerks with what they may do.
const ROLES: [Role; 2] = [
    (
        "ROLE_SAMPLE_MGR",
        "示例主管",
        &[("ENT_SAMPLE_ORDERS", "ML"), ("ENT_SAMPLE_REFUND", "PB"), ("ENT_SAMPLE_PAY_CONFIG", "PB")],
    ),
    ("ROLE_SAMPLE_OP", "示例操作员", &[("ENT_SAMPLE_ORDERS_VIEW", "ML"), ("ENT_SAMPLE_ORDER_REFUND", "PB")]),
];

const OK: &str = r#"{"code":0,"msg":"SUCCESS"}"#;

fn render(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut rng = Prng::new(story.seed, "jeepay");
    merchants(dump, &mut rng)?;
    payments(story, dump, findings, &mut rng)?;
    transfers(dump)?;
    staff(story, dump, findings, &mut rng)?;
    log(story, dump, findings, &mut rng)
}

fn merchants(dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    let opened = OPENED.plus(8 * HOUR);
    dump.row(
        &ISV_INFO,
        cells![PROVIDER, "示例服务商", "示例服务商", "客服中心", "19900000001", 1_i64, opened, opened],
    )?;
    let secret = |rng: &mut Prng| rng.hex(32);
    let mut configs: Vec<(i64, &'static str, &'static str, serde_json::Value)> = vec![(
        1,
        PROVIDER,
        "wxpay",
        json!({ "mchId": PROVIDER_MCH, "appId": "wx00000000000c1d01", "appSecret": secret(rng), "apiVersion": "V3", "key": secret(rng),
            "apiV3Key": secret(rng), "serialNo": "5A00000000000000000000000000000000000001", "apiClientKey": format!("cert/{}.pem", rng.hex(16)) }),
    )];
    for (i, (mch, app, number)) in MERCHANTS.into_iter().enumerate() {
        let is_sub = i == 1;
        let provider = is_sub.then_some(PROVIDER);
        let kind = 1 + i64::from(is_sub);
        let name = format!("示例商户{}", i + 1);
        dump.row(
            &MCH_INFO,
            cells![mch, &name, &name, kind, provider, "客服中心", "19900000002", 1_i64, opened, opened],
        )?;
        dump.row(&MCH_APP, cells![app, format!("示例应用{}", i + 1), mch, 1_i64, rng.hex(64), opened, opened])?;
        let wechat = if is_sub {
            json!({ "subMchId": number, "subMchAppId": "" })
        } else {
            // `internalNote` is a key nobody has heard of: it counts as a secret.
            json!({ "mchId": number, "appId": "wx00000000000c1d02", "appSecret": secret(rng), "oauth2Url": "", "apiVersion": "V3",
                "key": secret(rng), "apiV3Key": secret(rng), "serialNo": "5A00000000000000000000000000000000000002",
                "apiClientKey": format!("cert/{}.pem", rng.hex(16)), "internalNote": secret(rng) })
        };
        configs.push((3, app, "wxpay", wechat));
        if !is_sub {
            let alipay = json!({ "sandbox": 0, "appId": "2021000000000201", "privateKey": rng.hex(200), "alipayPublicKey": rng.hex(120), "signType": "RSA2", "useCert": 0 });
            configs.push((3, app, "alipay", alipay));
        }
        let ways: &[(&str, &str)] =
            if is_sub { &[("wxpay", "WX_LITE")] } else { &[("wxpay", "WX_LITE"), ("alipay", "ALI_LITE")] };
        for (j, (interface, way)) in ways.iter().enumerate() {
            let id = (i * 10 + j) as i64 + 1;
            dump.row(&PASSAGE, cells![id, mch, app, *interface, *way, "0.006000", 1_i64, opened, opened])?;
        }
    }
    for (i, (kind, owner, interface, params)) in configs.into_iter().enumerate() {
        let row = cells![
            1 + i as i64,
            kind,
            owner,
            interface,
            params.to_string(),
            "0.006000",
            1_i64,
            USERS + 1,
            opened,
            opened
        ];
        dump.row(&CONFIG, row)?;
    }
    Ok(())
}

/// Where an order of the story goes: place of the merchant, interface, way, the platform's merchant number if known.
fn route(order: &Order) -> (usize, &'static str, &'static str, Option<&'static str>) {
    let merchant = usize::from(order.id % 4 == 0);
    match order.platform {
        Platform::Alipay if merchant == 0 => (merchant, "alipay", "ALI_LITE", None),
        _ => (merchant, "wxpay", "WX_LITE", Some(MERCHANTS[merchant].2)),
    }
}

fn pay_id(order: &Order) -> String {
    format!("P{}{:010}", order.created.compact_date(), order.id)
}

fn refund_id(order: &Order, refund: &Refund, nth: usize) -> String {
    format!("R{}{:09}{nth}", refund.requested.compact_date(), order.id)
}

fn refund_code(state: RefundState) -> i64 {
    match state {
        RefundState::Requested | RefundState::Approved => 1,
        RefundState::Done => 2,
        RefundState::Rejected => 3,
        RefundState::Cancelled => 4,
    }
}

fn payments(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    let mut notify_id = 1_000;
    let mut record_id = 1_000;
    // Per day and number, what nobody confirmed.
    let mut stuck: BTreeMap<(String, &'static str), i64> = BTreeMap::new();
    for order in &story.orders {
        let (place, interface, way, number) = route(order);
        let (mch, app, _) = MERCHANTS[place];
        let name = format!("示例商户{}", place + 1);
        let kind = 1 + place as i64;
        let id = pay_id(order);
        let back = order.refunded();
        let (state, refund_state) = match (order.paid, order.closed) {
            (Some(_), _) if back >= order.payable => (5_i64, 2_i64),
            (Some(_), _) => (2, i64::from(back > 0)),
            (None, Some(_)) => (6, 0),
            (None, None) => (1, 0),
        };
        // Some merchants ask instead of being told.
        let is_silent = order.id % 23 == 0 && !order.is_unconfirmed;
        let url = if is_silent {
            String::new()
        } else {
            format!("https://shop{}.example/pay/notify?token={}", place + 1, rng.hex(16))
        };
        let changed =
            order.refunds.iter().filter_map(|r| r.handled).max().or(order.paid).or(order.closed.map(|(at, _)| at));
        dump.row(
            &PAY_ORDER,
            cells![
                &id,
                mch,
                (place == 1).then_some(PROVIDER),
                app,
                &name,
                kind,
                &order.no,
                interface,
                way,
                order.payable,
                "0.006000",
                (order.payable * 60 + 5_000) / 10_000,
                "cny",
                state,
                &order.ip,
                "水果",
                "水果订单",
                order.paid.map(|_| story.customers[order.customer as usize - 1].openid.clone()),
                order.trade_no(),
                refund_state,
                order.refunds.iter().filter(|r| r.state == RefundState::Done).count() as i64,
                back,
                &url,
                order.created.plus(2 * HOUR),
                order.paid,
                order.created,
                changed.unwrap_or(order.created)
            ],
        )?;
        if let Some(paid) = order.paid {
            if !is_silent {
                notify_id += 1;
                let (code, count, last, answer) =
                    if order.is_unconfirmed { (3_i64, 6_i64, 3 * HOUR, "连接超时") } else { (2, 1, 3, "SUCCESS") };
                let row = cells![
                    notify_id,
                    &id,
                    1_i64,
                    &order.no,
                    mch,
                    app,
                    &url,
                    answer,
                    count,
                    6_i64,
                    code,
                    paid.plus(last),
                    paid.plus(1),
                    paid.plus(last)
                ];
                dump.row(&NOTIFY, row)?;
            }
            if order.is_unconfirmed
                && let Some(number) = number
            {
                *stuck.entry((paid.date_text(), number)).or_default() += order.payable;
            }
            if order.id % 50 == 1 && back == 0 && place == 0 && interface == "wxpay" {
                record_id += 1;
                divide(dump, record_id, order, &id, paid)?;
            }
            if order.id % 40 == 2 {
                snapshot(dump, order, &id, paid, rng)?;
            }
        }
        refunds(dump, findings, order, &id)?;
    }
    for (day, number) in stuck.keys() {
        findings.add("FND-007", format!("{number}/{day}"), "day-not-zero");
    }
    let number = MERCHANTS[0].2;
    if stuck.keys().any(|(_, n)| *n == number) {
        findings.add("FND-007", format!("{PROJECT}/{number}"), "total-not-zero");
    }
    Ok(())
}

fn refunds(dump: &mut Dump, findings: &mut Findings<'_>, order: &Order, payment: &str) -> Result<(), Error> {
    let (place, interface, way, number) = route(order);
    let (mch, app, source) = MERCHANTS[place];
    let (mut back, mut promised) = (0, 0);
    for (nth, refund) in order.refunds.iter().enumerate() {
        let id = refund_id(order, refund, nth);
        let code = refund_code(refund.state);
        let is_done = refund.state == RefundState::Done;
        dump.row(
            &REFUND,
            cells![
                &id,
                payment.to_owned(),
                mch,
                app,
                format!("示例商户{}", place + 1),
                1 + place as i64,
                format!("{}-{nth}", order.no),
                way,
                interface,
                order.payable,
                refund.amount,
                "cny",
                code,
                "质量问题",
                is_done.then(|| format!("5030003{:017}", order.id * 10 + nth as i64)),
                "",
                refund.handled.filter(|_| is_done),
                refund.requested,
                refund.handled.unwrap_or(refund.requested)
            ],
        )?;
        match code {
            2 => back += refund.amount,
            1 => promised += refund.amount,
            _ => {}
        }
        // A number that is not known may be that of the project.
        if code == 1 && number.is_none_or(|n| n == source && place == 0) {
            findings.add("FND-004", format!("{PROJECT}/{id}"), "in-flight");
        }
    }
    let is_new = order.refunds.iter().any(|r| in_window(r.requested) && matches!(refund_code(r.state), 1 | 2));
    if back + promised > order.payable && is_new {
        let reason = if back > order.payable { "refunded-over" } else { "committed-over" };
        findings.add("TXN-014", payment, reason);
    }
    Ok(())
}

fn divide(dump: &mut Dump, record: i64, order: &Order, payment: &str, paid: Local) -> Result<(), Error> {
    let (mch, app, _) = MERCHANTS[0];
    let base = order.payable - (order.payable * 60 + 5_000) / 10_000;
    let at = paid.plus(600).min(AS_OF.plus(-1));
    let row = cells![
        record,
        mch,
        app,
        "示例商户1",
        1_i64,
        "wxpay",
        payment.to_owned(),
        order.payable,
        base,
        format!("B{record}"),
        format!("30000{record}"),
        1_i64,
        800_001_i64,
        i64::from(record % 2 == 0),
        format!("oSampleReceiver{:013}", record % 5),
        "PARTNER",
        "合作伙伴",
        "0.100000",
        base / 10,
        at,
        at
    ];
    dump.row(&DIVISION, row)
}

fn snapshot(dump: &mut Dump, order: &Order, payment: &str, paid: Local, rng: &mut Prng) -> Result<(), Error> {
    let request = json!({ "mchOrderNo": order.no, "amount": order.payable, "sign": rng.hex(32) }).to_string();
    let answer = json!({ "code": 0, "data": { "payOrderId": payment }, "sign": rng.hex(32) }).to_string();
    let row = cells![
        payment.to_owned(),
        1_i64,
        &request,
        order.created,
        &answer,
        order.created.plus(1),
        request.replace("sign", "paySign"),
        order.created.plus(1),
        answer.replace("sign", "paySign"),
        paid
    ];
    dump.row(&SNAPSHOT, row)
}

fn transfers(dump: &mut Dump) -> Result<(), Error> {
    let (mch, app, _) = MERCHANTS[0];
    for i in 0..6_i64 {
        let at = WINDOW.plus(-i * 30 * DAY + 15 * HOUR);
        let row = cells![
            format!("T{}{i}", at.compact_date()),
            mch,
            app,
            "示例商户1",
            1_i64,
            format!("TO{i}"),
            "wxpay",
            "WX_CASH",
            50_000 + i * 100,
            "cny",
            format!("oSamplePayee{i:016}"),
            "示例收款人",
            if i == 3 { 3_i64 } else { 2 },
            "",
            (i != 3).then(|| at.plus(5)),
            at,
            at.plus(5)
        ];
        dump.row(&TRANSFER, row)?;
    }
    Ok(())
}

fn user_ref(id: i64) -> String {
    format!("user:{}", USERS + id)
}

fn staff(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    for (role, name, list) in ROLES {
        dump.row(&ROLE, cells![role, name, "MGR", "0"])?;
        for (i, (ent, kind)) in list.iter().enumerate() {
            dump.row(&ENTITLEMENT, cells![*ent, *ent, *kind, 1_i64, "ROOT", i as i64, "MGR"])?;
            dump.row(&ROLE_ENT, cells![role, *ent])?;
        }
    }
    for p in story.people.iter().filter(|p| p.removed.is_none()) {
        let id = USERS + p.id;
        let number = format!("XYG{:05}", 40_000 + p.id);
        let is_owner = p.level == 1;
        dump.row(
            &USER,
            cells![
                id,
                &p.login,
                &p.name,
                p.mobile(),
                number,
                i64::from(is_owner),
                1_i64,
                "MGR",
                "0",
                p.opened,
                p.opened
            ],
        )?;
        dump.row(&AUTH, cells![id, id, 1_i64, &p.login, format!("$2a$10${}", rng.hex(53)), rng.hex(6), "MGR"])?;
        let is_logged = story.acts.iter().any(|a| matches!(a.deed, Deed::Open(o) | Deed::Edit(o) if o == p.id));
        if is_owner {
            if !is_logged {
                findings.about_staff("LOG-005", &format!("{}/*", user_ref(p.id)), "grant-unlogged");
            }
            continue;
        }
        let (role, _, list) = ROLES[if p.level == 2 { 0 } else { 1 }];
        dump.row(&USER_ROLE, cells![id, role])?;
        if !is_logged {
            for (ent, _) in list {
                findings.about_staff("LOG-005", &format!("{}/{role}/{ent}", user_ref(p.id)), "grant-unlogged");
            }
        }
    }
    Ok(())
}

/// An entry of the log before it has its number.
struct Entry {
    at: Local,
    who: Option<i64>,
    ip: Option<String>,
    label: &'static str,
    path: String,
    params: serde_json::Value,
    answer: String,
    /// A change of permissions or secrets.
    is_change: bool,
    /// A removal of an account.
    is_removal: bool,
}

fn log(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
    let mut entries = Vec::new();
    for act in &story.acts {
        let mut entry = Entry {
            at: act.at,
            who: act.who,
            ip: act.ip.clone(),
            label: "",
            path: String::new(),
            params: json!({}),
            answer: OK.to_owned(),
            is_change: false,
            is_removal: false,
        };
        let of = |id: i64| story.person(id);
        match act.deed {
            Deed::Login | Deed::LoginFailed(_) => {
                let tried = if let Deed::LoginFailed(id) = act.deed { Some(id) } else { act.who };
                let login = tried.and_then(of).map_or("", |p| p.login.as_str());
                let coded = |text: &str| BASE64.encode(text.as_bytes());
                entry.label = "登录认证";
                entry.path = "/api/anon/auth/validate".into();
                entry.params = json!({ "ia": coded(login), "ip": coded(&rng.hex(12)), "vc": coded("a1b2"), "vt": coded(&rng.hex(16)) });
                entry.answer = match act.deed {
                    Deed::Login => json!({ "code": 0, "msg": "SUCCESS", "data": { "iToken": format!("eyJhbGciOiJIUzUxMiJ9.{}", rng.hex(40)) } }).to_string(),
                    _ => "用户名/密码错误！".to_owned(),
                };
            }
            Deed::Logout => {
                entry.label = "退出";
                entry.path = "/api/current/logout".into();
            }
            Deed::Open(id) => {
                let Some(p) = of(id) else { continue };
                entry.label = "添加操作员";
                entry.path = "/api/sysUsers".into();
                entry.params = json!({ "loginUsername": p.login, "realname": p.name, "telphone": p.mobile(), "isAdmin": 0, "state": 1 });
                entry.is_change = true;
                let role = ROLES[if p.level == 2 { 0 } else { 1 }].0;
                entries.push(Entry {
                    at: act.at.plus(20),
                    who: act.who,
                    ip: act.ip.clone(),
                    label: "更改用户角色信息",
                    path: format!("/api/sysUserRoleRelas/relas/{}", USERS + id),
                    params: json!({ "roleIdListStr": format!("[\"{role}\"]") }),
                    answer: OK.to_owned(),
                    is_change: true,
                    is_removal: false,
                });
            }
            Deed::Edit(id) => {
                let Some(p) = of(id) else { continue };
                let resets = id % 2 == 0;
                entry.label = "修改操作员信息";
                entry.path = format!("/api/sysUsers/{}", USERS + id);
                entry.params = json!({ "realname": p.name, "state": 1, "resetPass": resets, "confirmPwd": if resets { BASE64.encode(rng.hex(10).as_bytes()) } else { String::new() } });
                entry.is_change = true;
            }
            Deed::Remove(id) => {
                entry.label = "删除操作员信息";
                entry.path = format!("/api/sysUsers/{}", USERS + id);
                entry.is_change = true;
                entry.is_removal = true;
            }
            Deed::Refund(order, nth) => {
                let Some((o, r)) = story.orders.get(order).and_then(|o| Some((o, o.refunds.get(nth)?))) else {
                    continue;
                };
                entry.label = "发起订单退款";
                entry.path = format!("/api/payOrder/refunds/{}", pay_id(o));
                entry.params = json!({ "refundAmount": r.amount, "refundReason": "质量问题" });
            }
            // Goods are none of a gateway's business.
            Deed::Ship(_) => continue,
        }
        entries.push(entry);
    }
    for i in 0..2_i64 {
        let params = json!({ "apiV3Key": rng.hex(32), "mchId": MERCHANTS[0].2 }).to_string();
        entries.push(Entry {
            at: WINDOW.plus((20 + i * 40) * DAY + 10 * HOUR),
            who: Some(1),
            ip: Some("203.0.113.9".into()),
            label: "更新应用支付参数",
            path: "/api/mch/payConfigs".into(),
            params: json!({ "infoId": MERCHANTS[0].1, "ifCode": "wxpay", "ifParams": params }),
            answer: OK.to_owned(),
            is_change: true,
            is_removal: false,
        });
    }
    entries.sort_by(|a, b| (a.at, &a.path).cmp(&(b.at, &b.path)));
    for (i, entry) in entries.iter().enumerate() {
        let id = LOGS + 1 + i as i64;
        let person = entry.who.and_then(|id| story.person(id));
        dump.row(
            &LOG,
            cells![
                id,
                entry.who.map(|w| USERS + w),
                person.map(|p| p.name.clone()),
                entry.ip.clone().unwrap_or_default(),
                "MGR",
                "sample.Controller.call",
                entry.label,
                format!("http://mgr.example:9217{}", entry.path),
                entry.params.to_string(),
                &entry.answer,
                entry.at
            ],
        )?;
        if entry.is_change && in_window(entry.at) {
            findings.add("LOG-001", id.to_string(), "device-missing");
            if entry.ip.is_none() {
                findings.add("LOG-001", id.to_string(), "ip-missing");
            }
            if entry.is_removal {
                // When it was asked for is not kept.
                findings.add("PRM-005", id.to_string(), "request-time-missing");
            }
        }
        if let Some(person) = person
            && person.removed.is_some_and(|(removed, _)| entry.at > removed.plus(60))
        {
            match entry.label {
                "登录认证" => findings.about_staff("PRM-021", &user_ref(person.id), "login"),
                _ if entry.is_change => findings.about_staff("PRM-021", &user_ref(person.id), "permission-change"),
                _ => {}
            }
        }
    }
    Ok(())
}
