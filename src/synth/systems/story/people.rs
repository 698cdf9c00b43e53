//! Staff: accounts opened, changed and removed, and what was done with them.

use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use crate::synth::people::{GIVEN, SURNAMES};
use crate::synth::prng::Prng;

use super::super::Planted;

/// The owner, whose account came with the installation.
pub(in super::super) const OWNER: i64 = 1;
const MANAGERS: [i64; 2] = [2, 3];
/// Clerks who stay.
const CLERKS: std::ops::RangeInclusive<i64> = 4..=9;
/// Clerks who leave inside the window.
const LEAVERS: std::ops::RangeInclusive<i64> = 10..=16;
/// Stays logged in after the removal.
const LIVE_SESSION: i64 = 11;
/// Logs in after the removal.
const GHOST_LOGIN: i64 = 13;
/// Changes another account after the removal.
const GHOST_CHANGE: i64 = 14;
/// Refunds after the removal.
pub(super) const GHOST_REFUND: i64 = 15;
/// Opened without a word in the log; exists only when that is planted.
const HIDDEN: i64 = 17;

/// A member of staff.
#[derive(Debug, Clone)]
pub(in super::super) struct Person {
    pub(in super::super) id: i64,
    pub(in super::super) name: String,
    pub(in super::super) login: String,
    /// 1 owner, 2 manager, 3 clerk.
    pub(in super::super) level: i64,
    pub(in super::super) opened: Local,
    /// Who opened the account, as the log says; none: the log says nothing.
    pub(in super::super) opened_by: Option<i64>,
    pub(in super::super) removed: Option<(Local, i64)>,
    pub(in super::super) last_login: Option<Local>,
    /// Sessions outlive the removal of the account.
    pub(in super::super) keeps_sessions: bool,
}

impl Person {
    /// Invented number of the range 1990000xxxx.
    pub(in super::super) fn mobile(&self) -> String {
        format!("1990000{:04}", 2_000 + self.id)
    }

    fn is_at_work(&self, at: Local) -> bool {
        self.opened.plus(DAY) < at && self.removed.is_none_or(|(end, _)| end.plus(-DAY) > at)
    }
}

/// What an act was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Deed {
    Login,
    /// Somebody tried this person's password and failed.
    LoginFailed(i64),
    Logout,
    /// An account was opened.
    Open(i64),
    /// An account was changed.
    Edit(i64),
    /// An account was removed.
    Remove(i64),
    /// An order was sent off.
    Ship(usize),
    /// Money of an order went back; the number is the refund's place in the order.
    Refund(usize, usize),
}

impl Deed {
    /// Order of deeds of the same second.
    pub(super) fn rank(self) -> (u8, i64) {
        match self {
            Self::Login => (0, 0),
            Self::LoginFailed(id) => (1, id),
            Self::Open(id) => (2, id),
            Self::Edit(id) => (3, id),
            Self::Remove(id) => (4, id),
            Self::Ship(order) => (5, order as i64),
            Self::Refund(order, nth) => (6, order as i64 * 100 + nth as i64),
            Self::Logout => (7, 0),
        }
    }
}

/// Something a member of staff did.
#[derive(Debug, Clone)]
pub(in super::super) struct Act {
    pub(in super::super) at: Local,
    /// None: nobody was logged in.
    pub(in super::super) who: Option<i64>,
    pub(in super::super) deed: Deed,
    /// None: the address was lost.
    pub(in super::super) ip: Option<String>,
}

/// Addresses of documentation ranges.
pub(super) fn address(rng: &mut Prng) -> String {
    format!("203.0.113.{}", rng.range(1, 255))
}

/// Somebody who is surely at work at a time, the owner if nobody else.
pub(super) fn clerk_at(people: &[Person], rng: &mut Prng, at: Local) -> i64 {
    let present: Vec<i64> =
        people.iter().filter(|p| p.level > 1 && p.id != HIDDEN && p.is_at_work(at)).map(|p| p.id).collect();
    if present.is_empty() { OWNER } else { *rng.pick(&present) }
}

/// All accounts with their lives, and everything done to accounts.
pub(super) fn tell(seed: u64, planted: Planted<'_>) -> (Vec<Person>, Vec<Act>) {
    let mut rng = Prng::new(seed, "system people");
    let mut people = Vec::new();
    let mut acts = Vec::new();
    let mut hire = |rng: &mut Prng, level: i64, opened: Local, opened_by: Option<i64>| {
        let (surname, s) = rng.pick(&SURNAMES);
        let (given, g) = rng.pick(&GIVEN);
        let id = people.len() as i64 + 1;
        people.push(Person {
            id,
            name: format!("{surname}{given}"),
            login: format!("{s}{g}{:02}", 10 + id),
            level,
            opened,
            opened_by,
            removed: None,
            last_login: None,
            keeps_sessions: id == LIVE_SESSION && planted.has("PRM-020"),
        });
        if let Some(by) = opened_by {
            acts.push(Act { at: opened.plus(1), who: Some(by), deed: Deed::Open(id), ip: Some(address(rng)) });
        }
    };
    hire(&mut rng, 1, OPENED.plus(-DAY), None);
    for id in MANAGERS {
        hire(&mut rng, 2, OPENED.plus(id * HOUR + 600), Some(OWNER));
    }
    for id in CLERKS.chain(LEAVERS) {
        let opened = OPENED.plus((id - 3) * 9 * DAY + 10 * HOUR + rng.range(0, 3 * HOUR));
        hire(&mut rng, 3, opened, Some(MANAGERS[(id % 2) as usize]));
    }
    if planted.has("LOG-005") {
        hire(&mut rng, 2, WINDOW.plus(12 * DAY + 3 * HOUR), None);
    }
    for id in LEAVERS {
        let at = WINDOW.plus((4 + (id - 10) * 8) * DAY + 17 * HOUR + rng.range(0, HOUR));
        let by = MANAGERS[(id % 2) as usize];
        if let Some(person) = people.get_mut(id as usize - 1) {
            person.removed = Some((at, by));
        }
        acts.push(Act { at, who: Some(by), deed: Deed::Remove(id), ip: Some(address(&mut rng)) });
        if id == GHOST_CHANGE && planted.has("PRM-021") {
            acts.push(Act { at: at.plus(2 * HOUR), who: Some(id), deed: Deed::Edit(5), ip: Some(address(&mut rng)) });
        }
    }
    for i in 0..8_i64 {
        let at = WINDOW.plus((3 + i * 10) * DAY + 11 * HOUR + rng.range(0, 5 * HOUR));
        let ip = Some(address(&mut rng)).filter(|_| !(planted.has("LOG-001") && (i == 2 || i == 5)));
        acts.push(Act { at, who: Some(MANAGERS[(i % 2) as usize]), deed: Deed::Edit(4 + i % 6), ip });
    }
    for person in &mut people {
        let mut at = person.opened.plus(2 * HOUR);
        let end = person.removed.map_or(AS_OF, |(end, _)| end).plus(-DAY);
        while at < end {
            if rng.permille(60) {
                let failed = Act {
                    at: at.plus(-40),
                    who: None,
                    deed: Deed::LoginFailed(person.id),
                    ip: Some(address(&mut rng)),
                };
                acts.push(failed);
            }
            acts.push(Act { at, who: Some(person.id), deed: Deed::Login, ip: Some(address(&mut rng)) });
            person.last_login = Some(at);
            if rng.permille(400) {
                acts.push(Act {
                    at: at.plus(rng.range(HOUR, 8 * HOUR)),
                    who: Some(person.id),
                    deed: Deed::Logout,
                    ip: Some(address(&mut rng)),
                });
            }
            at = at.plus(rng.range(2 * DAY, 9 * DAY));
        }
        if person.id == GHOST_LOGIN
            && planted.has("PRM-021")
            && let Some((removed, _)) = person.removed
        {
            let at = removed.plus(30 * HOUR);
            acts.push(Act { at, who: Some(person.id), deed: Deed::Login, ip: Some(address(&mut rng)) });
            person.last_login = Some(at);
        }
    }
    (people, acts)
}
