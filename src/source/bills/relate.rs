//! What can only be seen when all bills of a case are known: copies, overlapping days, and summaries of other bills.

use std::collections::BTreeMap;

use super::layout::{BillKind, Platform};
use super::totals::Sums;
use super::{Bill, Layout};

/// What two bills must share to be of the same account.
type Account = (Platform, BillKind, Option<String>, Option<String>);

fn account(bill: &Bill) -> Account {
    (bill.layout.platform(), bill.layout.kind(), bill.mch_id.clone(), bill.account_kind.clone())
}

/// Sets the bills of a case in relation, in the order of their references.
///
/// - A copy of another bill — the same bytes, packed or not, or the same lines saved anew — names the bill it repeats.
///   Its lines and totals are those of that bill and are not delivered again. The platform's own bytes are preferred.
/// - Bills of the same account whose days overlap without being copies keep their lines; how many others there are is
///   told, because lines may then be listed twice.
/// - Totals of a summary are compared with the bills it sums up: those of the same archive, else all of the same
///   account and day.
pub fn relate(bills: &mut [Bill]) {
    repeats(bills);
    overlaps(bills);
    summaries(bills);
    bills.sort_by(|a, b| a.bill_ref.cmp(&b.bill_ref));
}

fn repeats(bills: &mut [Bill]) {
    // Of equal bills the first in this order is the one that counts.
    bills.sort_by(|a, b| {
        let order = |b: &Bill| (b.is_resaved, b.is_partial, b.notes.len());
        order(a).cmp(&order(b)).then_with(|| a.path.cmp(&b.path)).then_with(|| a.file.cmp(&b.file))
    });
    let mut by_bytes: BTreeMap<[u8; 32], String> = BTreeMap::new();
    let mut by_lines: BTreeMap<_, String> = BTreeMap::new();
    let mut copies: BTreeMap<String, u32> = BTreeMap::new();
    for bill in bills {
        let lines = (account(bill), bill.bill_on, bill.bill_to_on, bill.rows, bill.fingerprint);
        let earlier = by_bytes.get(&bill.content_sha256.0).or_else(|| by_lines.get(&lines).filter(|_| bill.rows > 0));
        match earlier.cloned() {
            Some(earlier) => {
                let nth = copies.entry(bill.bill_ref.clone()).or_insert(1);
                *nth += 1;
                bill.bill_ref = format!("{}-copy{nth}", bill.bill_ref);
                bill.repeats = Some(earlier);
                bill.rows = 0;
                bill.rejected_count = 0;
                bill.rejected.clear();
                bill.totals.clear();
                bill.outside_count = 0;
                bill.merchant_count = 0;
            }
            None => {
                by_bytes.insert(bill.content_sha256.0, bill.bill_ref.clone());
                by_lines.insert(lines, bill.bill_ref.clone());
            }
        }
    }
}

fn overlaps(bills: &mut [Bill]) {
    let mut by_account: BTreeMap<Account, Vec<usize>> = BTreeMap::new();
    for (i, bill) in bills.iter().enumerate() {
        let has_lines = !matches!(bill.layout.kind(), BillKind::Summary | BillKind::Dispute);
        // Two bills whose merchant nobody knows may be of two merchants.
        if bill.repeats.is_none() && has_lines && bill.bill_on.is_some() && bill.mch_id.is_some() {
            by_account.entry(account(bill)).or_default().push(i);
        }
    }
    for mut members in by_account.into_values() {
        members.sort_by_key(|i| (bills[*i].bill_on, *i));
        for (nth, i) in members.iter().enumerate() {
            let end = bills[*i].bill_to_on;
            let later: Vec<usize> =
                members[nth + 1..].iter().copied().take_while(|j| bills[*j].bill_on <= end).collect();
            bills[*i].overlap_count += later.len() as u64;
            later.into_iter().for_each(|j| bills[j].overlap_count += 1);
        }
    }
}

fn summaries(bills: &mut [Bill]) {
    let mut details: BTreeMap<(&'static str, Option<String>), Vec<usize>> = BTreeMap::new();
    for (i, bill) in bills.iter().enumerate() {
        if bill.layout.summarises().is_none() && bill.repeats.is_none() {
            details.entry((bill.layout.name(), bill.mch_id.clone())).or_default().push(i);
        }
    }
    for i in 0..bills.len() {
        let summary = &bills[i];
        let (Some(layout), None) = (summary.layout.summarises(), &summary.repeats) else { continue };
        let of_days = details
            .get(&(layout.name(), summary.mch_id.clone()))
            .into_iter()
            .flatten()
            .copied()
            .filter(|j| (bills[*j].bill_on, bills[*j].bill_to_on) == (summary.bill_on, summary.bill_to_on));
        let of_days: Vec<usize> = of_days.collect();
        let beside: Vec<usize> = of_days.iter().copied().filter(|j| bills[*j].path == summary.path).collect();
        let chosen = if beside.is_empty() { of_days } else { beside };
        if chosen.is_empty() {
            bills[i].notes.insert("bill-missing", 1);
            continue;
        }
        let mut sums = Sums::default();
        chosen.iter().for_each(|j| sums.join(&bills[*j].sums));
        let (layout, footer): (Layout, _) = (bills[i].layout, &bills[i].footer);
        bills[i].totals = sums.compare(layout, footer);
    }
}
