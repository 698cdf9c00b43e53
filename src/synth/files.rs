//! The small files of the case: what is closed, what is checked, what is excused and what people answered.

use std::fmt::Write as _;
use std::path::Path;

use super::Error;
use super::faults::{FaultSelection, Truth};
use super::merchant::{DEREG_PROJECT, MCHS, MERCHANT, MIGRATION_PROJECT, WECHAT_APP};
use super::registers::{NOTICES, digest};
use crate::fsio;

/// The mapping file; an ordinary one, also shown to users as an example.
pub(super) const MAPPING: &str = include_str!("mapping.toml");

/// Writes `case.toml`, the mapping, profile, waivers, attestations and evidence.
pub(super) fn write(dir: &Path, seed: u64, faults: &FaultSelection, truth: &mut Truth) -> Result<(), Error> {
    let files = [
        ("case.toml", case(seed)),
        ("source/mapping.toml", mapping(faults)),
        ("profile.toml", profile(faults, truth)),
        ("waivers.toml", waivers(faults, truth)),
        ("attestations.toml", attestations(faults, truth)),
        ("evidence/notice-review.txt", REVIEW.to_owned()),
    ];
    for (name, text) in files {
        fsio::write_atomic(&dir.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The mapping of the case. With all faults it leaves entries of the operation log out without saying why: no policy
/// can see rows that were never taken, but the account of the seal and the report must show what was left out.
fn mapping(faults: &FaultSelection) -> String {
    match faults {
        FaultSelection::All => {
            MAPPING.replacen("  FROM sys_oplog t\n", "  FROM sys_oplog t\n WHERE t.module <> '库存'\n", 1)
        }
        FaultSelection::None | FaultSelection::Policies(_) => MAPPING.to_owned(),
    }
}

const REVIEW: &str = "法务已审阅两份公告的文字。\nLegal has reviewed the wording of both notices.\n";

fn case(seed: u64) -> String {
    let mut text = format!(
        r#"# Sample case: a fruit chain that closes its mini-program. Everything in it is invented.
format = 1

[case]
kind = "deregistration"
title = "鲜果汀小程序注销"
merchant = "鲜果汀(示例)连锁有限公司"
custodian = "财务档案室"
zone = "Asia/Shanghai"
as_of = 2026-10-01T00:00:00+08:00
window = {{ from = 2026-07-01, to = 2026-10-01 }}
coverage = {{ from = 2025-04-01, to = 2026-10-01 }}
decided_on = 2026-10-01
stream = "sample-{seed}-closure"

[project.deregistration]
project_ref = "{DEREG_PROJECT}"
merchant_ref = "{MERCHANT}"
planned_close_on = 2026-11-15

[project.migration]
project_ref = "{MIGRATION_PROJECT}"
merchant_ref = "{MERCHANT}"
project_kind = "app-account"
platform = "wechat"
source_app_id = "{WECHAT_APP}"
target_app_id = "wx00000000000c1a02"
source_mch_id = "{mch}"
target_mch_id = "{mch}"
planned_cutover_on = 2026-11-10

# The shop system's own database, read through a mapping.
[[source]]
name = "shop"
url = "sqlite://source/shop.db"
mapping = "source/mapping.toml"

# Two days of Alipay whose files were lost: written down by hand in canonical columns.
[[source]]
name = "bills"
url = "csv:source/bills-csv"

# Bills as downloaded. SHA1SUMS beside WeChat Pay's holds what the platform said about each, SHA256SUMS beside the
# others what the person who downloaded them noted.
"#,
        mch = MCHS[0].no,
    );
    let mut seen = Vec::new();
    for mch in MCHS.iter().filter(|m| m.platform == 1) {
        if !seen.contains(&mch.bill_no()) {
            seen.push(mch.bill_no());
            let _ = write!(
                text,
                "[[bills]]\nglob = \"source/bills/trade/{0}/*.csv*\"\nmch_id = \"{0}\"\n\n",
                mch.bill_no()
            );
        }
        if mch.keeps_balance() {
            let _ = write!(
                text,
                "[[bills]]\nglob = \"source/bills/fund/{0}/*.csv\"\nmch_id = \"{0}\"\naccount_kind = \"basic\"\n\n",
                mch.no
            );
        }
    }
    for mch in MCHS.iter().filter(|m| m.platform != 1) {
        let _ = write!(
            text,
            "[[bills]]\nglob = \"source/bills/{}/{no}/*.zip\"\nmch_id = \"{no}\"\n\n",
            mch.platform_word(),
            no = mch.no
        );
    }
    text
}

fn profile(faults: &FaultSelection, truth: &mut Truth) -> String {
    let mut text = String::from(
        r#"# What this merchant is checked against.
format = 1

[profile]
id = "sample-fruit-chain"
role = "self-operated"
channels = ["wechat", "alipay", "unionpay"]
zone = "Asia/Shanghai"
sets = ["audit-core", "staff-offboarding", "migration", "deregistration"]
"#,
    );
    if faults.has("GOV-005") {
        truth.add("GOV-005", "RET-012.min_period", "below-floor");
        text.push_str(
            r#"
[[override]]
policy = "RET-012"
param = "min_period"
value = "5 months"
reason = "日志平台扩容前的临时安排"
approver = "counsel-2"
approver_role = "legal"
until = 2026-12-31
"#,
        );
    }
    if faults.has("GOV-011") {
        truth.add("GOV-011", "PRM-010", "severity-lowered");
        text.push_str(
            r#"
[[severity]]
policy = "PRM-010"
severity = "low"
reason = ""
"#,
        );
    }
    text
}

struct Waiver<'a> {
    id: &'a str,
    policy: &'a str,
    matches: String,
    owner: &'a str,
    approver: &'a str,
    role: &'a str,
    created: &'a str,
    expires: &'a str,
}

impl Waiver<'_> {
    fn text(&self) -> String {
        format!(
            r#"
[[waiver]]
id = "{}"
policy = "{}"
match = {{ {} }}
findings_max = 1
why = {{ zh = "客户书面同意的个案", en = "single case, agreed with the customer in writing" }}
owner = "{}"
approver = "{}"
approver_role = "{}"
created_on = {}
expires_on = {}
"#,
            self.id, self.policy, self.matches, self.owner, self.approver, self.role, self.created, self.expires
        )
    }
}

fn waivers(faults: &FaultSelection, truth: &mut Truth) -> String {
    let mut text = String::from(
        "# Accepted exceptions. A finding that is excused here stays in every list, marked.\nformat = 1\n",
    );
    let of = |truth: &Truth, reason: &str| truth.subject("TXN-003", reason).map(|s| format!("subject = \"{s}\""));
    let base = |id: &'static str, matches: String| Waiver {
        id,
        policy: "TXN-003",
        matches,
        owner: "finance-lead",
        approver: "counsel-2",
        role: "legal",
        created: "2026-09-01",
        expires: "2026-10-31",
    };
    if let Some(matches) = of(truth, "wrong-route") {
        text.push_str(&base("W-2026-001", matches).text());
    }
    if faults.has("GOV-001")
        && let Some(matches) = of(truth, "late")
    {
        text.push_str(&Waiver { created: "2026-07-20", expires: "2026-09-15", ..base("W-2026-002", matches) }.text());
        truth.add("GOV-001", "W-2026-002", "expired");
    }
    if faults.has("GOV-002") {
        let matches = || of(truth, "partly-refunded").unwrap_or_else(|| "subject = \"p0\"".into());
        let broken = [
            (Waiver { approver: "finance-lead", ..base("W-2026-003", matches()) }, "approver-is-owner"),
            (Waiver { role: "operations", ..base("W-2026-004", matches()) }, "approver-role"),
            (Waiver { expires: "2027-06-30", ..base("W-2026-005", matches()) }, "too-long"),
            (Waiver { created: "2026-10-05", ..base("W-2026-006", matches()) }, "not-yet-valid"),
            (base("W-2026-007", "pattern = \"p*\"".into()), "too-broad"),
        ];
        for (waiver, reason) in broken {
            text.push_str(&waiver.text());
            truth.add("GOV-002", waiver.id, reason);
        }
    }
    if faults.has("GOV-003") {
        let subject = truth.subject("RET-007", "deleted-under-hold").unwrap_or("DEL-0000").to_owned();
        text.push_str(&Waiver { policy: "RET-007", ..base("W-2026-008", format!("subject = \"{subject}\"")) }.text());
        truth.add("GOV-003", "W-2026-008", "not-waivable");
    }
    text
}

fn attestations(faults: &FaultSelection, truth: &mut Truth) -> String {
    let mut text = String::from("# Answers of people where no data can decide.\nformat = 1\n");
    for (i, notice) in NOTICES.iter().enumerate() {
        let subject = format!("notice:{}", digest(notice));
        let refused = i == 1 && faults.has("DRG-009");
        let _ = write!(
            text,
            r#"
[[attestation]]
policy = "DRG-009"
subject = "{subject}"
answer = "{}"
by = "counsel-2"
role = "legal"
on = 2026-09-15
valid_until = 2026-12-10
evidence = {{ file = "notice-review.txt", sha256 = "{}" }}
"#,
            if refused { "no" } else { "yes" },
            digest(REVIEW)
        );
        if refused {
            truth.add("DRG-009", subject, "answered-no");
        }
    }
    text
}
