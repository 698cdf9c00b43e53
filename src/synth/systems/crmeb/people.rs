//! Staff, their roles, and the log of routes.

use super::tables::{ADMIN, LOG, MENU, ROLE, STORE_STAFF};
use super::{BASE, Dump, Findings, Story, epoch, epoch_or_zero, secret};
use crate::synth::Error;
use crate::synth::prng::Prng;
use crate::synth::systems::story::{Deed, in_window};
use crate::synth::tables::cells;

/// Accounts and menus have short keys.
const ADMINS: i64 = 1_000;
const MENUS: i64 = 30_000;
/// Roles by level of staff, with the routes of each.
const ROLES: [(&str, &[(&str, &str)]); 3] = [
    ("示例超级管理员", &[]),
    ("示例店长", &[("order/refund/<id>", "PUT"), ("setting/admin/<id>", "PUT"), ("order/delivery/<id>", "PUT")]),
    ("示例店员", &[("order/delivery/<id>", "PUT"), ("order/refund/<id>", "PUT")]),
];

pub(super) fn staff(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>, rng: &mut Prng) -> Result<(), Error> {
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

pub(super) fn log(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
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
