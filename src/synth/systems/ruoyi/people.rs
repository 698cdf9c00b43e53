//! Staff, their roles and sessions, and the logs of what they did.

use serde_json::json;

use super::tables::{
    ACCESS_LOG, ACCESS_TOKEN, LOGIN_LOG, MENU, OPERATE_LOG, REFRESH_TOKEN, ROLE, ROLE_MENU, USER_ROLE, USERS,
};
use super::trade::{aftersale_id, refund_asked};
use super::{BASE, Dump, Findings, Story, TENANT, bcrypt, secret, staff_ref};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, Local, OPENED};
use crate::synth::prng::Prng;
use crate::synth::systems::story::{Deed, in_window};
use crate::synth::tables::cells;

const AGENT: &str = "Mozilla/5.0 (sample browser)";
/// Seconds a session can be renewed.
const SESSION: i64 = 30 * DAY;
/// Roles by level of staff, with the permissions of each.
const ROLES: [(&str, &str, &[&str]); 3] = [
    ("示例超管", "super_admin", &[]),
    ("示例店长", "sample_manager", &["system:user:update", "trade:after-sale:refund", "pay:order:query"]),
    ("示例店员", "sample_clerk", &["trade:order:update", "trade:after-sale:refund"]),
];

pub(super) fn staff(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
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
struct Serials {
    operate: i64,
    login: i64,
    access: i64,
}

pub(super) fn log(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
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
