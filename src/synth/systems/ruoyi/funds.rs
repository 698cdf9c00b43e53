//! Coupons, group-buys, stored value and commissions.

use super::tables::{
    BROKERAGE_LINE, BROKERAGE_USER, COMBINATION, COMBINATION_RECORD, COUPON, COUPON_TEMPLATE, EXTENSION, PAY_ORDER,
    RECHARGE, WALLET, WALLET_LINE, WITHDRAW,
};
use super::{BASE, Dump, Story, TENANT, staff_ref};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED};
use crate::synth::merchant::GOODS;
use crate::synth::systems::story::GROUP_SIZE;
use crate::synth::tables::cells;

pub(super) fn marketing(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    let manager = staff_ref(2);
    for (i, c) in (1_i64..).zip(&story.coupons) {
        let row = cells![
            BASE + i,
            c.name,
            0_i64,
            -1_i64,
            0_i64,
            c.min_fen,
            1_i64,
            2_i64,
            30_i64,
            1_i64,
            None::<i64>,
            c.face_fen,
            &manager,
            OPENED,
            OPENED,
            0_i64,
            TENANT
        ];
        dump.row(&COUPON_TEMPLATE, row)?;
    }
    for (i, h) in (1_i64..).zip(&story.holdings) {
        let code = match (h.used, h.is_expired) {
            (Some(_), _) => 2_i64,
            (None, true) => 3,
            (None, false) => 1,
        };
        let face = story.coupons.get(h.coupon as usize - 1).map(|c| c.face_fen);
        let row = cells![
            BASE + i,
            BASE + h.coupon,
            code,
            BASE + h.customer,
            1_i64,
            face,
            h.used.map(|(_, order)| BASE + order),
            h.used.map(|(at, _)| at),
            h.received,
            0_i64,
            TENANT
        ];
        dump.row(&COUPON, row)?;
    }
    for (i, r) in (1_i64..).zip(&story.rules) {
        let row = cells![
            BASE + i,
            GOODS[r.good].0,
            BASE + r.good as i64,
            r.starts,
            r.ends,
            GROUP_SIZE,
            i64::from(r.ends < AS_OF),
            &manager,
            r.starts,
            r.ends,
            0_i64,
            TENANT
        ];
        dump.row(&COMBINATION, row)?;
    }
    for group in &story.groups {
        let head = group.orders.first().map(|o| BASE + story.orders[*o].id);
        let ends = story.rules.get(group.rule as usize - 1).map(|r| r.ends);
        for place in &group.orders {
            let order = &story.orders[*place];
            let id = BASE + order.id;
            let code = if group.is_complete {
                1_i64
            } else if group.has_failed {
                2
            } else {
                0
            };
            let row = cells![
                id,
                BASE + group.rule,
                order.payable,
                BASE + order.customer,
                if head == Some(id) { Some(0) } else { head },
                code,
                id,
                GROUP_SIZE,
                group.orders.len() as i64,
                order.created,
                ends,
                0_i64,
                TENANT
            ];
            dump.row(&COMBINATION_RECORD, row)?;
        }
    }
    Ok(())
}

/// Stored value of every tenth customer, commission of every twenty-fifth.
pub(super) fn wallets(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for c in story.customers.iter().filter(|c| c.id % 10 == 0) {
        let id = BASE + c.id;
        let at = c.registered.plus(DAY);
        let (paid, bonus) = (10_000_i64, 500_i64);
        let payment = 2 * BASE + 2_000_000 + c.id;
        let row = cells![id, id, 1_i64, paid + bonus, 0_i64, 0_i64, paid, at.plus(30), 0_i64, TENANT];
        dump.row(&WALLET, row)?;
        let is_paid = dump.flag(true);
        let [a, b, d, e, f] = cells![id, id, paid + bonus, paid, bonus];
        let [g, h, i, j, k] = cells![payment, "wx_lite", at.plus(30), 0_i64, None::<Local>];
        let [l, m, n, o] = cells![0_i64, at, 0_i64, TENANT];
        dump.row(&RECHARGE, [a, b, d, e, f, is_paid, g, h, i, j, k, l, m, n, o])?;
        let row = cells![
            id,
            format!("W{id}"),
            id,
            1_i64,
            id.to_string(),
            "充值",
            paid + bonus,
            paid + bonus,
            at.plus(30),
            0_i64,
            TENANT
        ];
        dump.row(&WALLET_LINE, row)?;
        let no = format!("PR{id}");
        let row = cells![
            payment,
            BASE + 1,
            BASE + 1,
            "wx_lite",
            id,
            1_i64,
            format!("recharge-{id}"),
            "充值",
            paid,
            60_i64,
            10_i64,
            "198.51.100.7",
            at.plus(1_800),
            at.plus(30),
            payment * 10 + 1,
            &no,
            0_i64,
            None::<String>,
            format!("4200009{id:020}"),
            at,
            at.plus(30),
            0_i64,
            TENANT
        ];
        dump.row(&PAY_ORDER, row)?;
        let row = cells![
            payment * 10 + 1,
            &no,
            payment,
            BASE + 1,
            "wx_lite",
            10_i64,
            None::<String>,
            None::<String>,
            None::<String>,
            at.plus(5),
            at.plus(30),
            0_i64,
            TENANT
        ];
        dump.row(&EXTENSION, row)?;
    }
    for c in story.customers.iter().filter(|c| c.id % 25 == 0) {
        let id = BASE + c.id;
        let at = c.registered.plus(2 * DAY);
        for (nth, kind, price, about) in [(1, 1_i64, 2_000_i64, "订单佣金"), (2, 2, -1_500, "提现")] {
            let row = cells![
                id * 10 + nth,
                id,
                id.to_string(),
                kind,
                about,
                price,
                1_i64,
                at.plus(nth * HOUR),
                0_i64,
                TENANT
            ];
            dump.row(&BROKERAGE_LINE, row)?;
        }
        dump.row(&BROKERAGE_USER, cells![id, 500_i64, 0_i64, at.plus(2 * HOUR), 0_i64, TENANT])?;
        let row = cells![
            id,
            id,
            1_500_i64,
            0_i64,
            2_i64,
            format!("6222{id:012}"),
            11_i64,
            at.plus(3 * HOUR),
            None::<i64>,
            at.plus(4 * HOUR),
            at.plus(2 * HOUR),
            at.plus(4 * HOUR),
            0_i64,
            TENANT
        ];
        dump.row(&WITHDRAW, row)?;
    }
    Ok(())
}
