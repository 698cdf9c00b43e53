//! Registers: facts that merchants keep on paper or in spreadsheets, with staff named as the database names them.

use std::fmt::Write as _;
use std::path::Path;

use super::Error;
use super::faults::{FaultSelection, Truth};
use super::local::{AS_OF, DAY, HOUR, Local, OPENED, WINDOW};
use super::merchant::{MCHS, MERCHANT, WECHAT_APP};
use super::people::{ADMIN, FINANCE, OWNER, World, shop_code, user_ref};
use crate::crypto;
use crate::fsio;
use crate::schema;

/// Texts of the two notices; legal confirms the digest of each.
pub(super) const NOTICES: [&str; 2] =
    ["停止服务公告:鲜果汀小程序将于2026年11月15日停止服务。", "储值余额退还说明:余额将原路退回。"];
const SCENARIOS: [&str; 8] = [
    "pay-ok",
    "pay-fail",
    "pay-cancel",
    "refund-full",
    "refund-partial",
    "reconcile",
    "notify-repeat",
    "pay-after-close",
];

/// Digest of a text, as registers state it.
pub(super) fn digest(text: &str) -> String {
    crypto::sha256(text.as_bytes()).to_string()
}

struct Registers<'a> {
    faults: &'a FaultSelection,
    truth: &'a mut Truth,
    files: Vec<(&'static str, String)>,
}

/// Writes all registers and `SHA256SUMS`; returns the rows of each dataset.
pub(super) fn write(
    dir: &Path,
    world: &World,
    (opened, traded): (Local, &[Local]),
    faults: &FaultSelection,
    truth: &mut Truth,
) -> Result<Vec<(&'static str, u64)>, Error> {
    let mut registers = Registers { faults, truth, files: Vec::new() };
    registers.people(world);
    registers.departures(world);
    registers.storage_forms();
    registers.inventory(opened);
    registers.network_log_days();
    registers.archive(opened);
    registers.reconciliation(traded);
    registers.closing();
    registers.migration();
    let mut sums = String::new();
    let mut counts = Vec::new();
    for (name, text) in &registers.files {
        let mut sum = digest(text);
        if *name == "third_party_bindings" && faults.has("DAT-006") {
            sum = digest("the file as it was handed over");
            registers.truth.add("DAT-006", format!("registers/{name}.csv"), "digest-differs");
        }
        let _ = writeln!(sums, "{sum}  {name}.csv");
        fsio::write_atomic(&dir.join(format!("{name}.csv")), text.as_bytes())?;
        counts.push((*name, text.lines().count() as u64 - 1));
    }
    fsio::write_atomic(&dir.join("SHA256SUMS"), sums.as_bytes())?;
    Ok(counts)
}

fn opt(time: Option<Local>) -> String {
    time.map_or_else(String::new, Local::iso)
}

impl Registers<'_> {
    fn has(&self, policy: &str) -> bool {
        self.faults.has(policy)
    }

    /// Adds a register; its columns are the dataset's own unless a shorter list is given.
    fn add(&mut self, name: &'static str, rows: &[Vec<String>]) {
        let header: Vec<&str> =
            schema::dataset(name).map(|d| d.own_columns().map(|c| c.name).collect()).unwrap_or_default();
        let mut text = header.join(",");
        text.push('\n');
        for row in rows {
            debug_assert_eq!(row.len(), header.len(), "register {name}");
            text.push_str(&row.join(","));
            text.push('\n');
        }
        self.files.push((name, text));
    }

    fn people(&mut self, world: &World) {
        let rows: Vec<Vec<String>> = world
            .users
            .values()
            .filter_map(|u| {
                let employment = u.employment?;
                let hired = u.created.unwrap_or(WINDOW.plus(30 * DAY));
                Some(vec![
                    u.employee_no(),
                    employment.into(),
                    hired.date_text(),
                    u.departed.map_or_else(String::new, Local::date_text),
                    u.shop.map_or_else(String::new, shop_code),
                ])
            })
            .collect();
        self.add("people", &rows);
    }

    fn departures(&mut self, world: &World) {
        let (mut departures, mut receipts) = (Vec::new(), Vec::new());
        for (i, d) in world.departures.iter().enumerate() {
            let reference = format!("DEP{:04}", i + 1);
            let person = world.users.get(&d.user).map(super::people::User::employee_no).unwrap_or_default();
            let mut signed = Some(d.removed.plus(-15 * 60));
            let (mut has_receipt, mut is_valid) = (true, "true");
            for (policy, reason) in &d.faults {
                self.truth.add(policy, &reference, reason);
                match *reason {
                    "no-receipt" => has_receipt = false,
                    "unsigned" => signed = None,
                    "invalid-signature" => is_valid = "false",
                    _ => {}
                }
            }
            departures.push(vec![
                reference.clone(),
                person,
                user_ref(d.user),
                d.removed.date_text(),
                opt(d.devices),
                opt(d.password),
                opt(d.funds),
                "0".into(),
                opt(Some(d.removed)),
                user_ref(ADMIN),
            ]);
            if has_receipt {
                receipts.push(vec![
                    format!("RCP{:04}", i + 1),
                    reference.clone(),
                    "removal-ack".into(),
                    opt(signed),
                    user_ref(d.user),
                    digest(&reference),
                    is_valid.into(),
                ]);
            }
        }
        self.add("departures", &departures);
        self.add("receipts", &receipts);
    }

    fn storage_forms(&mut self) {
        if self.has(super::faults::ONLY_BY_NAME) {
            // The register is not there at all, so the policy that needs it cannot be examined.
            self.truth.add("DAT-001", "staff_pii_forms", "dataset-missing");
            return;
        }
        let form = |i: usize, field: &str, kind: &str, algorithm: &str, key: &str, beside: &str| {
            vec![
                format!("FORM{i:02}"),
                "历史报表库".to_owned(),
                field.to_owned(),
                kind.to_owned(),
                algorithm.to_owned(),
                key.to_owned(),
                beside.to_owned(),
                "2026-09-10".to_owned(),
            ]
        };
        let mut rows = vec![
            form(1, "cashier_code", "keyed-hash", "hmac-sha256", "kms-staff-1", "false"),
            form(2, "courier_code", "keyed-hash", "hmac-sha256", "kms-staff-1", "false"),
            form(3, "phone", "encrypted", "", "kms-staff-2", "false"),
        ];
        if self.has("OFB-016") {
            let planted = [
                ("plain-hash", "sha256", "", "false", "plain-hash"),
                ("keyed-hash", "hmac-md5", "kms-staff-3", "false", "weak-algorithm"),
                ("keyed-hash", "hmac-sha256", "", "false", "no-key"),
                ("keyed-hash", "hmac-sha256", "kms-staff-4", "true", "key-beside-data"),
                ("", "hmac-sha256", "kms-staff-5", "false", "unknown-form"),
            ];
            for (i, (kind, algorithm, key, beside, reason)) in planted.into_iter().enumerate() {
                rows.push(form(11 + i, "staff_code", kind, algorithm, key, beside));
                self.truth.add("OFB-016", format!("FORM{}", 11 + i), reason);
            }
        }
        self.add("staff_pii_forms", &rows);
    }

    fn inventory(&mut self, opened: Local) {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut put = |class: &str, month: &str, part: &str, count: i64, deleted: &str, reference: &str, pi: bool| {
            rows.push(vec![
                MERCHANT.into(),
                class.into(),
                format!("{month}-01"),
                part.into(),
                count.to_string(),
                String::new(),
                String::new(),
                deleted.into(),
                reference.into(),
                "false".into(),
                pi.to_string(),
            ]);
        };
        // Complaint files on paper: personal data well inside its period.
        for month in ["2026-05", "2026-06", "2026-07"] {
            put("complaint", month, "paper", 40, "", "", true);
        }
        // Working copies of staff contacts: no minimum, deleted soon after the person left.
        put("staff-identity-ops", "2026-03", "hr-export", 12, "2026-04-01", "DEL-0001", true);
        if opened < OPENED {
            // The company was open before the archive begins; what is not a planted gap is in a paper folder.
            for (class, policy) in [
                ("trade-order", "RET-003"),
                ("payment-record", "RET-003"),
                ("refund-record", "RET-003"),
                ("permission-log", "LOG-004"),
            ] {
                if self.faults.has(policy) {
                    let subject = if policy == "LOG-004" {
                        format!("{MERCHANT}/2025-03")
                    } else {
                        format!("{MERCHANT}/{class}/2025-03")
                    };
                    self.truth.add(policy, subject, "never-archived");
                } else {
                    put(class, "2025-03", "paper", 1, "", "", false);
                }
            }
        }
        if self.faults.has("RET-002") {
            put("trade-order", "2025-05", "legacy-db", 800, "2026-04-10", "DEL-0002", false);
            put("destruction-register", "2025-06", "cabinet-3", 5, "2026-05-02", "DEL-0003", false);
            put("refund-record", "2025-07", "legacy-db", 60, "", "DEL-0004", false);
            put("till-receipt-copy", "2025-08", "store-room", 900, "2026-05-20", "DEL-0005", false);
            for (subject, reason) in [
                ("trade-order/2025-05/legacy-db", "deleted-early"),
                ("destruction-register/2025-06/cabinet-3", "permanent-deleted"),
                ("refund-record/2025-07/legacy-db", "date-missing"),
                ("till-receipt-copy/2025-08/store-room", "no-schedule"),
            ] {
                self.truth.add("RET-002", format!("{MERCHANT}/{subject}"), reason);
            }
        }
        if self.faults.has("RET-005") {
            put("complaint", "2022-01", "old-laptop", 30, "", "", true);
            put("guest-book", "2026-06", "front-desk", 15, "", "", true);
            self.truth.add("RET-005", format!("{MERCHANT}/complaint/2022-01/old-laptop"), "kept-too-long");
            self.truth.add("RET-005", format!("{MERCHANT}/guest-book/2026-06/front-desk"), "no-schedule");
        }
        if self.faults.has("RET-007") {
            put("staff-identity-ops", "2026-07", "case-88", 4, "2026-08-20", "", true);
            self.truth.add(
                "RET-007",
                format!("{MERCHANT}/staff-identity-ops/2026-07/case-88"),
                "unregistered-under-hold",
            );
        }
        self.add("record_inventory", &rows);
        let hold = |reference: &str, class: &str, subject: &str, from: Local, to: &str, authority: &str| {
            vec![reference.into(), class.into(), subject.into(), from.iso(), to.into(), authority.into()]
        };
        let mut holds: Vec<Vec<String>> = vec![hold(
            "HOLD-01",
            "complaint",
            "",
            Local::date(2025, 9, 1),
            &Local::date(2025, 12, 1).iso(),
            "示例法院函1号",
        )];
        let deletion = |reference: &str, class: &str, subject: &str, part: &str, at: &str| -> Vec<String> {
            vec![
                reference.into(),
                class.into(),
                subject.into(),
                part.into(),
                at.into(),
                user_ref(ADMIN),
                user_ref(OWNER),
            ]
        };
        let mut deletions = vec![deletion(
            "DEL-0001",
            "staff-identity-ops",
            MERCHANT,
            "hr-export",
            &Local::at(2026, 4, 1, 10, 0, 0).iso(),
        )];
        if self.has("RET-002") {
            deletions.push(deletion(
                "DEL-0002",
                "trade-order",
                MERCHANT,
                "legacy-db",
                &Local::at(2026, 4, 10, 10, 0, 0).iso(),
            ));
            deletions.push(deletion(
                "DEL-0003",
                "destruction-register",
                MERCHANT,
                "cabinet-3",
                &Local::at(2026, 5, 2, 10, 0, 0).iso(),
            ));
            deletions.push(deletion(
                "DEL-0004",
                "refund-record",
                MERCHANT,
                "legacy-db",
                &Local::at(2026, 5, 9, 10, 0, 0).iso(),
            ));
            deletions.push(deletion(
                "DEL-0005",
                "till-receipt-copy",
                MERCHANT,
                "store-room",
                &Local::at(2026, 5, 20, 10, 0, 0).iso(),
            ));
        }
        if self.has("RET-007") {
            holds.push(hold("HOLD-02", "staff-identity-ops", MERCHANT, Local::date(2026, 8, 1), "", "示例法院函2号"));
            deletions.push(deletion(
                "DEL-0006",
                "staff-identity-ops",
                MERCHANT,
                "case-88-b",
                &Local::at(2026, 8, 25, 9, 0, 0).iso(),
            ));
            deletions.push(deletion("DEL-0007", "staff-identity-ops", MERCHANT, "case-88-c", ""));
            self.truth.add("RET-007", "DEL-0006", "deleted-under-hold");
            self.truth.add("RET-007", "DEL-0007", "date-missing");
        }
        self.add("legal_holds", &holds);
        self.add("deletions", &deletions);
    }

    fn network_log_days(&mut self) {
        let mut rows = Vec::new();
        let from = Local::date(2026, 1, 1);
        for (source, system) in [("gw-1", "网关访问日志"), ("app-1", "应用登录日志")] {
            let mut day = from;
            while day < AS_OF {
                let planted = self.has("RET-012") && source == "gw-1";
                let missing = planted && (day == Local::date(2026, 8, 9) || day == Local::date(2026, 8, 10));
                let absent = planted && day == Local::date(2026, 9, 3);
                if missing {
                    self.truth.add("RET-012", format!("{source}/{}", day.date_text()), "day-missing");
                } else {
                    rows.push(vec![
                        source.into(),
                        system.into(),
                        from.date_text(),
                        day.date_text(),
                        (!absent).to_string(),
                    ]);
                }
                if absent {
                    self.truth.add("RET-012", format!("{source}/{}", day.date_text()), "not-present");
                }
                day = day.plus(DAY);
            }
        }
        self.add("log_days", &rows);
    }

    fn archive(&mut self, opened: Local) {
        let monthly =
            ["orders", "payment-vouchers", "invoices", "refunds", "platform-bills", "complaints", "permission-logs"];
        let mut rows = Vec::new();
        let mut put = |class: &str, month: &str, sum: String| {
            let day = if month.is_empty() { String::new() } else { format!("{month}-01") };
            rows.push(vec![
                format!("ARC{:04}", rows.len() + 1),
                MERCHANT.into(),
                class.into(),
                day,
                "100".into(),
                "0".into(),
                sum,
                "财务档案室".into(),
                "2036-12-31".into(),
            ]);
        };
        for class in monthly {
            let mut month = opened.month();
            while month < AS_OF {
                let text = &month.date_text()[..7];
                let planted = self.faults.has("DRG-004") && class == "invoices";
                let subject = format!("{MERCHANT}/{class}/{text}");
                match text {
                    "2025-11" | "2026-02" if planted => self.truth.add("DRG-004", subject, "missing"),
                    "2026-05" if planted => {
                        put(class, text, String::new());
                        self.truth.add("DRG-004", subject, "no-digest");
                    }
                    _ => put(class, text, digest(&subject)),
                }
                month = month.next_month();
            }
        }
        put("notices", "", digest("notices"));
        if self.faults.has("DRG-004") {
            self.truth.add("DRG-004", format!("{MERCHANT}/contracts"), "missing");
        } else {
            put("contracts", "", digest("contracts"));
        }
        self.add("archive_items", &rows);
    }

    /// A run per merchant number and day, and every difference the bills show, settled; `traded` are days on which
    /// the first number took payments.
    fn reconciliation(&mut self, traded: &[Local]) {
        let missed = |policy: bool, n: usize| traded.get(n).copied().filter(|_| policy);
        let planted = self.has("REC-001");
        let odd = [(missed(planted, 1), "no-run"), (missed(planted, 3), "unfinished"), (missed(planted, 5), "late")];
        let (mut runs, mut day) = (Vec::new(), WINDOW);
        while day < AS_OF {
            for (i, mch) in MCHS.iter().enumerate() {
                let fault = odd.iter().find(|(at, _)| i == 0 && *at == Some(day)).map(|(_, reason)| *reason);
                if let Some(reason) = fault {
                    self.truth.add("REC-001", format!("wechat/{}/{}", mch.no, day.date_text()), reason);
                }
                let finished = match fault {
                    Some("no-run") => continue,
                    Some("unfinished") => None,
                    Some("late") => Some(day.plus(5 * DAY)),
                    _ => Some(day.plus(DAY + 11 * HOUR)),
                };
                runs.push(vec![
                    format!("RUN-{}-{}", mch.no, day.compact_date()),
                    mch.platform_word().into(),
                    mch.no.into(),
                    day.date_text(),
                    opt(finished.filter(|t| *t < AS_OF)),
                    String::new(),
                    user_ref(FINANCE[0]),
                ]);
            }
            day = day.plus(DAY);
        }
        self.add("recon_runs", &runs);
        let shown = [
            ("REC-004", &["amount-differs", "status-differs"][..], "amount"),
            ("REC-005", &["refund-amount-differs", "refund-status-differs", "not-here", "not-in-bill"][..], "status"),
            ("TXN-012", &["no-local-payment"][..], "missing_local"),
            ("TXN-013", &["not-in-bill"][..], "missing_platform"),
        ];
        let mut diffs: Vec<Vec<String>> = Vec::new();
        let mut put =
            |kind: &str, about: &str, opened: Local, closed: Option<Local>, people: [&str; 2], outcome: &str| {
                let reference = format!("DIFF{:04}", diffs.len() + 1);
                diffs.push(vec![
                    reference.clone(),
                    String::new(),
                    kind.into(),
                    String::new(),
                    about.into(),
                    String::new(),
                    opened.iso(),
                    opt(closed),
                    people[0].into(),
                    people[1].into(),
                    outcome.into(),
                ]);
                reference
            };
        let (clerk, lead) = (user_ref(FINANCE[1]), user_ref(FINANCE[0]));
        let (opened, closed) = (Local::at(2026, 9, 22, 10, 0, 0), Local::at(2026, 9, 25, 16, 0, 0));
        let mut is_forgotten = self.has("REC-007");
        for (policy, reasons, kind) in shown {
            for subject in self.truth.subjects(policy, reasons) {
                if std::mem::take(&mut is_forgotten) {
                    self.truth.add("REC-007", subject, "not-registered");
                    continue;
                }
                put(kind, &subject, opened, Some(closed), ["", &lead], "已查明并更正");
            }
        }
        if self.has("REC-007") {
            let open = put("other", "SETTLE-0815", opened.plus(-10 * DAY), None, ["", ""], "");
            let mute = put("other", "SETTLE-0822", opened, Some(closed), ["", &lead], "");
            let own = put("other", "SETTLE-0829", opened, Some(closed), [&clerk, &clerk], "已更正");
            self.truth.add("REC-007", open, "left-open");
            self.truth.add("REC-007", mute, "no-resolution");
            self.truth.add("REC-007", own, "closed-by-causer");
        }
        self.add("recon_diffs", &diffs);
    }

    fn closing(&mut self) {
        // Thirty days before the planned closing on 15 November, or too late for that.
        let published =
            if self.has("DRG-007") { Local::at(2026, 9, 20, 9, 0, 0) } else { Local::at(2026, 9, 1, 9, 0, 0) };
        let withdrawn = if self.has("DRG-007") { Local::at(2026, 9, 25, 9, 0, 0).iso() } else { String::new() };
        if self.has("DRG-007") {
            self.truth.add("DRG-007", super::merchant::DEREG_PROJECT, "withdrawn");
        }
        let notice = |reference: &str, channel: &str, at: Local, withdrawn: &str, text: &str| -> Vec<String> {
            let yes = || "true".to_owned();
            vec![reference.into(), channel.into(), at.iso(), withdrawn.into(), digest(text), yes(), yes(), yes(), yes()]
        };
        self.add(
            "notices",
            &[
                notice("NOTE-01", "home-page", published, &withdrawn, NOTICES[0]),
                notice("NOTE-02", "in-app", published.plus(DAY), "", NOTICES[1]),
            ],
        );
        let submissions: Vec<Vec<String>> = ["账号注销申请表", "营业执照副本", "法定代表人身份证明", "债权债务说明"]
            .iter()
            .enumerate()
            .map(|(i, title)| {
                vec![
                    format!("MAT{:02}", i + 1),
                    (*title).into(),
                    "true".into(),
                    String::new(),
                    String::new(),
                    digest(title),
                ]
            })
            .collect();
        self.add("submissions", &submissions);
        let signoffs: Vec<Vec<String>> = [
            ("technology", ADMIN),
            ("finance", FINANCE[0]),
            ("legal", OWNER),
            ("operations", 1009),
            ("customer-service", 1005),
        ]
        .iter()
        .map(|(dept, by)| vec![(*dept).into(), user_ref(*by), Local::at(2026, 9, 28, 15, 0, 0).iso(), digest(dept)])
        .collect();
        self.add("signoffs", &signoffs);
        let mut interfaces = Vec::new();
        for mch in &MCHS {
            for code in ["pay", "refund", "bill"] {
                interfaces.push(vec![mch.no.into(), code.into(), String::new(), AS_OF.plus(-3 * HOUR).iso()]);
            }
        }
        self.add("interface_status", &interfaces);
        let bindings: Vec<Vec<String>> =
            [("示例物流平台", "delivery"), ("示例短信平台", "sms"), ("示例会员平台", "crm")]
                .iter()
                .enumerate()
                .map(|(i, (party, scope))| {
                    vec![
                        format!("BIND{:02}", i + 1),
                        WECHAT_APP.into(),
                        (*party).into(),
                        (*scope).into(),
                        OPENED.iso(),
                        String::new(),
                    ]
                })
                .collect();
        self.add("third_party_bindings", &bindings);
    }

    fn migration(&mut self) {
        let no = MCHS[0].no;
        let mut rows = Vec::new();
        let planted = self.has("MIG-011");
        for environment in ["sandbox", "prod"] {
            for (i, scenario) in SCENARIOS.iter().enumerate() {
                let fault = match (*scenario, environment) {
                    ("notify-repeat", "sandbox") => Some("not-tested"),
                    ("refund-partial", "prod") => Some("failed"),
                    ("pay-after-close", "prod") => Some("stale"),
                    _ => None,
                }
                .filter(|_| planted);
                if let Some(reason) = fault {
                    self.truth.add("MIG-011", format!("{no}/{scenario}/{environment}"), reason);
                }
                if fault == Some("not-tested") {
                    continue;
                }
                let day = if fault == Some("stale") { Local::date(2026, 8, 25) } else { Local::date(2026, 9, 10) };
                rows.push(vec![
                    format!("TEST{:03}", rows.len() + 1),
                    "wechat".into(),
                    no.into(),
                    (*scenario).into(),
                    environment.into(),
                    day.plus(10 * HOUR + i as i64 * 600).iso(),
                    if fault == Some("failed") { "fail" } else { "pass" }.into(),
                    digest(&format!("{scenario}{environment}")),
                ]);
            }
        }
        self.add("scenario_tests", &rows);
        let change = |i: i64, key: &str, day: i64| {
            vec![
                format!("CFG{i:02}"),
                no.into(),
                key.into(),
                Local::date(2026, 9, day).plus(9 * HOUR).iso(),
                user_ref(ADMIN),
            ]
        };
        self.add("config_changes", &[change(1, "notify_url", 1), change(2, "api_v3_key", 2)]);
        let counts: Vec<Vec<String>> = ["trade_orders", "payments", "refunds", "customers"]
            .iter()
            .flat_map(|name| ["2026-07", "2026-08"].map(|part| (*name, part)))
            .map(|(name, part)| {
                let target = match (name, part) {
                    ("payments", "2026-08") if self.faults.has("MIG-013") => {
                        self.truth.add("MIG-013", "payments/2026-08", "count-differs");
                        "4998"
                    }
                    ("customers", "2026-07") if self.faults.has("MIG-013") => {
                        self.truth.add("MIG-013", "customers/2026-07", "not-counted");
                        ""
                    }
                    _ => "5000",
                };
                vec![name.into(), part.into(), "5000".into(), target.into(), "1000000".into(), "1000000".into()]
            })
            .collect();
        self.add("migration_counts", &counts);
    }
}
