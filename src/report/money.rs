//! Each fen once: from the balance the platforms hold to what is the merchant's own.
//!
//! Five buckets, and every fen stands in exactly one: in transit, owed to customers, in refund, unsettled, available.
//!
//! - What a platform holds for a merchant number is transit + unsettled + available. Where the platform's own accounts
//!   (basic, operation, fee, margin, unsettled) were observed they are used, and the merchant's own ledger accounts for
//!   the same number (pending, available) are a second view of the same money and are left out.
//! - Refunds in flight are taken out of available, then unsettled, then transit, of the same number.
//! - Stored value owed to customers is not held per number; it is earmarked over all numbers together, in that order.
//!   The ledger's accounts of customers are used only where no balance of that kind was observed at all.
//! - What refunds and stored value exceed is the shortfall: money that must come from elsewhere. It is part of the
//!   headline, because it is owed, and is shown by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::facts::{BalanceFact, Facts};
use crate::model::Bilingual;

/// The money page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Money {
    /// Whether any balance or ledger line was sealed at all.
    pub is_known: bool,
    /// Sum of the five buckets.
    pub at_risk_fen: i64,
    /// In transit: paid by the customer, not yet booked to the merchant.
    pub transit_fen: i64,
    /// Stored value and gift cards of customers, commissions of promoters.
    pub owed_fen: i64,
    /// Refunds not yet final.
    pub in_refund_fen: i64,
    /// Booked, not yet settled, less what is earmarked.
    pub unsettled_fen: i64,
    /// On accounts of the merchant, less what is earmarked.
    pub available_fen: i64,
    /// What refunds and stored value exceed the platform balances by.
    pub shortfall_fen: i64,
    /// What all platforms hold.
    pub platform_fen: i64,
    /// The merchant's own.
    pub own_fen: i64,
    /// One row per merchant number.
    pub mchs: Vec<MchMoney>,
    /// From platform balance to the merchant's own, in printing order; adds up.
    pub bridge: Vec<BridgeLine>,
    /// Frozen by platforms as observed; contained in the figures above, not added.
    pub frozen_fen: i64,
    /// Withdrawals under way: left the platform balance or not, depending on the platform; not added.
    pub withdrawing_fen: i64,
    /// Platform freezes a staff removal might cause according to the seed documents; no public rule supports them.
    pub modelled_freezes: Vec<ModelledFreeze>,
    /// Latest day a balance was observed.
    pub observed_on: Option<String>,
    /// Merchant accounts whose amount was not obtained; the sums are lower bounds when there are any.
    pub unknown_accounts: u64,
    /// Open merchant numbers of which no balance was observed.
    pub unobserved: Vec<String>,
    /// Accounts whose kind has no place in the buckets, with what they hold; not added.
    pub aside: Vec<AsideLine>,
}

/// One merchant number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MchMoney {
    /// Platform word; empty when unknown.
    pub platform: String,
    /// Merchant number; `None` for money not tied to one.
    pub mch_id: Option<String>,
    /// What the platform holds.
    pub platform_fen: i64,
    /// In transit.
    pub transit_fen: i64,
    /// Unsettled.
    pub unsettled_fen: i64,
    /// Refunds in flight, as far as this number's balance covers them.
    pub in_refund_fen: i64,
    /// Available before the earmark for stored value.
    pub available_fen: i64,
    /// Refunds in flight beyond the number's balance.
    pub shortfall_fen: i64,
    /// Number of refunds in flight.
    pub refunds: u64,
    /// Frozen as observed, contained in the above.
    pub frozen_fen: i64,
    /// Withdrawals under way.
    pub withdrawing_fen: i64,
    /// Latest observation.
    pub observed_on: Option<String>,
    /// Accounts whose amount was not obtained.
    pub unknown_accounts: u64,
    /// Last day covered by a bill of this number.
    pub bills_to: Option<String>,
}

/// One line of the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BridgeLine {
    /// Closed code.
    pub code: &'static str,
    /// What it is.
    pub text: Bilingual,
    /// Signed amount.
    pub amount_fen: i64,
    /// Result line rather than a step.
    pub is_total: bool,
}

/// A freeze that a seed document describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelledFreeze {
    /// Platform word.
    pub platform: String,
    /// How the model counts.
    pub text: Bilingual,
    /// Amount; `None` when the data does not give it.
    pub amount_fen: Option<i64>,
}

/// Money that is none of the five.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AsideLine {
    /// Account kind.
    pub kind: String,
    /// Amount.
    pub amount_fen: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Transit,
    Unsettled,
    Available,
    Owed,
    Aside,
}

fn bucket(kind: &str) -> Bucket {
    match kind {
        "gateway_transit" | "suspense" => Bucket::Transit,
        "unsettled" | "merchant_pending" => Bucket::Unsettled,
        "basic" | "operation" | "fee" | "margin" | "merchant_available" => Bucket::Available,
        "customer_balance" | "gift_card_liability" | "promoter_commission" => Bucket::Owed,
        _ => Bucket::Aside,
    }
}

fn is_platform_view(kind: &str) -> bool {
    matches!(kind, "basic" | "operation" | "fee" | "margin" | "unsettled")
}

fn is_ledger_view(kind: &str) -> bool {
    matches!(kind, "merchant_pending" | "merchant_available")
}

type Key = (String, Option<String>);

/// Counts every fen once.
pub(super) fn money(facts: &Facts) -> Money {
    let key = |b: &BalanceFact| (b.platform.clone().unwrap_or_default(), b.mch_id.clone());
    let observed_by_platform: BTreeSet<Key> =
        facts.balances.iter().filter(|b| is_platform_view(&b.kind)).map(key).collect();
    let observed: BTreeSet<(Key, &str)> = facts.balances.iter().map(|b| (key(b), b.kind.as_str())).collect();
    let owed_kinds: BTreeSet<&str> =
        facts.balances.iter().map(|b| b.kind.as_str()).filter(|k| bucket(k) == Bucket::Owed).collect();
    let ledger = facts
        .ledger
        .iter()
        .filter(|b| !observed.contains(&(key(b), b.kind.as_str())) && !owed_kinds.contains(b.kind.as_str()));

    let mut rows: BTreeMap<Key, MchMoney> = BTreeMap::new();
    let mut owed: i128 = 0;
    let mut aside: BTreeMap<String, i64> = BTreeMap::new();
    let mut observed_on: Option<String> = None;
    for b in facts.balances.iter().chain(ledger) {
        if is_ledger_view(&b.kind) && observed_by_platform.contains(&key(b)) {
            continue;
        }
        let amount = b.available_fen.saturating_add(b.frozen_fen);
        observed_on = observed_on.max(b.observed_on.clone());
        match bucket(&b.kind) {
            Bucket::Owed => owed += i128::from(amount),
            Bucket::Aside => {
                let line = aside.entry(b.kind.clone()).or_default();
                *line = line.saturating_add(amount);
            }
            place => {
                let row = rows.entry(key(b)).or_default();
                let target = match place {
                    Bucket::Transit => &mut row.transit_fen,
                    Bucket::Unsettled => &mut row.unsettled_fen,
                    _ => &mut row.available_fen,
                };
                *target = target.saturating_add(amount);
                row.frozen_fen = row.frozen_fen.saturating_add(b.frozen_fen);
                row.unknown_accounts += b.unknown;
                row.observed_on = row.observed_on.take().max(b.observed_on.clone());
            }
        }
    }
    for m in &facts.mchs {
        rows.entry((m.platform.clone(), Some(m.mch_id.clone()))).or_default();
    }
    for w in &facts.withdrawals {
        let row = rows.entry((w.platform.clone().unwrap_or_default(), w.mch_id.clone())).or_default();
        row.withdrawing_fen = row.withdrawing_fen.saturating_add(w.amount_fen);
    }
    let mut refunds: BTreeMap<Key, (u64, i64)> = BTreeMap::new();
    for r in &facts.refunds_in_flight {
        let entry = refunds.entry((r.platform.clone().unwrap_or_default(), r.mch_id.clone())).or_default();
        entry.0 += r.refunds;
        entry.1 = entry.1.saturating_add(r.amount_fen);
    }
    let with_balance: BTreeSet<&str> = facts.balances.iter().filter_map(|b| b.mch_id.as_deref()).collect();
    let unobserved = facts
        .mchs
        .iter()
        .filter(|m| m.closed_on.is_none() && !with_balance.contains(m.mch_id.as_str()))
        .map(|m| m.mch_id.clone())
        .collect();
    for key in refunds.keys() {
        rows.entry(key.clone()).or_default();
    }
    let mut out = Money {
        is_known: !facts.balances.is_empty() || !facts.ledger.is_empty(),
        observed_on,
        unobserved,
        ..Money::default()
    };
    for (key, mut row) in rows {
        let (count, in_refund) = refunds.get(&key).copied().unwrap_or_default();
        (row.platform, row.mch_id) = key;
        row.platform_fen = row.transit_fen.saturating_add(row.unsettled_fen).saturating_add(row.available_fen);
        row.refunds = count;
        row.bills_to = facts
            .bills
            .iter()
            .filter(|b| b.mch_id == row.mch_id && b.platform == row.platform)
            .filter_map(|b| b.last_on.clone())
            .max();
        let mut rest = in_refund;
        for bucket in [&mut row.available_fen, &mut row.unsettled_fen, &mut row.transit_fen] {
            rest -= take(bucket, rest);
        }
        row.shortfall_fen = rest;
        row.in_refund_fen = in_refund - rest;
        add(&mut out, &row);
        out.unknown_accounts += row.unknown_accounts;
        out.mchs.push(row);
    }
    finish(&mut out, i64::try_from(owed).unwrap_or(i64::MAX));
    out.aside = aside.into_iter().map(|(kind, amount_fen)| AsideLine { kind, amount_fen }).collect();
    out.modelled_freezes = modelled(facts, &out);
    out
}

/// Takes up to `wanted` out of a bucket and says how much it took.
fn take(bucket: &mut i64, wanted: i64) -> i64 {
    let taken = wanted.min(*bucket).max(0);
    *bucket -= taken;
    taken
}

fn add(out: &mut Money, row: &MchMoney) {
    for (total, part) in [
        (&mut out.platform_fen, row.platform_fen),
        (&mut out.transit_fen, row.transit_fen),
        (&mut out.unsettled_fen, row.unsettled_fen),
        (&mut out.available_fen, row.available_fen),
        (&mut out.in_refund_fen, row.in_refund_fen),
        (&mut out.shortfall_fen, row.shortfall_fen),
        (&mut out.frozen_fen, row.frozen_fen),
        (&mut out.withdrawing_fen, row.withdrawing_fen),
    ] {
        *total = total.saturating_add(part);
    }
}

fn finish(out: &mut Money, owed: i64) {
    let refund_shortfall = out.shortfall_fen;
    let refunds = out.in_refund_fen.saturating_add(refund_shortfall);
    let mut rest = owed;
    for bucket in [&mut out.available_fen, &mut out.unsettled_fen, &mut out.transit_fen] {
        rest -= take(bucket, rest);
    }
    out.owed_fen = owed;
    out.in_refund_fen = refunds;
    out.shortfall_fen = refund_shortfall.saturating_add(rest.max(0));
    out.own_fen = out.transit_fen.saturating_add(out.unsettled_fen).saturating_add(out.available_fen);
    out.at_risk_fen = out.own_fen.saturating_add(owed).saturating_add(refunds);
    let line = |code, zh: &str, en: &str, amount_fen, is_total| BridgeLine {
        code,
        text: Bilingual::new(zh, en),
        amount_fen,
        is_total,
    };
    out.bridge = vec![
        line(
            "platform",
            "平台侧余额（在途 + 待结算 + 可用）",
            "Held by the platforms (transit + unsettled + available)",
            out.platform_fen,
            true,
        ),
        line("in-refund", "减：退款处理中", "less: refunds in flight", refunds.saturating_neg(), false),
        line(
            "owed",
            "减：应付客户（储值余额、礼品卡等）",
            "less: owed to customers (stored value, gift cards and the like)",
            owed.saturating_neg(),
            false,
        ),
        line(
            "shortfall",
            "加：平台余额不足、须另行筹措",
            "plus: not covered by platform balances, to be raised elsewhere",
            out.shortfall_fen,
            false,
        ),
        line("own", "商户自有", "The merchant's own", out.own_fen, true),
    ];
}

/// What the seed documents say a platform keeps back when staff are removed. Reported apart: no public rule supports it.
fn modelled(facts: &Facts, money: &Money) -> Vec<ModelledFreeze> {
    let platforms: BTreeSet<&str> = facts.mchs.iter().map(|m| m.platform.as_str()).collect();
    let mut out = Vec::new();
    for platform in platforms {
        let (zh, en, amount_fen) = match platform {
            "wechat" => (
                "按种子文档的描述：保留最后一笔交易金额",
                "as a seed document describes it: the amount of the last trade is kept back",
                None,
            ),
            "alipay" => {
                // The last full month stands for "the last 30 days": facts are monthly.
                let last = facts.months.iter().filter(|m| m.platform == "alipay").max_by(|a, b| a.month.cmp(&b.month));
                (
                    "按种子文档的描述：冻结最近 30 日日均交易额（以最近一个自然月估算）",
                    "as a seed document describes it: the mean daily amount of the last 30 days is frozen (estimated from the last month)",
                    last.map(|m| m.paid_fen / 30),
                )
            }
            "unionpay" => (
                "按种子文档的描述：冻结全部未结算资金",
                "as a seed document describes it: all unsettled money is frozen",
                Some(
                    money
                        .mchs
                        .iter()
                        .filter(|m| m.platform == "unionpay")
                        .map(|m| m.unsettled_fen.saturating_add(m.transit_fen))
                        .fold(0, i64::saturating_add),
                ),
            ),
            _ => continue,
        };
        out.push(ModelledFreeze { platform: platform.to_owned(), text: Bilingual::new(zh, en), amount_fen });
    }
    out
}
