//! The merchant's people: shops, accounts, grants, tokens, devices, departures, and the faults among them.
//!
//! Everything is built in memory (some 400 accounts whatever the number of orders), then written. The permission
//! log with its hash chain is the job of `permissions`.

use std::collections::BTreeMap;

use super::faults::FaultSelection;
use super::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use super::permissions::{Act, Change, VERIFY_AHEAD};
use super::prng::Prng;

/// Number of shops.
pub(super) const SHOPS: usize = 60;
/// Accounts below this id work at headquarters.
pub(super) const OWNER: i64 = 1001;
/// Administrator of the platform, successor of managers who leave.
pub(super) const ADMIN: i64 = 1002;
/// Finance staff.
pub(super) const FINANCE: [i64; 2] = [1003, 1004];
/// Customer service at headquarters; handles refunds and complaints.
pub(super) const SUPPORT: [i64; 4] = [1005, 1006, 1007, 1008];
/// Operations staff; starts campaigns.
pub(super) const OPERATIONS: [i64; 2] = [1009, 1010];
/// The manager who left before the window.
const LEFT_MANAGER_SHOP: usize = 58;

pub(super) const SURNAMES: [(&str, &str); 20] = [
    ("王", "wang"),
    ("李", "li"),
    ("张", "zhang"),
    ("刘", "liu"),
    ("陈", "chen"),
    ("杨", "yang"),
    ("赵", "zhao"),
    ("黄", "huang"),
    ("周", "zhou"),
    ("吴", "wu"),
    ("徐", "xu"),
    ("孙", "sun"),
    ("胡", "hu"),
    ("朱", "zhu"),
    ("高", "gao"),
    ("林", "lin"),
    ("何", "he"),
    ("郭", "guo"),
    ("马", "ma"),
    ("罗", "luo"),
];
pub(super) const GIVEN: [(&str, &str); 24] = [
    ("梓涵", "zihan"),
    ("沐阳", "muyang"),
    ("芷若", "zhiruo"),
    ("皓轩", "haoxuan"),
    ("语桐", "yutong"),
    ("承宇", "chengyu"),
    ("诗琪", "shiqi"),
    ("思远", "siyuan"),
    ("若曦", "ruoxi"),
    ("景澄", "jingcheng"),
    ("雨霏", "yufei"),
    ("子墨", "zimo"),
    ("晗昱", "hanyu"),
    ("筱冉", "xiaoran"),
    ("逸辰", "yichen"),
    ("婉清", "wanqing"),
    ("弘毅", "hongyi"),
    ("佳妮", "jiani"),
    ("锦程", "jincheng"),
    ("书瑶", "shuyao"),
    ("泽楷", "zekai"),
    ("凝岚", "ninglan"),
    ("嘉懿", "jiayi"),
    ("舒窈", "shuyao"),
];

/// One account.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) shop: Option<usize>,
    pub(super) role: &'static str,
    pub(super) level: i64,
    pub(super) name: String,
    pub(super) login: String,
    pub(super) temporary: bool,
    pub(super) state: i64,
    pub(super) valid_until: Option<Local>,
    pub(super) created: Option<Local>,
    pub(super) created_by: Option<i64>,
    pub(super) left: Option<Local>,
    pub(super) successor: Option<i64>,
    /// Last day of employment.
    pub(super) departed: Option<Local>,
    /// Word in the employment register; none: not in the register.
    pub(super) employment: Option<&'static str>,
}

impl User {
    /// Employee number, which also names the person.
    pub(super) fn employee_no(&self) -> String {
        format!("XGY{:06}", self.id * 7 + 100_003)
    }
    /// Invented number of the range 1990000xxxx.
    pub(super) fn mobile(&self) -> String {
        format!("1990000{:04}", self.id)
    }
}

/// An account as the mapping spells it.
pub(super) fn user_ref(id: i64) -> String {
    format!("sysuser:{id}")
}

/// Code of a shop.
pub(super) fn shop_code(shop: usize) -> String {
    format!("SH{:03}", shop + 1)
}

/// One grant.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) user: i64,
    pub(super) role: &'static str,
    pub(super) permission: &'static str,
    pub(super) is_money: bool,
    pub(super) at: Local,
    pub(super) by: i64,
    pub(super) revoked: Option<(Local, i64)>,
    pub(super) faults: Vec<(&'static str, &'static str)>,
}

/// One token; the secret is made when the row is written.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) user: i64,
    pub(super) issued: Local,
    pub(super) expires: Option<Local>,
    pub(super) revoked: Option<Local>,
    pub(super) used: Option<Local>,
    pub(super) fault: Option<&'static str>,
}

/// One device and its binding.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) shop: usize,
    pub(super) kind: &'static str,
    pub(super) user: Option<i64>,
    pub(super) bound: Local,
    pub(super) unbound: Option<Local>,
    pub(super) state: i64,
    pub(super) fault: Option<&'static str>,
}

/// One departure, with the steps of the exit check.
#[derive(Debug, Clone)]
pub(super) struct Departure {
    pub(super) user: i64,
    pub(super) removed: Local,
    pub(super) devices: Option<Local>,
    pub(super) password: Option<Local>,
    pub(super) funds: Option<Local>,
    pub(super) faults: Vec<(&'static str, &'static str)>,
}

/// A removed account that still does something, or that leaves something open; placed by the generator named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ghost {
    pub(super) user: i64,
    pub(super) removed: Local,
}

/// All people and what belongs to them.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) users: BTreeMap<i64, User>,
    pub(super) grants: Vec<Grant>,
    pub(super) changes: Vec<Change>,
    pub(super) tokens: Vec<Token>,
    pub(super) devices: Vec<Device>,
    pub(super) departures: Vec<Departure>,
    /// A removed cashier who still takes an order.
    pub(super) ghost_order: Option<Ghost>,
    /// A removed account that still asks for a refund.
    pub(super) ghost_refund: Option<Ghost>,
    /// A removed account that logs in again.
    pub(super) ghost_login: Option<Ghost>,
    /// Removed while a refund it handles is open.
    pub(super) open_refund: Option<Ghost>,
    /// Removed while a complaint it handles is open.
    pub(super) open_complaint: Option<Ghost>,
    /// Unbound by force while a campaign it started runs.
    pub(super) open_campaign: Option<Ghost>,
}

/// Names of the places among the leavers that can carry a fault, in order of removal.
const LEAVER_FAULTS: [(&str, &str); 24] = [
    ("PRM-005", "late"),
    ("PRM-005", "request-time-missing"),
    ("PRM-005", "pending-overdue"),
    ("PRM-020", "all"),
    ("PRM-021", "login"),
    ("PRM-021", "order"),
    ("PRM-021", "refund"),
    ("PRM-021", "permission-change"),
    ("OFB-001", "open-complaint"),
    ("OFB-001", "open-refund"),
    ("OFB-002", "campaign-running"),
    ("OFB-003", "device-missing"),
    ("OFB-003", "device-late"),
    ("OFB-003", "password-missing"),
    ("OFB-003", "password-late"),
    ("OFB-003", "funds-missing"),
    ("OFB-003", "funds-late"),
    ("OFB-005", "still-bound"),
    ("OFB-005", "unbound-late"),
    ("OFB-009", "no-receipt"),
    ("OFB-009", "unsigned"),
    ("OFB-009", "invalid-signature"),
    ("PRM-001", "not-granter"),
    ("PRM-001", "order-not-approved"),
];
/// Leavers before those that can carry a fault.
const CLEAN_LEAVERS: usize = 14;

impl World {
    /// Hires, grants, removes.
    pub(super) fn build(seed: u64, faults: &FaultSelection) -> Self {
        let mut world = Self::default();
        let mut rng = Prng::new(seed, "people");
        world.hire_all(&mut rng);
        world.grant_all(&mut rng, faults);
        world.equip(&mut rng);
        world.remove_leavers(&mut rng, faults);
        world.seasonal(&mut rng, faults);
        world.routine(&mut rng, faults);
        world.misfit_accounts(faults);
        world.issue_tokens(&mut rng);
        world
    }

    /// Manager of a shop.
    pub(super) fn manager(shop: usize) -> i64 {
        1101 + shop as i64
    }

    /// One of the five cashiers of a shop.
    pub(super) fn cashier(shop: usize, k: usize) -> i64 {
        2001 + (shop * 5 + k) as i64
    }

    fn hire(
        &mut self,
        rng: &mut Prng,
        id: i64,
        shop: Option<usize>,
        role: &'static str,
        level: i64,
        by: Option<i64>,
        at: Local,
    ) {
        let (surname, s) = rng.pick(&SURNAMES);
        let (given, g) = rng.pick(&GIVEN);
        let user = User {
            id,
            shop,
            role,
            level,
            name: format!("{surname}{given}"),
            login: format!("{s}.{g}{id}"),
            temporary: false,
            state: 1,
            valid_until: None,
            created: Some(at),
            created_by: by,
            left: None,
            successor: None,
            departed: None,
            employment: Some("active"),
        };
        if let Some(by) = by {
            self.changes.push(Change::new(Act::AccountCreate, by, id, at).with_level(level));
        }
        self.users.insert(id, user);
    }

    fn hire_all(&mut self, rng: &mut Prng) {
        let first = OPENED.plus(8 * HOUR);
        self.hire(rng, OWNER, None, "owner", 1, None, first);
        self.hire(rng, ADMIN, None, "admin", 1, Some(OWNER), first.plus(120));
        let desks: [(&[i64], &str); 3] = [(&FINANCE, "finance"), (&SUPPORT, "support"), (&OPERATIONS, "operator")];
        for (ids, role) in desks {
            for id in ids {
                self.hire(rng, *id, None, role, 2, Some(OWNER), first.plus(300 + (*id - OWNER) * 60));
            }
        }
        for shop in 0..SHOPS {
            let at = first.plus(HOUR + shop as i64 * 60);
            self.hire(rng, Self::manager(shop), Some(shop), "manager", 2, Some(OWNER), at);
            for k in 0..5 {
                // The fifth cashier of every other shop joins later, some inside the window.
                let joined = if k == 4 && shop % 2 == 0 {
                    OPENED.plus((60 + shop as i64 * 8) * DAY + 9 * HOUR)
                } else {
                    at.plus(2 * HOUR + k as i64 * 300)
                };
                let by = self.authority(Self::manager(shop), joined);
                self.hire(rng, Self::cashier(shop, k), Some(shop), "cashier", 3, Some(by), joined);
            }
        }
    }

    /// Who acts for a manager at a time: the administrator once the manager of that one shop has left.
    fn authority(&self, manager: i64, at: Local) -> i64 {
        if manager == Self::manager(LEFT_MANAGER_SHOP) && at >= left_manager_at() { ADMIN } else { manager }
    }

    fn grant(&mut self, user: i64, permission: &'static str, is_money: bool, by: i64, at: Local) -> usize {
        let role = self.users.get(&user).map_or("cashier", |u| u.role);
        let change = Change::new(Act::Grant, by, user, at).about(permission, is_money);
        self.changes.push(if is_money { change.verified() } else { change });
        self.grants.push(Grant { user, role, permission, is_money, at, by, revoked: None, faults: Vec::new() });
        self.grants.len() - 1
    }

    fn grant_all(&mut self, rng: &mut Prng, faults: &FaultSelection) {
        let users: Vec<(i64, &'static str, i64, Local)> =
            self.users.values().filter_map(|u| Some((u.id, u.role, u.created_by?, u.created?))).collect();
        for (id, role, by, at) in users {
            let permissions: &[(&'static str, bool)] = match role {
                "cashier" => &[("pos:collect", true), ("order:view", false)],
                "manager" => &[("shop:manage", false), ("refund:approve", true), ("settle:view", false)],
                "finance" => &[("cash:withdraw", true), ("bill:download", false)],
                "support" => &[("refund:apply", true), ("complaint:handle", false)],
                "operator" => &[("campaign:edit", false)],
                _ => &[("system:config", false), ("account:manage", true)],
            };
            for (i, (permission, is_money)) in permissions.iter().enumerate() {
                self.grant(id, permission, *is_money, by, at.plus(600 + i as i64 * 120 + rng.range(0, 30)));
            }
        }
        // Changes of single rights during the window: a coupon right for the third cashier of some shops.
        for shop in 20..40 {
            let at = WINDOW.plus((shop as i64 - 15) * 3 * DAY + 10 * HOUR + rng.range(0, 3 * HOUR));
            self.grant(Self::cashier(shop, 2), "coupon:issue", true, Self::manager(shop), at);
        }
        if faults.has("PRM-023") {
            for (shop, reason) in [(1, "no-verification"), (2, "first-factor-missing"), (3, "second-factor-missing")] {
                let at = WINDOW.plus((20 + shop as i64) * DAY + 11 * HOUR);
                self.grant(Self::cashier(shop, 2), "refund:apply", true, Self::manager(shop), at);
                if let Some(change) = self.changes.last_mut() {
                    change.verifications = match reason {
                        "no-verification" => Vec::new(),
                        "first-factor-missing" => vec![("face", true, at.plus(-90))],
                        _ => vec![("sms", true, at.plus(-120)), ("face", false, at.plus(-60))],
                    };
                    change.fault("PRM-023", reason);
                }
            }
        }
        if faults.has("LOG-005") {
            let at = WINDOW.plus(30 * DAY + 15 * HOUR);
            let i = self.grant(Self::cashier(7, 2), "stock:adjust", false, Self::manager(7), at);
            self.changes.pop();
            self.grants[i].faults.push(("LOG-005", "grant-unlogged"));
            let i = self.grant(
                Self::cashier(8, 2),
                "stock:adjust",
                false,
                Self::manager(8),
                OPENED.plus(90 * DAY + 9 * HOUR),
            );
            self.grants[i].revoked = Some((at.plus(DAY), Self::manager(8)));
            self.grants[i].faults.push(("LOG-005", "revoke-unlogged"));
        }
        if faults.has("PRM-001") {
            let at = WINDOW.plus(33 * DAY + 16 * HOUR);
            let mut change =
                Change::new(Act::Revoke, Self::manager(5), Self::cashier(5, 2), at).about("stock:adjust", false);
            change.fault("PRM-001", "granter-unknown");
            self.changes.push(change);
            let i = self.grant(
                Self::cashier(6, 2),
                "stock:adjust",
                false,
                Self::manager(6),
                OPENED.plus(91 * DAY + 9 * HOUR),
            );
            self.grants[i].revoked = Some((at.plus(DAY), Self::manager(16)));
            let mut change = Change::new(Act::Revoke, Self::manager(16), Self::cashier(6, 2), at.plus(DAY))
                .about("stock:adjust", false);
            change.fault("PRM-001", "not-granter");
            self.changes.push(change);
        }
    }

    fn equip(&mut self, rng: &mut Prng) {
        for shop in 0..SHOPS {
            let bound = OPENED.plus(10 * HOUR + shop as i64 * 60);
            for (kind, user) in [
                ("pos", Some(Self::cashier(shop, 0))),
                ("scanner", Some(Self::cashier(shop, 3))),
                ("printer", None),
                ("qr_static", None),
            ] {
                let bound = bound.plus(5 * HOUR + rng.range(0, 600));
                self.devices.push(Device {
                    shop,
                    kind,
                    user,
                    bound,
                    unbound: None,
                    state: if user.is_some() { 1 } else { 3 },
                    fault: None,
                });
            }
        }
    }

    fn remove_leavers(&mut self, rng: &mut Prng, faults: &FaultSelection) {
        let manager = Self::manager(LEFT_MANAGER_SHOP);
        if let Some(user) = self.users.get_mut(&manager) {
            user.successor = Some(ADMIN);
        }
        self.remove(rng, manager, left_manager_at(), 2, None);
        for i in 0..CLEAN_LEAVERS {
            let day = if i < 8 { 120 + i as i64 * 38 } else { 458 + (i as i64 - 8) * 9 };
            // One of them worked for the manager who left: the successor removes the account.
            let shop = if i == 13 { LEFT_MANAGER_SHOP } else { i };
            self.remove(
                rng,
                Self::cashier(shop, 3),
                OPENED.plus(day * DAY + 14 * HOUR + i as i64 * 97),
                i as i64 % 5,
                None,
            );
        }
        for (i, (policy, reason)) in LEAVER_FAULTS.iter().enumerate() {
            let shop = CLEAN_LEAVERS + i;
            let at = WINDOW.plus((5 + 2 * i as i64) * DAY + 15 * HOUR + i as i64 * 131);
            let fault = faults.has(policy).then_some((*policy, *reason));
            self.remove(rng, Self::cashier(shop, 3), at, 2, fault);
        }
    }

    /// Removes an account as the rules want it, except for what the fault says. `way`: 0 system, 1 self, 2 administrator,
    /// 3 forced, 4 support.
    fn remove(&mut self, rng: &mut Prng, id: i64, at: Local, way: i64, fault: Option<(&'static str, &'static str)>) {
        let is = |policy: &str, reason: &str| fault == Some((policy, reason));
        let Some(user) = self.users.get(&id).cloned() else { return };
        let shop = user.shop.unwrap_or_default();
        let authority = self.authority(user.created_by.unwrap_or(OWNER), at);
        let way = if is("OFB-002", "campaign-running") { 3 } else { way };
        let operator = match way {
            0 | 4 => ADMIN,
            1 => id,
            _ if is("PRM-001", "not-granter") || is("PRM-001", "order-not-approved") => Self::manager((shop + 9) % 50),
            _ => authority,
        };
        let pending = is("PRM-005", "pending-overdue");
        let mut change = Change::new(Act::AccountRelease, operator, id, at).with_level(user.level).by_way(way);
        change.requested = Some(at.plus(-3 * HOUR));
        if way != 1 && !is("PRM-001", "not-granter") && (operator != authority || rng.permille(500)) {
            change.order(if is("PRM-001", "order-not-approved") { "rejected" } else { "approved" }, at.plus(-2 * HOUR));
        }
        match fault {
            Some(("PRM-005", "late")) => change.requested = Some(at.plus(-31 * HOUR)),
            Some(("PRM-005", "request-time-missing")) => change.requested = None,
            Some(("PRM-005", "pending-overdue")) => change.pending(),
            _ => {}
        }
        if let Some((policy @ ("PRM-005" | "PRM-001"), reason)) = fault {
            change.fault(policy, reason);
        }
        self.changes.push(change);
        if pending {
            return;
        }
        let revoked = at.plus(-120);
        for grant in self.grants.iter_mut().filter(|g| g.user == id && g.revoked.is_none()) {
            grant.revoked = Some((revoked, authority));
            let change = Change::new(Act::Revoke, authority, id, revoked).about(grant.permission, grant.is_money);
            self.changes.push(if grant.is_money { change.verified() } else { change });
        }
        if let Some(user) = self.users.get_mut(&id) {
            user.state = 2;
            user.left = Some(at);
            user.departed = Some(at.midnight());
            user.employment = Some("departed");
        }
        for device in self.devices.iter_mut().filter(|d| d.user == Some(id)) {
            device.unbound = match fault {
                Some(("OFB-005", "still-bound")) => None,
                Some(("OFB-005", "unbound-late")) => Some(at.plus(5 * HOUR)),
                _ => Some(at.plus(-30 * 60)),
            };
            device.state = if device.unbound.is_some() { 2 } else { 1 };
            device.fault = fault.filter(|f| f.0 == "OFB-005").map(|f| f.1);
        }
        let mut departure = Departure {
            user: id,
            removed: at,
            devices: Some(at.plus(-40 * 60)),
            password: Some(at.plus(-20 * 60)),
            funds: Some(at.plus(-10 * 60)),
            faults: Vec::new(),
        };
        if let Some((policy @ ("OFB-003" | "OFB-009"), reason)) = fault {
            departure.faults.push((policy, reason));
            match reason {
                "device-missing" => departure.devices = None,
                "device-late" => departure.devices = Some(at.plus(26 * HOUR)),
                "password-missing" => departure.password = None,
                "password-late" => departure.password = Some(at.plus(2 * HOUR)),
                "funds-missing" => departure.funds = None,
                "funds-late" => departure.funds = Some(at.plus(3 * DAY)),
                _ => {}
            }
        }
        self.departures.push(departure);
        let ghost = Some(Ghost { user: id, removed: at });
        match fault {
            Some(("PRM-021", "login")) => self.ghost_login = ghost,
            Some(("PRM-021", "order")) => self.ghost_order = ghost,
            Some(("PRM-021", "refund")) => self.ghost_refund = ghost,
            Some(("PRM-021", "permission-change")) => {
                let target = Self::cashier(shop, 1);
                let mut change = Change::new(Act::PasswordReset, id, target, at.plus(2 * HOUR)).with_level(3);
                change.staff_fault = Some(("PRM-021", "permission-change"));
                self.changes.push(change);
            }
            Some(("OFB-001", "open-complaint")) => self.open_complaint = ghost,
            Some(("OFB-001", "open-refund")) => self.open_refund = ghost,
            Some(("OFB-002", _)) => self.open_campaign = ghost,
            Some(("PRM-020", _)) => self.leave_tokens(id, at),
            _ => {}
        }
    }

    fn leave_tokens(&mut self, user: i64, removed: Local) {
        let token = |issued: i64, life: i64, revoked: Option<i64>, used: i64, fault| Token {
            user,
            issued: removed.plus(issued),
            expires: Some(removed.plus(life)),
            revoked: revoked.map(|r| removed.plus(r)),
            used: Some(removed.plus(used)),
            fault: Some(fault),
        };
        self.tokens.push(Token { expires: None, ..token(-30 * HOUR, 0, None, -5 * HOUR, "not-revoked") });
        self.tokens.push(token(-20 * HOUR, 52 * HOUR, Some(4 * HOUR), -2 * HOUR, "revoked-late"));
        self.tokens.push(token(-10 * HOUR, 62 * HOUR, Some(40), 20, "used-after"));
        self.tokens.push(token(HOUR, 73 * HOUR, Some(2 * HOUR), HOUR + 60, "issued-after"));
    }

    /// Seasonal cashiers with temporary numbers of eight hours.
    fn seasonal(&mut self, rng: &mut Prng, faults: &FaultSelection) {
        for i in 0..32_i64 {
            let shop = (i as usize * 7) % 57;
            let id = 3001 + i;
            let at = WINDOW.plus((3 + i * 2) * DAY + 9 * HOUR + rng.range(0, 5 * HOUR));
            self.hire(rng, id, Some(shop), "cashier", 3, Some(Self::manager(shop)), at);
            let until = at.plus(8 * HOUR);
            let grant = self.grant(id, "pos:collect", true, Self::manager(shop), at.plus(5 * 60));
            let end = until.plus(-5 * 60);
            self.grants[grant].revoked = Some((end, Self::manager(shop)));
            self.changes
                .push(Change::new(Act::Revoke, Self::manager(shop), id, end).about("pos:collect", true).verified());
            if let Some(user) = self.users.get_mut(&id) {
                user.temporary = true;
                user.state = 3;
                user.valid_until = Some(until);
                user.departed = Some(at.midnight());
                user.employment = Some("departed");
                if faults.has("PRM-010") {
                    match i {
                        4 => user.valid_until = None,
                        9 => user.valid_until = Some(at.plus(8 * HOUR + 60)),
                        14 => user.valid_until = Some(at.plus(3 * DAY)),
                        19 => user.created = None,
                        _ => {}
                    }
                }
            }
        }
    }

    /// Password resets, the everyday changes; some carry the faults of the log itself.
    fn routine(&mut self, rng: &mut Prng, faults: &FaultSelection) {
        for i in 0..70_i64 {
            let shop = (i as usize * 11) % 50;
            let at = if i < 40 {
                WINDOW.plus((1 + i * 2) * DAY + 12 * HOUR + rng.range(0, 4 * HOUR))
            } else {
                OPENED.plus((20 + (i - 40) * 14) * DAY + 12 * HOUR + rng.range(0, 4 * HOUR))
            };
            let mut change =
                Change::new(Act::PasswordReset, Self::manager(shop), Self::cashier(shop, 1), at).with_level(3);
            if i % 10 == 8 {
                change = change.by_way(0);
                change.device = None;
            }
            if faults.has("LOG-001") {
                match i {
                    3 | 13 => change.ip = None,
                    5 | 15 => change.device = None,
                    7 => change.lose_time(),
                    _ => {}
                }
                match i {
                    3 | 13 => change.fault("LOG-001", "ip-missing"),
                    5 | 15 => change.fault("LOG-001", "device-missing"),
                    7 => change.fault("LOG-001", "time-missing"),
                    _ => {}
                }
            }
            if faults.has("LOG-007") {
                match i {
                    20 => change.chain("seq-duplicate"),
                    22 => change.chain("link-broken"),
                    24 => change.chain("hash-mismatch"),
                    26 => change.chain("hash-missing"),
                    _ => {}
                }
            }
            if i == 31 && (faults.has("LOG-007") || faults.has("DAT-002")) {
                change.chain("seq-gap");
            }
            self.changes.push(change);
        }
    }

    /// Active accounts that the employment register does not cover.
    fn misfit_accounts(&mut self, faults: &FaultSelection) {
        if !faults.has("PRM-015") {
            return;
        }
        for (shop, employment, departed) in
            [(9, Some("departed"), Some(WINDOW.plus(40 * DAY))), (10, Some("suspended"), None), (11, None, None)]
        {
            if let Some(user) = self.users.get_mut(&Self::cashier(shop, 2)) {
                user.employment = employment;
                user.departed = departed;
            }
        }
    }

    fn issue_tokens(&mut self, rng: &mut Prng) {
        let users: Vec<(i64, Option<Local>, Option<Local>)> =
            self.users.values().map(|u| (u.id, u.left.or(u.valid_until.filter(|_| u.temporary)), u.created)).collect();
        for (user, left, created) in users {
            let end = left.unwrap_or(AS_OF);
            let renewed = end.plus(-rng.range(2 * HOUR, 7 * HOUR));
            let expires = renewed.plus(72 * HOUR);
            let revoked = left.map(|l| l.plus(5));
            self.tokens.push(Token {
                user,
                issued: renewed,
                expires: Some(expires),
                revoked,
                used: Some(renewed.plus(HOUR)),
                fault: None,
            });
            let before = renewed.plus(-72 * HOUR);
            if created.is_some_and(|c| c < before) {
                let used = Some(before.plus(60 * HOUR));
                self.tokens.push(Token {
                    user,
                    issued: before,
                    expires: Some(renewed.plus(-60)),
                    revoked: None,
                    used,
                    fault: None,
                });
            }
        }
    }

    /// Cashiers of a shop who are surely at work at a time.
    pub(super) fn at_work(&self, shop: usize, at: Local) -> impl Iterator<Item = i64> + '_ {
        (0..5).map(move |k| Self::cashier(shop, k)).filter(move |id| {
            self.users.get(id).is_some_and(|u| {
                u.created.is_some_and(|c| c.plus(VERIFY_AHEAD + 1_200) < at)
                    && u.left.is_none_or(|l| l.plus(-DAY) > at)
                    && u.departed.is_none_or(|d| d.plus(-DAY) > at)
            })
        })
    }
}

fn left_manager_at() -> Local {
    OPENED.plus(430 * DAY + 16 * HOUR)
}
