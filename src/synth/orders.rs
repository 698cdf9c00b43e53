//! The stream of orders: ordinary ones, and among them those that carry a fault.
//!
//! Faults sit at fixed places of the window: every [`PERIOD`]th order, shifted per kind. So a sample of a thousand
//! orders has one of each kind and a larger one has more of them.

use super::Error;
use super::bills::Line;
use super::books::{Books, Move};
use super::local::{AS_OF, DAY, HOUR, Local, WINDOW};
use super::merchant::{DEREG_PROJECT, DORMANT, GOODS, MCHS, MERCHANT, WECHAT_APP, mch_of};
use super::people::{SUPPORT, user_ref};
use super::season;
use super::trade::{Back, Draft, End, Paid, Terms, Trade, out_refund_number, refund_number};
use crate::progress::Cancel;

/// Orders of the window between two faults of one kind.
const PERIOD: u64 = 2_000;
/// Place of the first fault, and distance between kinds.
const FIRST: u64 = 4;
const STEP: u64 = 4;
/// From here on, orders of the window carry refunds in flight instead of other faults.
const TAIL: Local = Local::date(2026, 9, 20);

/// Faults an order can carry.
const KINDS: [(&str, &str); 40] = [
    // First, because a red invoice may still follow for a month.
    ("REC-009", "no-red-invoice"),
    ("REC-009", "invoiced-over"),
    ("REC-009", "invoiced-unpaid"),
    ("TXN-001", "not-refunded"),
    ("TXN-001", "partly-refunded"),
    ("TXN-001", "wrong-route"),
    ("TXN-001", "late"),
    ("TXN-003", "not-refunded"),
    ("TXN-003", "partly-refunded"),
    ("TXN-003", "wrong-route"),
    ("TXN-003", "late"),
    ("TXN-005", "flows-missing"),
    ("TXN-005", "sum-differs"),
    ("TXN-005", "half-paid"),
    ("TXN-006", "after-terminal"),
    ("TXN-006", "rank-back"),
    ("TXN-006", "unknown-transition"),
    ("TXN-007", "weak-evidence"),
    ("TXN-007", "state-missing"),
    ("TXN-007", "state-unmapped"),
    ("TXN-007", "state-not-success"),
    ("TXN-014", "refunded-over"),
    ("TXN-014", "committed-over"),
    ("TXN-018", "several-orders"),
    ("TXN-018", "several-payments"),
    ("REC-004", "amount-differs"),
    ("REC-004", "status-differs"),
    ("REC-005", "refund-amount-differs"),
    ("REC-005", "refund-status-differs"),
    ("FND-007", "day-not-zero"),
    ("TXN-012", "no-local-payment"),
    ("TXN-013", "not-in-bill"),
    ("REC-005", "not-here"),
    ("REC-005", "not-in-bill"),
    ("REC-006", "fee-differs"),
    ("REC-010", "other-day"),
    ("REC-011", "booked-again"),
    ("REC-008", "orders-payments"),
    ("REC-008", "payments-flows"),
    ("REC-008", "payments-ledger"),
];
const FAULTS_END: u64 = FIRST + STEP * KINDS.len() as u64;

const GHOST_ORDER: u8 = 1;
const GHOST_REFUND: u8 = 2;
const OPEN_REFUND: u8 = 4;

impl Trade<'_> {
    /// Trades from the opening to the day before the data is judged.
    pub(super) fn run(mut self, orders: u64, cancel: &Cancel) -> Result<Books, Error> {
        for (day, count) in season::days(orders) {
            cancel.check()?;
            for at in season::times(day, count, &mut self.rng) {
                self.next_order(at)?;
            }
            if day == Local::date(2026, 8, 15) && self.faults.has("DAT-002") {
                self.foreign_payment(day);
            }
            self.books.end_day(day, self.sink, self.faults, self.truth)?;
        }
        self.finish()
    }

    /// A payment in a bill of which the database knows nothing, on a number that does not trade.
    fn foreign_payment(&mut self, day: Local) {
        let line = self.foreign_line(day, 1, None);
        self.truth.add("TXN-012", &line.channel_no, "no-local-payment");
        self.books.at(day.plus(13 * HOUR), Move::Foreign { mch: DORMANT, line });
        self.truth.add("DAT-002", format!("wechat/{}/{}", MCHS[DORMANT].no, day.date_text()), "no-payments");
    }

    /// A line that only the platform knows: a payment, or a refund of one of ours.
    fn foreign_line(&self, day: Local, number: i64, refund_of: Option<&Paid>) -> Line {
        let date = day.compact_date();
        let refund =
            refund_of.map(|_| (format!("XR{date}{number:010}"), format!("5030009999{date}{number:010}"), "SUCCESS"));
        Line {
            app: WECHAT_APP,
            out_trade_no: refund_of.map_or_else(|| format!("X{date}{number:010}"), |p| p.out_trade_no.clone()),
            channel_no: refund_of.map_or_else(|| format!("4200009999{date}{number:010}"), |p| p.channel_no.clone()),
            payer: self.openid(1),
            kind: "NATIVE",
            goods: GOODS[0].0,
            refund,
            printed: if refund_of.is_some() { 1_200 } else { 8_800 },
            is_needed: true,
        }
    }

    fn next_order(&mut self, at: Local) -> Result<(), Error> {
        if at < WINDOW {
            return self.ordinary(at);
        }
        if self.ghost(at)? {
            return Ok(());
        }
        if at >= TAIL {
            self.in_tail += 1;
            let flying = match self.in_tail % 400 {
                2 => Some(0),
                4 => Some(1),
                6 => Some(2),
                _ => None,
            };
            return match flying.filter(|_| self.faults.has("FND-004")) {
                Some(state) => self.refund_in_flight(at, state),
                None => self.ordinary(at),
            };
        }
        let place = self.in_window % PERIOD;
        self.in_window += 1;
        if (FIRST..FAULTS_END).contains(&place) && (place - FIRST).is_multiple_of(STEP) {
            let (policy, reason) = KINDS[((place - FIRST) / STEP) as usize];
            if self.faults.has(policy) {
                return self.faulty(at, policy, reason);
            }
        }
        self.ordinary(at)
    }

    /// An order as most are.
    fn ordinary(&mut self, at: Local) -> Result<(), Error> {
        let mut draft = self.draft(at);
        let has_time = at.plus(5 * DAY) < AS_OF;
        if !draft.is_counter && self.rng.permille(60) {
            return self.unpaid(&draft);
        }
        if draft.kind == 3
            && let Some(expires) = self.join_group(&mut draft)?
        {
            return self.failed_group(&draft, expires);
        }
        if draft.kind == 1 && draft.platform <= 3 && has_time {
            match self.rng.below(1_000) {
                0..2 => return self.duplicate(&draft, None),
                2..4 => return self.late_payment(&draft, None),
                _ => {}
            }
        }
        let delay = if draft.is_counter { self.rng.range(2, 20) } else { self.rng.range(6, 400) };
        let is_combined = draft.platform <= 2 && draft.kind == 1 && self.rng.permille(50);
        let mut terms = Terms { notified_after: self.rng.range(1, 6), ..Terms::default() };
        if is_combined {
            terms.voucher = 500;
        }
        terms.retried = draft.platform <= 3 && self.rng.permille(25);
        if self.rng.permille(8) {
            terms.notified_after = self.rng.range(60, 1_500);
        }
        let may_refund = has_time && !is_combined && draft.kind != 5 && draft.kind != 3;
        let refund = if may_refund { self.rng.below(1_000) } else { 1_000 };
        let amount = match refund {
            0..25 => draft.payable,
            25..40 => draft.payable / 3,
            _ => 0,
        };
        terms.refunded = amount;
        let paid = self.pay(&draft, at.plus(2), at.plus(delay), &terms)?;
        let mut end = End {
            state: 3,
            paid: draft.payable,
            refunded: amount,
            paid_at: Some(paid.at),
            closed_at: None,
            close_type: None,
        };
        if amount > 0 {
            let operator = self.support();
            let requested = paid.at.plus(self.rng.range(HOUR, 2 * DAY));
            let seconds = self.rng.range(90, 3 * HOUR);
            let mut back = Back::original(amount, requested, seconds, operator);
            if draft.platform > 4 {
                back.route = 3;
            }
            self.refund(&draft, &paid, &back)?;
            end.state = if amount == draft.payable { 6 } else { 7 };
            end.closed_at = back.succeeded;
            end.close_type = Some(4).filter(|_| end.state == 6);
        }
        if draft.kind == 5 {
            self.top_up(&draft, &paid)?;
        }
        self.close(&draft, end)
    }

    fn unpaid(&mut self, draft: &Draft) -> Result<(), Error> {
        let closed = Some(draft.at.plus(15 * 60));
        self.close(draft, End { state: 4, paid: 0, refunded: 0, paid_at: None, closed_at: closed, close_type: Some(1) })
    }

    fn failed_group(&mut self, draft: &Draft, expires: Local) -> Result<(), Error> {
        let terms = Terms { refunded: draft.payable, ..Terms::default() };
        let paid = self.pay(draft, draft.at.plus(2), draft.at.plus(30), &terms)?;
        let mut back = Back::original(draft.payable, expires.plus(60), 600, SUPPORT[0]);
        back.reason = "拼团未成团,自动退款";
        self.refund(draft, &paid, &back)?;
        let closed = Some(expires.plus(61));
        self.close(
            draft,
            End {
                state: 8,
                paid: draft.payable,
                refunded: draft.payable,
                paid_at: Some(paid.at),
                closed_at: closed,
                close_type: Some(5),
            },
        )
    }

    /// A customer paid twice; the second payment goes back as it came, unless a fault says otherwise.
    fn duplicate(&mut self, draft: &Draft, fault: Option<&'static str>) -> Result<(), Error> {
        let at = draft.at;
        let first = self.pay(draft, at.plus(2), at.plus(30), &Terms::default())?;
        let back = match fault {
            None => draft.payable,
            Some("partly-refunded") => draft.payable / 2,
            Some("not-refunded" | "wrong-route") => 0,
            Some(_) => draft.payable,
        };
        let second =
            self.pay(draft, at.plus(50), at.plus(75), &Terms { attempt: 1, refunded: back, ..Terms::default() })?;
        self.return_money(draft, &second, second.at, fault)?;
        if let Some(reason) = fault {
            self.truth.add("TXN-001", format!("o{}", draft.id), reason);
        }
        self.close(draft, done(draft, &first))
    }

    /// The money of a payment that must not stay: back by the original route within hours, or as the fault says.
    fn return_money(
        &mut self,
        draft: &Draft,
        paid: &Paid,
        from: Local,
        fault: Option<&'static str>,
    ) -> Result<(), Error> {
        let operator = self.support();
        let back = match fault {
            None => Back::original(paid.amount, from.plus(HOUR), 900, operator),
            Some("partly-refunded") => Back::original(paid.amount / 2, from.plus(HOUR), 900, operator),
            Some("late") => Back::original(paid.amount, from.plus(30 * HOUR), 900, operator),
            Some("wrong-route") => Back { route: 3, ..Back::original(paid.amount, from.plus(HOUR), 900, operator) },
            Some(_) => return Ok(()),
        };
        self.refund(draft, paid, &back).map(|_| ())
    }

    /// The order had closed when the payment arrived.
    fn late_payment(&mut self, draft: &Draft, fault: Option<&'static str>) -> Result<(), Error> {
        let (at, amount) = (draft.at, draft.payable);
        let closed = at.plus(15 * 60);
        let refunded = match fault {
            Some("not-refunded" | "wrong-route") => 0,
            Some("partly-refunded") => amount / 2,
            _ => amount,
        };
        let paid = self.pay(draft, at.plus(2), closed.plus(9), &Terms { refunded, ..Terms::default() })?;
        self.return_money(draft, &paid, paid.at, fault)?;
        if let Some(reason) = fault {
            self.truth.add("TXN-003", format!("p{}", paid.id), reason);
        }
        self.close(
            draft,
            End {
                state: 4,
                paid: amount,
                refunded,
                paid_at: Some(paid.at),
                closed_at: Some(closed),
                close_type: Some(1),
            },
        )
    }

    /// A refund that is still open when the data is judged. `state`: 0 requested, 1 approved, 2 processing.
    fn refund_in_flight(&mut self, at: Local, state: i64) -> Result<(), Error> {
        let draft = self.plain_draft(at);
        let paid = self.pay(&draft, at.plus(2), at.plus(40), &Terms::default())?;
        let operator = self.support();
        let requested = AS_OF.plus(-6 * HOUR).max(paid.at.plus(60));
        let back = Back {
            state,
            accepted: (state == 2).then(|| requested.plus(60)),
            succeeded: None,
            ..Back::original(draft.payable, requested, 0, operator)
        };
        let refund = self.refund(&draft, &paid, &back)?;
        self.truth.add("FND-004", format!("{DEREG_PROJECT}/{refund}"), "in-flight");
        self.close(&draft, End { state: 5, ..done(&draft, &paid) })
    }

    /// Orders that removed people still touch. True when this order was one of them.
    fn ghost(&mut self, at: Local) -> Result<bool, Error> {
        let world = self.world;
        if let Some(ghost) =
            world.ghost_order.filter(|g| self.ghosts_done & GHOST_ORDER == 0 && at > g.removed.plus(HOUR))
        {
            self.ghosts_done |= GHOST_ORDER;
            let mut draft = self.plain_draft(at);
            draft.kind = 2;
            draft.is_counter = true;
            draft.cashier = Some(ghost.user);
            let paid = self.pay(&draft, at.plus(2), at.plus(9), &Terms::default())?;
            self.close(&draft, done(&draft, &paid))?;
            return Ok(true);
        }
        if let Some(ghost) =
            world.ghost_refund.filter(|g| self.ghosts_done & GHOST_REFUND == 0 && at > g.removed.plus(HOUR))
        {
            self.ghosts_done |= GHOST_REFUND;
            self.refunded_by(at, ghost.user, at.plus(HOUR), 900)?;
            return Ok(true);
        }
        // Asked for before the removal, finished after it; the order lies up to some days before.
        if let Some(ghost) = world.open_refund.filter(|g| {
            self.ghosts_done & OPEN_REFUND == 0 && at > g.removed.plus(-12 * DAY) && at < g.removed.plus(-3 * HOUR)
        }) {
            self.ghosts_done |= OPEN_REFUND;
            let refund = self.refunded_by(at, ghost.user, ghost.removed.plus(-HOUR), 20 * HOUR)?;
            if let Some(change) = self.removals.get(&ghost.user) {
                self.truth.add("OFB-001", format!("{change}/{refund}"), "open-refund");
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn refunded_by(&mut self, at: Local, operator: i64, requested: Local, seconds: i64) -> Result<String, Error> {
        let draft = self.plain_draft(at);
        let paid = self.pay(&draft, at.plus(2), at.plus(30), &Terms { refunded: draft.payable, ..Terms::default() })?;
        let back = Back::original(draft.payable, requested, seconds, operator);
        let refund = self.refund(&draft, &paid, &back)?;
        self.close(&draft, refunded(&draft, &paid, &back))?;
        Ok(refund)
    }

    /// Lists the findings about removed people who still acted; their subject is the person.
    pub(super) fn ghost_findings(&mut self, staff_token: &dyn Fn(&str) -> String) {
        for (ghost, reason) in
            [(self.world.ghost_order, "order"), (self.world.ghost_refund, "refund"), (self.world.ghost_login, "login")]
        {
            if let Some(ghost) = ghost {
                self.truth.add("PRM-021", staff_token(&user_ref(ghost.user)), reason);
            }
        }
    }

    fn faulty(&mut self, at: Local, policy: &'static str, reason: &'static str) -> Result<(), Error> {
        let draft = self.plain_draft(at);
        match policy {
            "TXN-001" => return self.duplicate(&draft, Some(reason)),
            "TXN-003" => return self.late_payment(&draft, Some(reason)),
            "TXN-005" => return self.badly_combined(&draft, reason),
            "TXN-014" => return self.over_refunded(&draft, reason),
            "TXN-018" => return self.number_reused(draft, reason),
            "REC-004" | "REC-005" | "REC-006" | "TXN-012" => return self.bill_differs(&draft, policy, reason),
            "REC-010" | "TXN-013" => return self.bill_lacks(draft, policy, reason),
            "REC-008" => return self.lost_between(&draft, reason),
            "REC-009" => return self.badly_invoiced(draft, reason),
            "REC-011" => return self.booked_twice(draft),
            _ => {}
        }
        let terms = match (policy, reason) {
            ("TXN-007", _) | (_, "rank-back") => Terms { event: Some(reason), ..Terms::default() },
            ("FND-007", _) => Terms { is_stuck: true, ..Terms::default() },
            (_, "after-terminal") => Terms { refunded: draft.payable, ..Terms::default() },
            _ => Terms::default(),
        };
        let paid = self.pay(&draft, at.plus(2), at.plus(60), &terms)?;
        match (policy, reason) {
            ("FND-007", _) => {
                let no = MCHS[mch_of(1, draft.shop)].no;
                self.truth.add("FND-007", format!("{no}/{}", paid.at.date_text()), "day-not-zero");
                self.truth.add("FND-007", format!("{DEREG_PROJECT}/{no}"), "total-not-zero");
            }
            (_, "after-terminal") => {
                let operator = self.support();
                let back = Back::original(draft.payable, at.plus(3 * HOUR), 600, operator);
                let refund = self.refund(&draft, &paid, &back)?;
                let number: i64 = refund.trim_start_matches('r').parse().unwrap_or_default();
                let object = (3, number, draft.id);
                let requested = back.requested;
                self.event(object, 1, requested.plus(60), "R_APPLY", "R_DOING", "system", None)?;
                self.event(object, 2, requested.plus(600), "R_DOING", "R_OK", "notify", None)?;
                let event = self.event(object, 3, requested.plus(900), "R_OK", "R_DOING", "query", None)?;
                self.truth.add("TXN-006", event, "after-terminal");
                return self.close(&draft, refunded(&draft, &paid, &back));
            }
            (_, "unknown-transition") => {
                // A permission request that went from asked to given up without failing in between.
                let object = (4, draft.id, draft.id);
                let event = self.event(object, 1, at.plus(300), "P_ASKED", "P_DROPPED", "system", None)?;
                self.truth.add("TXN-006", event, "unknown-transition");
            }
            _ => {}
        }
        self.close(&draft, done(&draft, &paid))
    }

    fn badly_combined(&mut self, draft: &Draft, reason: &'static str) -> Result<(), Error> {
        let terms = match reason {
            "flows-missing" => Terms { one_flow: true, ..Terms::default() },
            "sum-differs" => Terms { voucher: 500, voucher_off: 100, ..Terms::default() },
            _ => Terms { voucher: 500, state: Some(5), ..Terms::default() },
        };
        let paid = self.pay(draft, draft.at.plus(2), draft.at.plus(60), &terms)?;
        self.truth.add("TXN-005", format!("p{}", paid.id), reason);
        if reason == "half-paid" { self.unpaid(draft) } else { self.close(draft, done(draft, &paid)) }
    }

    fn over_refunded(&mut self, draft: &Draft, reason: &'static str) -> Result<(), Error> {
        let paid = self.pay(
            draft,
            draft.at.plus(2),
            draft.at.plus(60),
            &Terms { refunded: draft.payable, ..Terms::default() },
        )?;
        let operator = self.support();
        let first = Back::original(draft.payable, draft.at.plus(5 * HOUR), 600, operator);
        self.refund(draft, &paid, &first)?;
        let mut second = Back::original(500, draft.at.plus(26 * HOUR), 600, operator);
        if reason == "committed-over" {
            second.state = 2;
            second.succeeded = None;
        }
        let refund = self.refund(draft, &paid, &second)?;
        self.truth.add("TXN-014", format!("p{}", paid.id), reason);
        if reason == "committed-over" {
            // Still in flight, so it also stands in the way of closing.
            self.truth.add("FND-004", format!("{DEREG_PROJECT}/{refund}"), "in-flight");
        }
        self.close(draft, refunded(draft, &paid, &first))
    }

    fn number_reused(&mut self, draft: Draft, reason: &'static str) -> Result<(), Error> {
        let number = format!("DUP{:010}", draft.id);
        let terms = Terms { out_trade_no: Some(number.clone()), ..Terms::default() };
        let no = MCHS[mch_of(1, draft.shop)].no;
        self.truth.add("TXN-018", format!("{no}/{number}"), reason);
        let mut draft = draft;
        if reason == "several-payments" {
            let failed = Terms { state: Some(3), ..terms.clone() };
            self.pay(&draft, draft.at.plus(2), draft.at.plus(20), &failed)?;
        } else {
            let paid = self.pay(&draft, draft.at.plus(2), draft.at.plus(20), &terms)?;
            self.close(&draft, done(&draft, &paid))?;
            let shop = draft.shop;
            draft = self.plain_draft(draft.at.plus(30));
            draft.shop = shop;
        }
        let paid = self.pay(&draft, draft.at.plus(40), draft.at.plus(60), &terms)?;
        self.close(&draft, done(&draft, &paid))
    }

    /// The platform's line says something else than our record, or stands alone.
    fn bill_differs(&mut self, draft: &Draft, policy: &'static str, reason: &'static str) -> Result<(), Error> {
        let at = draft.at;
        match reason {
            "amount-differs" | "fee-differs" => {
                let terms = match reason {
                    "amount-differs" => Terms { printed_off: -100, is_needed: true, ..Terms::default() },
                    _ => Terms { fee_off: 50, is_needed: true, ..Terms::default() },
                };
                let paid = self.pay(draft, at.plus(2), at.plus(60), &terms)?;
                self.truth.add(policy, &paid.channel_no, reason);
                self.close(draft, done(draft, &paid))
            }
            "no-local-payment" | "not-here" => {
                let needed = Terms { is_needed: true, ..Terms::default() };
                let paid = self.pay(draft, at.plus(2), at.plus(60), &needed)?;
                let line = self.foreign_line(at, draft.id, Some(&paid).filter(|_| reason == "not-here"));
                let subject = line.refund.as_ref().map_or(&line.channel_no, |(_, theirs, _)| theirs);
                self.truth.add(policy, subject, reason);
                self.books.at(paid.at.plus(90), Move::Foreign { mch: mch_of(1, draft.shop), line });
                self.close(draft, done(draft, &paid))
            }
            "not-in-bill" => {
                let terms = Terms { refunded: 500, is_needed: true, ..Terms::default() };
                let paid = self.pay(draft, at.plus(2), at.plus(60), &terms)?;
                let operator = self.support();
                // The same day, so that the bill of the payment is the one that lacks it.
                let back = Back { is_unlisted: true, ..Back::original(500, paid.at.plus(30), 90, operator) };
                let refund = self.refund(draft, &paid, &back)?;
                let number = refund.trim_start_matches('r').parse::<i64>().unwrap_or_default();
                let accepted = back.accepted.unwrap_or(back.requested);
                let ours = out_refund_number(back.requested, number);
                self.truth.add(policy, refund_number(paid.platform, accepted, number, &ours), reason);
                let end = End { state: 7, refunded: 500, closed_at: back.succeeded, ..done(draft, &paid) };
                self.close(draft, end)
            }
            "status-differs" => {
                // Paid at the platform, still waiting here; the customer then paid again.
                let lost = Terms { state: Some(1), event: Some("status-differs"), is_needed: true, ..Terms::default() };
                let waiting = self.pay(draft, at.plus(2), at.plus(60), &lost)?;
                self.truth.add(policy, &waiting.channel_no, reason);
                let paid = self.pay(draft, at.plus(90), at.plus(120), &Terms { attempt: 1, ..Terms::default() })?;
                self.close(draft, done(draft, &paid))
            }
            _ => {
                let is_failed = reason == "refund-status-differs";
                let back_amount = if is_failed { 0 } else { draft.payable };
                let paid =
                    self.pay(draft, at.plus(2), at.plus(60), &Terms { refunded: back_amount, ..Terms::default() })?;
                let operator = self.support();
                let mut back = Back::original(draft.payable, at.plus(4 * HOUR), 600, operator);
                back.printed_state = Some("SUCCESS");
                if is_failed {
                    back.state = 4;
                    back.succeeded = None;
                } else {
                    back.printed_off = -100;
                }
                let refund = self.refund(draft, &paid, &back)?;
                let number = refund.trim_start_matches('r').parse::<i64>().unwrap_or_default();
                let accepted = back.accepted.unwrap_or(back.requested);
                let ours = out_refund_number(back.requested, number);
                self.truth.add(policy, refund_number(paid.platform, accepted, number, &ours), reason);
                let end = if is_failed { done(draft, &paid) } else { refunded(draft, &paid, &back) };
                self.close(draft, end)
            }
        }
    }
}

impl Trade<'_> {
    /// A payment whose line is missing from the day's bill, or stands in the next day's. Payments as they should be
    /// stand beside it, so that both days have a bill.
    fn bill_lacks(&mut self, draft: Draft, policy: &'static str, reason: &'static str) -> Result<(), Error> {
        let shop = draft.shop;
        let needed = Terms { is_needed: true, ..Terms::default() };
        let terms = match reason {
            "not-in-bill" => Terms { is_unlisted: true, ..Terms::default() },
            _ => Terms { booked_after: DAY, is_needed: true, ..Terms::default() },
        };
        let days = if reason == "not-in-bill" { 1 } else { 2 };
        let at = draft.at;
        let mut beside = Some(draft);
        for day in 0..days {
            let mut usual = match beside.take() {
                Some(draft) => draft,
                None => self.plain_draft(at.plus(day * DAY)),
            };
            usual.shop = shop;
            let paid = self.pay(&usual, usual.at.plus(2), usual.at.plus(60), &needed)?;
            self.close(&usual, done(&usual, &paid))?;
        }
        let mut odd = self.plain_draft(at.plus(30));
        odd.shop = shop;
        let paid = self.pay(&odd, odd.at.plus(2), odd.at.plus(40), &terms)?;
        self.truth.add(policy, &paid.channel_no, reason);
        self.close(&odd, done(&odd, &paid))
    }

    /// A payment that one part of the shop knows and another does not.
    fn lost_between(&mut self, draft: &Draft, reason: &'static str) -> Result<(), Error> {
        let terms = match reason {
            "payments-flows" => Terms { no_flow: true, ..Terms::default() },
            "payments-ledger" => Terms { booked_off: 100, ..Terms::default() },
            _ => Terms::default(),
        };
        let paid = self.pay(draft, draft.at.plus(2), draft.at.plus(60), &terms)?;
        let day = paid.at.date_text();
        if reason == "orders-payments" {
            // The notification reached the payment, but the order never heard of it.
            self.truth.add("REC-008", format!("{MERCHANT}/{day}"), reason);
            let waiting = End { state: 0, paid: 0, refunded: 0, paid_at: None, closed_at: None, close_type: None };
            return self.close(draft, waiting);
        }
        self.truth.add("REC-008", format!("wechat/{}/{day}", MCHS[mch_of(1, draft.shop)].no), reason);
        self.close(draft, done(draft, &paid))
    }

    /// An order whose invoices say more than the customer paid and kept.
    fn badly_invoiced(&mut self, draft: Draft, reason: &'static str) -> Result<(), Error> {
        let draft = &Draft { is_invoiced: true, ..draft };
        let (requested, issued) = (draft.at.plus(HOUR), draft.at.plus(DAY));
        let back = Back::original(draft.payable, draft.at.plus(2 * DAY), 600, SUPPORT[0]);
        let (amount, last) = match reason {
            "no-red-invoice" => (draft.payable, back.succeeded.unwrap_or(issued)),
            "invoiced-over" => (draft.payable + 100, issued),
            _ => (draft.payable, issued),
        };
        // A red invoice may still follow for a month.
        if last.midnight().plus(30 * DAY) < AS_OF {
            self.truth.add("REC-009", format!("o{}", draft.id), reason);
        }
        self.write_invoice(draft, amount, None, requested, issued)?;
        if reason == "invoiced-unpaid" {
            return self.unpaid(draft);
        }
        let refunded_fen = if reason == "no-red-invoice" { draft.payable } else { 0 };
        let terms = Terms { refunded: refunded_fen, ..Terms::default() };
        let paid = self.pay(draft, draft.at.plus(2), draft.at.plus(60), &terms)?;
        if refunded_fen == 0 {
            return self.close(draft, done(draft, &paid));
        }
        self.refund(draft, &paid, &back)?;
        self.close(draft, refunded(draft, &paid, &back))
    }

    /// A top-up whose gift is booked twice.
    fn booked_twice(&mut self, mut draft: Draft) -> Result<(), Error> {
        draft.kind = 5;
        draft.goods = 10_000;
        draft.payable = 10_000;
        let paid = self.pay(&draft, draft.at.plus(2), draft.at.plus(60), &Terms::default())?;
        let (gift, about) = self.top_up(&draft, &paid)?;
        self.member_moves(draft.member, gift, paid.at.plus(40), "bonus", ("recharge", about), true);
        self.close(&draft, done(&draft, &paid))
    }
}

/// An order that was paid and delivered.
fn done(draft: &Draft, paid: &Paid) -> End {
    End { state: 3, paid: draft.payable, refunded: 0, paid_at: Some(paid.at), closed_at: None, close_type: None }
}

/// An order that was paid and given back in full.
fn refunded(draft: &Draft, paid: &Paid, back: &Back) -> End {
    let closed_at = back.succeeded.or(back.accepted);
    End {
        state: 6,
        paid: draft.payable,
        refunded: draft.payable,
        paid_at: Some(paid.at),
        closed_at,
        close_type: Some(4),
    }
}
