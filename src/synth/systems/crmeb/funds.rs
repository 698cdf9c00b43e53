//! Coupons, group-buys, stored value, commissions and memberships.

use super::tables::{BROKERAGE, COMBINATION, COUPON, EXTRACT, HOLDING, MEMBERSHIP, MONEY, PINK, RECHARGE};
use super::{BASE, Dump, Story, epoch, epoch_or_zero};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, OPENED};
use crate::synth::merchant::GOODS;
use crate::synth::systems::story::{GROUP_FEN, GROUP_SIZE};
use crate::synth::tables::{Cell, cells};

pub(super) fn marketing(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for (i, c) in (1_i64..).zip(&story.coupons) {
        let row = cells![
            BASE + i,
            c.name,
            Cell::Yuan(c.face_fen),
            Cell::Yuan(c.min_fen),
            1_000_i64,
            400_i64,
            0_i64,
            0_i64,
            0_i64,
            0_i64,
            30_i64,
            1_i64,
            epoch(OPENED),
            0_i64
        ];
        dump.row(&COUPON, row)?;
    }
    for (i, h) in (1_i64..).zip(&story.holdings) {
        let code = match (h.used, h.is_expired) {
            (Some(_), _) => 1_i64,
            (None, true) => 2,
            (None, false) => 0,
        };
        let Some(coupon) = story.coupons.get(h.coupon as usize - 1) else { continue };
        let row = cells![
            BASE + i,
            BASE + h.coupon,
            BASE + h.customer,
            coupon.name,
            Cell::Yuan(coupon.face_fen),
            Cell::Yuan(coupon.min_fen),
            epoch(h.received),
            epoch_or_zero(h.used.map(|(at, _)| at)),
            code,
            0_i64
        ];
        dump.row(&HOLDING, row)?;
    }
    for (i, r) in (1_i64..).zip(&story.rules) {
        let (name, price) = GOODS[r.good];
        let row = cells![
            BASE + i,
            name,
            epoch(r.starts),
            epoch(r.ends),
            i64::from(r.ends >= AS_OF),
            0_i64,
            GROUP_SIZE,
            Cell::Yuan(price - GROUP_FEN),
            epoch(r.starts).to_string()
        ];
        dump.row(&COMBINATION, row)?;
    }
    for group in &story.groups {
        let head = group.orders.first().map(|o| BASE + story.orders[*o].id);
        let Some(rule) = story.rules.get(group.rule as usize - 1) else { continue };
        for place in &group.orders {
            let order = &story.orders[*place];
            let id = BASE + order.id;
            let code = if group.is_complete {
                2_i64
            } else if group.has_failed {
                3
            } else {
                1
            };
            let row = cells![
                id,
                BASE + order.customer,
                &order.no,
                id,
                BASE + group.rule,
                GROUP_SIZE,
                Cell::Yuan(order.payable),
                epoch(order.created).to_string(),
                epoch(rule.ends).to_string(),
                head.filter(|head| *head != id).unwrap_or(0),
                i64::from(order.refunded() > 0),
                code,
                0_i64
            ];
            dump.row(&PINK, row)?;
        }
    }
    Ok(())
}

/// Stored value of every tenth customer, commission of every twenty-fifth, membership of every fortieth.
pub(super) fn funds(story: &Story, dump: &mut Dump) -> Result<(), Error> {
    for c in &story.customers {
        let uid = BASE + c.id;
        if c.id % 10 == 0 {
            let at = c.registered.plus(DAY);
            let no = format!("wx{}{:08}", at.compact_date(), c.id);
            let row = cells![
                uid,
                uid,
                &no,
                format!("4200009{uid:020}"),
                Cell::Yuan(10_000),
                Cell::Yuan(500),
                "routine",
                1_i64,
                epoch(at.plus(30)),
                epoch(at),
                Cell::Yuan(0),
                "routine"
            ];
            dump.row(&RECHARGE, row)?;
            let row = cells![
                uid,
                uid,
                uid.to_string(),
                "recharge",
                "用户余额充值",
                Cell::Yuan(10_500),
                Cell::Yuan(10_500),
                1_i64,
                "成功充值余额",
                1_i64,
                epoch(at.plus(30))
            ];
            dump.row(&MONEY, row)?;
        }
        if c.id % 25 == 0 {
            let at = c.registered.plus(2 * DAY);
            for (nth, kind, fen, after, pm) in
                [(1, "one_brokerage", 2_000, 2_000, 1_i64), (2, "extract", 1_500, 500, 0)]
            {
                let row = cells![
                    uid * 10 + nth,
                    uid,
                    uid.to_string(),
                    kind,
                    "佣金",
                    Cell::Yuan(fen),
                    Cell::Yuan(after),
                    pm,
                    "示例",
                    1_i64,
                    epoch(at.plus(nth * HOUR))
                ];
                dump.row(&BROKERAGE, row)?;
            }
            let row = cells![
                uid,
                uid,
                &c.nickname,
                "bank",
                format!("6222{uid:012}"),
                "",
                "",
                Cell::Yuan(1_500),
                Cell::Yuan(500),
                1_i64,
                epoch(at.plus(2 * HOUR))
            ];
            dump.row(&EXTRACT, row)?;
        }
        if c.id % 40 == 0 {
            let at = c.registered.plus(3 * DAY);
            let row = cells![
                uid,
                uid,
                format!("hy{}{:08}", at.compact_date(), c.id),
                "weixin",
                1_i64,
                Cell::Yuan(9_900),
                Cell::Yuan(9_900),
                epoch(at.plus(20)),
                format!("4200008{uid:020}"),
                "routine",
                0_i64,
                epoch(at)
            ];
            dump.row(&MEMBERSHIP, row)?;
        }
    }
    Ok(())
}
