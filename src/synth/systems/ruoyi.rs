//! The story as ruoyi-vue-pro keeps it: one tenant, payments with their attempts, roles as rows that are deleted softly.

use serde_json::json;

use super::sql::{Dialect, Dump};
use super::story::Story;
use super::{Findings, Project, System, ZONE, ZONE_EVIDENCE};
use crate::synth::Error;
use crate::synth::local::{DAY, Local, OPENED};
use crate::synth::prng::Prng;
use crate::synth::tables::{Cell, cells};

mod funds;
mod people;
mod tables;
mod trade;

use tables::{KEFU, MEMBER, PAY_APP, PAY_CHANNEL, SOCIAL_BIND, SOCIAL_CLIENT, SOCIAL_USER, TENANTS};

/// Keys start above those that an installation comes with.
const BASE: i64 = 900_000;
/// The tenant everything belongs to.
const TENANT: i64 = 900;
const MCH: &str = "1900000309";
const PROJECT: &str = "CLOSE-RUOYI";

pub(super) const SYSTEM: System = System {
    id: "ruoyi-vue-pro",
    dialects: &[Dialect::Mysql, Dialect::Postgres],
    planted: &["FND-004", "LOG-001", "PRM-020", "PRM-021", "TXN-001", "TXN-003", "TXN-014", "TXN-018"],
    project: Project::Closing { project_ref: PROJECT, merchant_ref: "900" },
    role: "self-operated",
    channels: &["wechat", "alipay"],
    params: &[ZONE, ZONE_EVIDENCE, ("tenant", "900")],
    render,
};

fn render(story: &Story, dump: &mut Dump, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut rng = Prng::new(story.seed, "ruoyi-vue-pro");
    // The wallets' observations are of customers; nobody observed the balance of the merchant number.
    findings.add("FND-002", format!("{PROJECT}/{MCH}"), "no-observation");
    // Announcements are for the back office: what the home page shows is not among them.
    findings.add("DRG-007", PROJECT, "no-notice");
    merchant(dump, &mut rng)?;
    customers(story, dump, &mut rng)?;
    people::staff(story, dump, findings, &mut rng)?;
    people::log(story, dump, findings, &mut rng)?;
    trade::orders(story, dump, findings)?;
    funds::marketing(story, dump)?;
    funds::wallets(story, dump)
}

/// Text of a secret, of nothing: tests look for it in archives.
fn secret(rng: &mut Prng) -> String {
    format!("PlantedSecret{}", rng.hex(18))
}

/// Text of the form of a password hash, of no password.
fn bcrypt(rng: &mut Prng) -> String {
    format!("$2a$10$PlantedSecret{}", rng.hex(40))
}

fn merchant(dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    let until = Local::date(2030, 1, 1);
    let row =
        cells![TENANT, "示例果园", "示例联系人", "19900009000", 0_i64, 111_i64, until, 100_i64, OPENED, OPENED, 0_i64];
    dump.row(&TENANTS, row)?;
    let row =
        cells![BASE + 1, "示例小程序", 34_i64, 1_i64, "wx00000000000d2c01", secret(rng), 0_i64, OPENED, 0_i64, TENANT];
    dump.row(&SOCIAL_CLIENT, row)?;
    let url = |what: &str| format!("https://shop.example.com/notify/{what}");
    let row =
        cells![BASE + 1, "mall", "商城", 0_i64, url("order"), url("refund"), url("transfer"), OPENED, 0_i64, TENANT];
    dump.row(&PAY_APP, row)?;
    let wechat = json!({
        "@class": "sample.WxPayClientConfig", "appId": "wx00000000000d2c01", "mchId": MCH, "apiVersion": "v3",
        "mchKey": secret(rng), "apiV3Key": secret(rng), "privateKeyContent": secret(rng), "certSerialNo": "5FA0",
        "keyContent": null,
    });
    let alipay = json!({
        "@class": "sample.AlipayPayClientConfig", "appId": "2021000000000001", "mode": 1, "privateKey": secret(rng),
        "encryptKey": "",
    });
    for (id, code, config) in [(1, "wx_lite", wechat), (2, "alipay_wap", alipay)] {
        let row = cells![
            BASE + id,
            code,
            0_i64,
            Cell::Yuan(60),
            BASE + 1,
            config.to_string(),
            OPENED,
            "900001",
            OPENED,
            0_i64,
            TENANT
        ];
        dump.row(&PAY_CHANNEL, row)?;
    }
    Ok(())
}

fn customers(story: &Story, dump: &mut Dump, rng: &mut Prng) -> Result<(), Error> {
    for c in &story.customers {
        let id = BASE + c.id;
        let closed = i64::from(c.id % 97 == 0);
        let row = cells![
            id,
            c.mobile(),
            bcrypt(rng),
            &c.nickname,
            c.id % 3,
            c.id % 500,
            0_i64,
            c.registered,
            c.registered.plus(90 * DAY),
            closed,
            TENANT
        ];
        dump.row(&MEMBER, row)?;
        let raw = json!({ "session_key": secret(rng) }).to_string();
        let row = cells![id, 34_i64, &c.openid, secret(rng), raw, &c.nickname, "{}", "code", 0_i64, TENANT];
        dump.row(&SOCIAL_USER, row)?;
        dump.row(&SOCIAL_BIND, cells![id, id, 1_i64, 34_i64, id, 0_i64, TENANT])?;
    }
    for (i, (customer, at, text)) in story.inquiries.iter().enumerate() {
        let read = dump.flag(i % 3 != 0);
        let [a, b, c, d, e, f, g] = cells![BASE + 1 + i as i64, BASE + customer, 1_i64, BASE + 2, 2_i64, *text, *at];
        dump.row(&KEFU, [a, b, c, d, e, f, read, g, Cell::Int(0), Cell::Int(TENANT)])?;
    }
    Ok(())
}

/// Reference of a member of staff.
fn staff_ref(id: i64) -> String {
    (BASE + id).to_string()
}
