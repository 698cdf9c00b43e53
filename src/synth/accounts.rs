//! Writes the people: accounts, grants, tokens, devices, logins and the operation log.

use super::Error;
use super::faults::Truth;
use super::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use super::people::{OWNER, World, shop_code, user_ref};
use super::permissions::{address, model};
use super::prng::Prng;
use super::tables::{Cell, Sink, T, cells};

/// Writes everything about accounts but the permission log.
pub(super) fn write(
    world: &World,
    (seed, orders): (u64, u64),
    sink: &mut Sink,
    truth: &mut Truth,
    staff_token: &dyn Fn(&str) -> String,
) -> Result<(), Error> {
    let mut rng = Prng::new(seed, "accounts");
    users(world, &mut rng, sink, truth, staff_token)?;
    for grant in &world.grants {
        let id = sink.next_id(T::Grant);
        for (policy, reason) in &grant.faults {
            truth.add(policy, format!("g{id}"), reason);
        }
        let name = match grant.role {
            "cashier" => "收银员",
            "manager" => "店长",
            "finance" => "财务",
            "support" => "客服",
            "operator" => "运营",
            _ => "管理员",
        };
        sink.push(
            T::Grant,
            [
                Cell::Int(id),
                Cell::Int(grant.user),
                grant.role.into(),
                name.into(),
                grant.permission.into(),
                "action".into(),
                world.users.get(&grant.user).and_then(|u| u.shop).map(shop_code).into(),
                grant.is_money.into(),
                grant.at.into(),
                Cell::Int(grant.by),
                grant.revoked.map(|r| r.0).into(),
                grant.revoked.map(|r| r.1).into(),
            ],
        )?;
    }
    for token in &world.tokens {
        let id = sink.next_id(T::Token);
        if let Some(reason) = token.fault {
            truth.add("PRM-020", format!("tk{id}"), reason);
        }
        let epoch = |t: Option<Local>| Cell::Int(t.map_or(0, |t| t.0 - 8 * HOUR));
        sink.push(
            T::Token,
            [
                Cell::Int(id),
                "access".into(),
                Cell::Int(1),
                Cell::Int(token.user),
                format!("tok_{}", rng.hex(40)).into(),
                epoch(Some(token.issued)),
                epoch(token.expires),
                epoch(token.revoked),
                epoch(token.used),
            ],
        )?;
    }
    for device in &world.devices {
        let id = sink.next_id(T::Device);
        if let Some(reason) = device.fault {
            truth.add("OFB-005", format!("d{id}"), reason);
        }
        let last_trade = device.user.map(|_| device.unbound.unwrap_or(AS_OF).plus(-2 * HOUR));
        sink.push(
            T::Device,
            [
                Cell::Int(id),
                shop_code(device.shop).into(),
                device.kind.into(),
                "示例设备".into(),
                format!("SN{}", rng.hex(10)).into(),
                device.user.into(),
                device.bound.into(),
                device.unbound.into(),
                device.unbound.map(|t| t.plus(600)).into(),
                last_trade.into(),
                Cell::Int(device.state),
                Cell::Int(0),
            ],
        )?;
    }
    logins(world, &mut rng, sink)?;
    operations(world, orders, &mut rng, sink)
}

fn users(
    world: &World,
    rng: &mut Prng,
    sink: &mut Sink,
    truth: &mut Truth,
    staff_token: &dyn Fn(&str) -> String,
) -> Result<(), Error> {
    for user in world.users.values() {
        let token = || staff_token(&user_ref(user.id));
        if user.temporary {
            match (user.created, user.valid_until) {
                (None, Some(_)) => truth.add("PRM-010", token(), "start-unknown"),
                (_, None) => truth.add("PRM-010", token(), "no-expiry"),
                (Some(created), Some(until)) if until > created.plus(8 * HOUR) => {
                    truth.add("PRM-010", token(), "too-long")
                }
                _ => {}
            }
        }
        if user.state == 1 {
            match (user.employment, user.departed) {
                (None, _) => truth.add("PRM-015", token(), "not-in-register"),
                (_, Some(_)) => truth.add("PRM-015", token(), "departed"),
                (Some(word), None) if word != "active" => truth.add("PRM-015", token(), "not-employed"),
                _ => {}
            }
        }
        let end = user.left.or(user.valid_until).unwrap_or(AS_OF);
        let active = user.created.map(|c| end.plus(-rng.range(HOUR, 30 * HOUR)).max(c));
        sink.push(
            T::User,
            [
                Cell::Int(user.id),
                user.employee_no().into(),
                (&user.login).into(),
                format!("$2a$10${}", rng.hex(53)).into(),
                (&user.name).into(),
                user.mobile().into(),
                format!("oS{}", rng.hex(26)).into(),
                user.shop.map(shop_code).into(),
                user.role.into(),
                Cell::Int(user.level),
                (user.id == OWNER).into(),
                user.temporary.into(),
                Cell::Int(user.state),
                user.valid_until.into(),
                user.created.into(),
                user.created_by.into(),
                user.left.into(),
                active.into(),
                address(user.id, false).into(),
                user.successor.into(),
                Cell::Int(1),
                Cell::Int(i64::from(user.state == 2)),
            ],
        )?;
    }
    Ok(())
}

fn logins(world: &World, rng: &mut Prng, sink: &mut Sink) -> Result<(), Error> {
    let mut rows: Vec<(Local, i64)> = Vec::new();
    for user in world.users.values() {
        let Some(created) = user.created else { continue };
        let end = user.left.or(user.valid_until.filter(|_| user.temporary)).unwrap_or(AS_OF);
        let from = created.max(WINDOW.plus(-90 * DAY));
        for _ in 0..14 {
            let at =
                Local(rng.range(from.0, end.0.max(from.0 + 2)) - 1).midnight().plus(rng.range(7 * HOUR, 21 * HOUR));
            if at > created && at < end {
                rows.push((at, user.id));
            }
        }
    }
    if let Some(ghost) = world.ghost_login {
        rows.push((ghost.removed.plus(26 * HOUR), ghost.user));
    }
    rows.sort_unstable();
    for (at, user) in rows {
        let id = sink.next_id(T::Login);
        let ok = rng.below(40) != 0 || world.ghost_login.is_some_and(|g| g.user == user);
        let login = world.users.get(&user).map(|u| u.login.clone());
        sink.push(
            T::Login,
            cells![
                id,
                at,
                user,
                login,
                1_i64,
                ok,
                address(user, false),
                "Mozilla/5.0 MicroMessenger/8.0",
                model(user),
                *rng.pick(&["sms", "password", "wechat"])
            ],
        )?;
    }
    Ok(())
}

/// What people did, in sentences that name them.
fn operations(world: &World, orders: u64, rng: &mut Prng, sink: &mut Sink) -> Result<(), Error> {
    let people: Vec<_> = world.users.values().filter(|u| u.state == 1 && u.created.is_some()).collect();
    let count = (orders / 25).max(300);
    let span = AS_OF.0 - OPENED.0 - 2 * DAY;
    for i in 0..count {
        let at = OPENED.plus(DAY + (span as i128 * i128::from(i) / i128::from(count)) as i64);
        let actor = *rng.pick(&people);
        let other = *rng.pick(&people);
        if actor.created.is_none_or(|c| c > at) {
            continue;
        }
        let (module, action, target, sentence) = match rng.below(5) {
            0 => ("商品", "改价", "sku", format!("店长{}将商品调价,复核人{}", actor.name, other.name)),
            1 => (
                "员工",
                "查看",
                "user",
                format!("{}查看了员工{}(手机{})的排班", actor.name, other.name, other.mobile()),
            ),
            2 => ("订单", "改备注", "order", format!("账号{}修改订单备注", actor.login)),
            3 => ("库存", "盘点", "stock", format!("{}({})完成盘点", actor.name, actor.employee_no())),
            _ => ("登录", "会话", "session", format!("用户{}会话续期", actor.login)),
        };
        sink.push(
            T::OpLog,
            cells![
                sink.next_id(T::OpLog),
                at,
                actor.id,
                &actor.name,
                module,
                action,
                target,
                address(actor.id, false),
                "Mozilla/5.0",
                true,
                sentence
            ],
        )?;
    }
    Ok(())
}
