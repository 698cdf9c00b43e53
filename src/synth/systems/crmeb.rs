//! The story as CRMEB keeps it: epoch seconds, settings as JSON, orders that are split into parts, a log of routes.

use serde_json::json;

use super::sql::{Dialect, Dump};
use super::story::Story;
use super::{Findings, Project, System};
use crate::synth::Error;
use crate::synth::local::{AS_OF, DAY, HOUR, Local, OPENED};
use crate::synth::prng::Prng;
use crate::synth::tables::{Cell, cells};

mod funds;
mod people;
mod tables;
mod trade;

use tables::{CANCEL, CONFIG, FEEDBACK, OUT_ACCOUNT, STORE, USER, WECHAT_USER};

/// Keys start above those that an installation comes with.
const BASE: i64 = 100_000;
const MCH: &str = "1900000409";
const PROJECT: &str = "CLOSE-CRMEB";

pub(super) const SYSTEM: System = System {
    id: "crmeb",
    dialects: &[Dialect::Mysql],
    planted: &["FND-004", "LOG-001", "TXN-001", "TXN-014", "TXN-018"],
    project: Project::Closing { project_ref: PROJECT, merchant_ref: "1" },
    role: "self-operated",
    channels: &["wechat", "alipay"],
    params: &[("merchant", "1")],
    render,
};

fn render(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut rng = Prng::new(story.seed, "crmeb");
    // Balances are those of customers; nobody observed the balance of the merchant number.
    findings.add("FND-002", format!("{PROJECT}/{MCH}"), "no-observation");
    // Messages to customers are kept, what the home page shows is not.
    findings.add("DRG-007", PROJECT, "no-notice");
    settings(dump, &mut rng)?;
    customers(story, dump, &mut rng)?;
    people::staff(story, dump, findings, &mut rng)?;
    people::log(story, dump, findings)?;
    trade::orders(story, dump, findings)?;
    funds::marketing(story, dump)?;
    funds::funds(story, dump)
}

/// Seconds since 1970 of a wall clock in Beijing.
fn epoch(at: Local) -> i64 {
    at.0 - 8 * HOUR
}

/// The same; 0 says "not yet".
fn epoch_or_zero(at: Option<Local>) -> i64 {
    at.map_or(0, epoch)
}

/// Text of a secret, of nothing: tests look for it in archives.
fn secret(rng: &mut Prng) -> String {
    format!("PlantedSecret{}", rng.hex(18))
}

fn settings(dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    let values = [
        ("pay_weixin_mchid", MCH.to_owned()),
        ("routine_appId", "wx00000000000e3d01".to_owned()),
        ("ali_pay_appid", "2021000000000002".to_owned()),
        ("pay_weixin_key", secret(rng)),
        ("pay_weixin_key_v3", secret(rng)),
        ("routine_appsecret", secret(rng)),
        ("alipay_merchant_private_key", secret(rng)),
        ("sms_token", secret(rng)),
        ("qiniu_secretKey", secret(rng)),
    ];
    for (id, (name, value)) in (1_i64..).zip(values) {
        dump.row(&CONFIG, cells![BASE + id, name, 1_i64, json!(value).to_string(), "示例设置"])?;
    }
    let push = |what: &str| format!("https://erp.example.com/push/{what}");
    let row = cells![
        BASE + 1,
        "sample-erp",
        secret(rng),
        "示例对接",
        1_i64,
        epoch(OPENED),
        0_i64,
        1_i64,
        "erp",
        secret(rng),
        push("token"),
        push("user"),
        push("order"),
        push("pay"),
        push("refund"),
        ""
    ];
    dump.row(&OUT_ACCOUNT, row)?;
    dump.row(&STORE, cells![BASE + 1, "示例门店", "示例市", "示例路1号", 1_i64, 0_i64, epoch(OPENED)])
}

fn customers(story: &Story, dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    for c in &story.customers {
        let uid = BASE + c.id;
        let is_gone = c.id % 97 == 0;
        let (money, commission) = (if c.id % 10 == 0 { 10_500 } else { 0 }, if c.id % 25 == 0 { 500 } else { 0 });
        let row = cells![
            uid,
            format!("u{uid}"),
            secret(rng),
            &c.nickname,
            c.mobile(),
            epoch(c.registered),
            epoch(c.registered.plus(5 * DAY)),
            "198.51.100.77",
            Cell::Yuan(money),
            Cell::Yuan(commission),
            c.id % 500,
            1_i64,
            c.id % 3,
            i64::from(is_gone),
            "routine"
        ];
        dump.row(&USER, row)?;
        dump.row(&WECHAT_USER, cells![uid, uid, &c.openid, &c.nickname, "routine", epoch(c.registered), 0_i64])?;
        if is_gone || c.id % 97 == 1 {
            let at = c.registered.plus(60 * DAY).min(AS_OF.plus(-2 * DAY));
            let (state, done) = if is_gone { (1_i64, epoch(at.plus(DAY))) } else { (0, 0) };
            dump.row(&CANCEL, cells![uid, uid, &c.nickname, c.mobile(), epoch(at), state, done])?;
        }
    }
    for (i, (customer, at, text)) in (1_i64..).zip(&story.inquiries) {
        let row = cells![
            BASE + i,
            BASE + customer,
            format!("顾客{customer}"),
            format!("199001{:05}", customer % 100_000),
            *text,
            i64::from(i % 3 != 0),
            epoch(*at)
        ];
        dump.row(&FEEDBACK, row)?;
    }
    Ok(())
}
