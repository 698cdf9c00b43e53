//! The trade story: who worked, who bought, what was paid and given back, and what went wrong.
//!
//! Numbers count from 1 in order of time; how they become keys is each system's business. Money is in fen, time is the
//! wall clock in Beijing. Nothing happens at or after [`AS_OF`].

mod people;
mod trade;

use super::Planted;
use crate::progress::Cancel;
use crate::synth::Error;
use crate::synth::local::{AS_OF, Local, WINDOW};

pub(super) use people::{Act, Deed, Person};
pub(super) use trade::{
    Close, Coupon, Customer, GROUP_FEN, GROUP_SIZE, Group, Holding, Order, Platform, Refund, RefundState, Rule,
};

/// Latest time of anything that needs a day to become due.
pub(super) const TAIL: Local = Local::date(2026, 9, 20);

/// Everything that happened.
pub(super) struct Story {
    /// Staff, in order of opening.
    pub(super) people: Vec<Person>,
    /// What staff did, in order of time.
    pub(super) acts: Vec<Act>,
    pub(super) customers: Vec<Customer>,
    pub(super) coupons: Vec<Coupon>,
    pub(super) holdings: Vec<Holding>,
    /// Group-buy offers, one per month; a group that is not complete when its offer ends has failed.
    pub(super) rules: Vec<Rule>,
    pub(super) groups: Vec<Group>,
    pub(super) orders: Vec<Order>,
    /// Messages of customers: who, when, text.
    pub(super) inquiries: Vec<(i64, Local, &'static str)>,
    /// Seed of the story, for what a system adds of its own.
    pub(super) seed: u64,
}

impl Story {
    /// Tells it.
    pub(super) fn tell(seed: u64, orders: u64, planted: Planted<'_>, cancel: &Cancel) -> Result<Self, Error> {
        let (people, mut acts) = people::tell(seed, planted);
        let trade = trade::tell(seed, orders, planted, &people, &mut acts, cancel)?;
        acts.sort_by_key(|a| (a.at, a.deed.rank(), a.who));
        Ok(Self {
            people,
            acts,
            customers: trade.customers,
            coupons: trade.coupons,
            holdings: trade.holdings,
            rules: trade.rules,
            groups: trade.groups,
            orders: trade.orders,
            inquiries: trade.inquiries,
            seed,
        })
    }

    /// A person by number.
    pub(super) fn person(&self, id: i64) -> Option<&Person> {
        self.people.get(usize::try_from(id - 1).ok()?)
    }
}

/// Whether a time lies in the window under audit.
pub(super) fn in_window(at: Local) -> bool {
    at >= WINDOW && at < AS_OF
}
