//! The permission log: every change with address, device, second factor and work order, tied by a hash chain.
//!
//! The chain: `row_hash = SHA-256(prev_hash|seq|effect_time|act|op_id|target_id|perm|result)`, lower-case hex, missing
//! values as empty text, the first `prev_hash` empty.

use std::collections::BTreeMap;

use super::Error;
use super::faults::Truth;
use super::local::Local;
use super::people::{World, user_ref};
use super::prng::Prng;
use super::tables::{Cell, Sink, T, cells};
use crate::crypto;

/// Seconds between the first verification of a change and the change.
pub(super) const VERIFY_AHEAD: i64 = 150;

/// Seconds by which the time of an edited row was moved.
const EDITED_BY: i64 = 25 * 60;

/// What was changed; the number is the code of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A right was given.
    Grant = 1,
    /// A right was taken.
    Revoke = 2,
    /// An account was opened.
    AccountCreate = 3,
    /// A person left or was removed.
    AccountRelease = 4,
    /// A password was reset.
    PasswordReset = 6,
}

/// One change before it gets its place in the log.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) at: Local,
    pub(super) effective: Option<Local>,
    pub(super) requested: Option<Local>,
    pub(super) act: Act,
    pub(super) operator: i64,
    pub(super) target: i64,
    pub(super) target_level: i64,
    pub(super) permission: Option<&'static str>,
    pub(super) is_money: bool,
    pub(super) ip: Option<()>,
    pub(super) device: Option<()>,
    /// 0 system, 1 self, 2 administrator, 3 forced, 4 support.
    pub(super) way: i64,
    /// State and decision time of a work order.
    pub(super) work_order: Option<(&'static str, Local)>,
    /// 0 requested, 1 done, 2 failed, 3 abandoned.
    pub(super) result: i64,
    pub(super) verifications: Vec<(&'static str, bool, Local)>,
    pub(super) staff_fault: Option<(&'static str, &'static str)>,
    faults: Vec<(&'static str, &'static str)>,
    chain: Option<&'static str>,
}

impl Change {
    /// A change that went well, requested a minute before.
    pub(super) fn new(act: Act, operator: i64, target: i64, at: Local) -> Self {
        Self {
            at,
            effective: Some(at),
            requested: Some(at.plus(-60)),
            act,
            operator,
            target,
            target_level: 3,
            permission: None,
            is_money: false,
            ip: Some(()),
            device: Some(()),
            way: 2,
            work_order: None,
            result: 1,
            verifications: Vec::new(),
            staff_fault: None,
            faults: Vec::new(),
            chain: None,
        }
    }

    /// Sets the level of the person concerned.
    pub(super) fn with_level(mut self, level: i64) -> Self {
        self.target_level = level;
        self
    }

    /// Names the right concerned.
    pub(super) fn about(mut self, permission: &'static str, is_money: bool) -> Self {
        self.permission = Some(permission);
        self.is_money = is_money;
        self
    }

    /// Adds the two verifications that changes about money need.
    pub(super) fn verified(mut self) -> Self {
        self.verifications = vec![("sms", true, self.at.plus(-VERIFY_AHEAD)), ("face", true, self.at.plus(-60))];
        self
    }

    /// Sets the path.
    pub(super) fn by_way(mut self, way: i64) -> Self {
        self.way = way;
        self
    }

    /// Ties the change to a work order.
    pub(super) fn order(&mut self, state: &'static str, decided: Local) {
        self.work_order = Some((state, decided));
    }

    /// Leaves the change waiting.
    pub(super) fn pending(&mut self) {
        self.effective = None;
        self.result = 0;
    }

    /// Forgets when the change took effect.
    pub(super) fn lose_time(&mut self) {
        self.effective = None;
    }

    /// Notes a finding whose subject is this change.
    pub(super) fn fault(&mut self, policy: &'static str, reason: &'static str) {
        self.faults.push((policy, reason));
    }

    /// Damages the chain here.
    pub(super) fn chain(&mut self, damage: &'static str) {
        self.chain = Some(damage);
    }
}

/// Where each removal stands in the log: account to change reference.
pub(super) type Removals = BTreeMap<i64, String>;

/// Sorts, chains and writes the log with its verifications and work orders.
pub(super) fn write(
    world: &mut World,
    seed: u64,
    sink: &mut Sink,
    truth: &mut Truth,
    staff_token: &dyn Fn(&str) -> String,
) -> Result<Removals, Error> {
    let mut rng = Prng::new(seed, "permission log");
    let mut changes = std::mem::take(&mut world.changes);
    changes.sort_by_key(|c| (c.at, c.target, c.act as i64));
    let mut removals = Removals::new();
    let (mut seq, mut previous) = (0_i64, String::new());
    let mut gap_before = false;
    for change in &changes {
        let id = sink.next_id(T::PermLog);
        let reference = format!("pc{id}");
        if change.chain != Some("seq-duplicate") {
            seq += 1;
        }
        let text = |t: Option<Local>| t.map_or_else(String::new, Local::text);
        let mut previous_shown = previous.clone();
        if change.chain == Some("link-broken") {
            previous_shown = rng.hex(64);
        }
        let message = format!(
            "{previous_shown}|{seq}|{}|{}|{}|{}|{}|{}",
            text(change.effective),
            change.act as i64,
            change.operator,
            change.target,
            change.permission.unwrap_or_default(),
            change.result
        );
        let hash = crypto::sha256(message.as_bytes()).to_string();
        previous.clone_from(&hash);
        if change.chain == Some("seq-gap") {
            // The row existed and was chained, then somebody deleted it.
            truth.add("DAT-002", format!("permission-log/{seq}"), "log-gap");
            gap_before = true;
            continue;
        }
        if std::mem::take(&mut gap_before) {
            truth.add("LOG-007", &reference, "seq-gap");
        }
        if let Some(damage) = change.chain {
            truth.add("LOG-007", &reference, damage);
        }
        for (policy, reason) in &change.faults {
            truth.add(policy, &reference, reason);
        }
        if let Some((policy, reason)) = change.staff_fault {
            truth.add(policy, staff_token(&user_ref(change.operator)), reason);
        }
        if change.act == Act::AccountRelease && change.result == 1 {
            removals.insert(change.target, reference);
        }
        let operator = world.users.get(&change.operator);
        let target = world.users.get(&change.target);
        let order_no = match change.work_order {
            None => None,
            Some((state, decided)) => {
                let no = format!("WO{}{:05}", change.at.compact_date(), sink.next_id(T::WorkOrder));
                sink.push(
                    T::WorkOrder,
                    cells![
                        no.clone(),
                        "release",
                        decided.plus(-1_800),
                        change.operator,
                        change.target,
                        if state == "approved" { 1_i64 } else { 2 },
                        decided,
                        super::people::OWNER
                    ],
                )?;
                Some(no)
            }
        };
        for (method, ok, at) in &change.verifications {
            sink.push(T::Verify, cells![sink.next_id(T::Verify), id, *method, *ok, *at])?;
        }
        let (name, phone) = target.map_or_else(Default::default, |u| (u.name.clone(), u.mobile()));
        let after = match change.act {
            Act::Grant => format!("授予{name}({phone})权限"),
            Act::Revoke => format!("收回{name}({phone})权限"),
            Act::AccountCreate => format!("开通账号,姓名{name},手机{phone}"),
            Act::AccountRelease => format!("{name}离职,账号解除"),
            Act::PasswordReset => format!("重置{name}的登录密码"),
        };
        let second = match change.verifications.iter().find(|v| v.0 != "sms" && v.1) {
            Some(_) => "face",
            None if change.way == 0 => "none",
            None => "sms",
        };
        let system = change.way == 0;
        // Somebody edited the stored time after the row was chained; the digest still speaks of the old one.
        let effective = match change.chain {
            Some("hash-mismatch") => change.effective.map(|t| t.plus(EDITED_BY)),
            _ => change.effective,
        };
        sink.push(
            T::PermLog,
            [
                Cell::Int(id),
                Cell::Int(seq),
                effective.into(),
                change.requested.into(),
                Cell::Int(change.act as i64),
                Cell::Int(change.operator),
                operator.map(|u| u.name.clone()).into(),
                operator.map(|u| u.level).into(),
                Cell::Int(change.target),
                Cell::Int(change.target_level),
                change.permission.into(),
                change.is_money.into(),
                Cell::Null,
                after.into(),
                change.ip.map(|()| address(change.operator, system)).into(),
                change.device.filter(|()| !system).map(|()| model(change.operator)).into(),
                if system { Cell::Null } else { "Mozilla/5.0 MicroMessenger/8.0".into() },
                Cell::Int(change.way),
                second.into(),
                change.work_order.map(|_| super::people::OWNER).into(),
                order_no.into(),
                Cell::Int(change.result),
                Cell::Null,
                if change.chain == Some("hash-missing") { Cell::Null } else { hash.into() },
                previous_shown.into(),
            ],
        )?;
    }
    world.changes = changes;
    Ok(removals)
}

/// Address of the person at work; a documentation network, so it belongs to nobody.
pub(super) fn address(user: i64, system: bool) -> String {
    if system { "192.0.2.10".into() } else { format!("203.0.113.{}", user % 250 + 1) }
}

/// Device model of the person.
pub(super) fn model(user: i64) -> &'static str {
    ["HUAWEI Mate 60", "Xiaomi 14", "iPhone 15", "OPPO Find X7", "vivo X100"][(user % 5) as usize]
}
