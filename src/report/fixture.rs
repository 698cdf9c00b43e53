//! A fabricated merchant for tests: every section of the report has something to show. All values are invented.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::NaiveDate;

use super::facts::*;
use super::inputs::*;
use crate::config::case::{Case, CaseKind};
use crate::finding::*;
use crate::model::{Bilingual, Digest};

fn b(zh: &str, en: &str) -> Bilingual {
    Bilingual::new(zh, en)
}

fn s(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn case(kind: CaseKind) -> Case {
    let row = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Case {
        dir: PathBuf::new(),
        kind,
        title: "鲜果社区店关停（样例）".into(),
        merchant: "青禾鲜果（样例）有限公司".into(),
        organisation: "青禾鲜果（样例）有限公司".into(),
        custodian: "法务部档案室".into(),
        zone: chrono_tz::Asia::Shanghai,
        as_of: "2026-09-30T16:00:00Z".parse().unwrap(),
        window: (NaiveDate::from_ymd_opt(2026, 7, 1).unwrap(), NaiveDate::from_ymd_opt(2026, 10, 1).unwrap()),
        decided_on: NaiveDate::from_ymd_opt(2026, 10, 1),
        stream: "qinghe-close".into(),
        dataset_coverage: std::collections::BTreeMap::new(),
        coverage: None,
        sources: vec![],
        bills: vec![],
        registers: "registers".into(),
        secrets: "secrets".into(),
        deregistration: Some(row(&[("project_ref", "D1"), ("planned_close_on", "2026-11-15")])),
        migration: Some(row(&[
            ("project_ref", "M1"),
            ("project_kind", "mch-change"),
            ("platform", "wechat"),
            ("source_mch_id", "1900000101"),
            ("target_mch_id", "1900000109"),
            ("planned_cutover_on", "2026-11-20"),
        ])),
        leak_exceptions: vec![],
        keeps_raw: true,
    }
}

pub(super) fn policy(id: &str, zh: &str, en: &str, severity: Severity, outcome: Outcome) -> PolicyResult {
    PolicyResult {
        id: id.into(),
        revision: 1,
        digest: Digest([7; 32]),
        title: b(zh, en),
        rationale: b(
            "资金未清而提交注销，平台将拒绝且款项可能无法追回。",
            "A platform refuses to close while money is open, and the money may be lost.",
        ),
        severity,
        tier: 1,
        outcome,
        why_code: None,
        why: None,
        population: Some(12_345),
        findings: 0,
        waived: 0,
        subject_kind: "payment".into(),
        reasons: vec![],
        first: vec![],
        basis: vec![],
        conflicts: vec![],
        remedy: Remedy {
            text: b("查明原因并处理。", "Find the cause and handle it."),
            owner: "finance".into(),
            due: "3 days".into(),
        },
        parameters: vec![],
        datasets: vec!["payments".into()],
    }
}

pub(super) fn finding(policy: &str, subject: &str, evidence: &[(&str, &str)]) -> Finding {
    Finding {
        policy: policy.into(),
        subject_kind: "payment".into(),
        subject: subject.into(),
        reason: "not-refunded".into(),
        severity: Severity::Critical,
        occurred: s("2026-09-28T02:10:00Z"),
        evidence: evidence.iter().map(|(k, v)| ((*k).to_owned(), s(v))).collect(),
        fingerprint: "f1:abcdefghijklmnopqrstuvwxyz".into(),
        waiver: None,
    }
}

fn basis(source: &str, zh: &str, en: &str, place: &str, force: &str, mark: &str, is_legal: bool) -> Basis {
    Basis {
        source: source.into(),
        title: b(zh, en),
        place: place.into(),
        version: s("2019-01-01"),
        force: force.into(),
        mark: mark.into(),
        is_legal,
    }
}

fn failing(
    mut p: PolicyResult,
    findings: Vec<Finding>,
    total: u64,
    basis: Vec<Basis>,
    remedy: Bilingual,
) -> PolicyResult {
    p.reasons = vec![ReasonCount {
        code: "not-refunded".into(),
        text: b("未原路退款", "not refunded by the original route"),
        count: total,
    }];
    p.first = findings;
    p.findings = total;
    p.basis = basis;
    p.remedy.text = remedy;
    p
}

pub(super) fn assessment() -> Assessment {
    use Outcome::{Fail, NotApplicable, NotEvaluated, Pass, Waived};
    use Severity::{Critical, High, Medium};
    let mut policies = vec![
        failing(
            policy("DRG-004", "归档类别不全", "Archive classes incomplete", Critical, Fail),
            vec![finding("DRG-004", "invoices/2026-08", &[("archive_class", "invoices"), ("month_on", "2026-08-01")])],
            3,
            vec![basis(
                "S0",
                "小程序迁移或注销（种子文档）",
                "Seed document on closing mini-programs",
                "§二",
                "platform-default",
                "seed",
                false,
            )],
            b("补归档缺失的类别与月份。", "Archive the missing classes and months."),
        ),
        failing(
            policy("DRG-007", "首页公示不足三十日", "Home-page notice shorter than 30 days", Critical, Fail),
            vec![finding("DRG-007", "D1", &[("published_on", "2026-10-28"), ("planned_close_on", "2026-11-15")])],
            1,
            vec![basis("ECL", "电子商务法", "E-Commerce Law", "第十六条", "statute", "read", true)],
            b("立即在首页显著位置公示，或推迟关停日期。", "Publish on the home page now, or postpone the closing."),
        ),
        failing(
            policy("FND-002", "注销/迁移前余额未提清", "Balance not withdrawn", Critical, Fail),
            vec![
                finding("FND-002", "1900000101/basic", &[("mch_id", "1900000101"), ("amount_fen", "184320055")]),
                finding("FND-002", "1900000101/unsettled", &[("mch_id", "1900000101"), ("amount_fen", "2205040")]),
            ],
            2,
            vec![basis(
                "WX-CANCEL",
                "微信支付注销提现",
                "WeChat Pay closing and withdrawal",
                "资格校验",
                "platform",
                "read",
                false,
            )],
            b("提现至结算账户，余额清零后再提交。", "Withdraw to the settlement account and submit only at zero."),
        ),
        failing(
            policy(
                "TXN-003",
                "已付关单未原路退",
                "Paid after close, not refunded by the original route",
                Critical,
                Fail,
            ),
            (0..12)
                .map(|i| {
                    finding(
                        "TXN-003",
                        &format!("P2026092800{i:02}"),
                        &[
                            ("mch_id", "2088000000001"),
                            ("paid_fen", "12980"),
                            ("refunded_fen", "0"),
                            ("order_ref", "O-778"),
                        ],
                    )
                })
                .collect(),
            61,
            vec![
                basis(
                    "CPL",
                    "消费者权益保护法",
                    "Consumer Protection Law",
                    "第二十五条",
                    "statute",
                    "secondary",
                    false,
                ),
                basis(
                    "S3",
                    "资金支付流程（种子文档）",
                    "Seed document on payment",
                    "§八",
                    "platform-default",
                    "seed",
                    false,
                ),
            ],
            b(
                "对关单后到账的支付逐笔原路全额退款。",
                "Refund every payment that arrived after closing in full, by the original route.",
            ),
        ),
        policy("FND-004", "在途退款未清", "Refunds in flight", Critical, Pass),
        policy("RET-007", "法律保全期间删除", "Deleted under legal hold", Critical, NotApplicable),
        policy("DAT-006", "源文件摘要一致", "Input files match their digests", Critical, Pass),
        policy("OFB-001", "未结客诉或退款即解除", "Removed while a complaint is open", Critical, Waived),
        policy("MIG-011", "支付场景未全覆盖", "Payment scenarios not all verified", Critical, NotEvaluated),
        policy("LOG-004", "权限日志不足五年", "Permission logs under five years", Medium, Pass),
        policy("PRM-010", "离职后权限未收回", "Access left after departure", High, Fail),
        policy("DAT-001", "必需数据集齐备", "Required data present", High, NotEvaluated),
    ];
    for p in &mut policies {
        match p.outcome {
            NotApplicable => p.why = Some(b("登记簿中没有法律保全", "no legal hold is registered")),
            NotEvaluated => {
                p.why_code = s("dataset-missing");
                p.why = Some(b("缺少数据集 scenario_tests", "the dataset scenario_tests is missing"));
                p.population = None;
            }
            Waived => {
                let mut f = finding(&p.id, "s_ab3kd9x2m4", &[("removed_on", "2026-08-02")]);
                f.waiver = s("W-2026-014");
                (p.findings, p.waived, p.first) = (1, 1, vec![f]);
            }
            _ => {}
        }
        if p.id == "PRM-010" {
            p.findings = 1;
            p.first = vec![finding(
                "PRM-010",
                "s_q7h2m5n8p1",
                &[("departed_on", "2026-06-30"), ("note", "<script>alert(1)</script>")],
            )];
            p.reasons = vec![ReasonCount {
                code: "active-after-departure".into(),
                text: b("离职后账号仍在用", "account active after departure"),
                count: 1,
            }];
            p.conflicts = vec![Conflict {
                id: "C12".into(),
                text: b(
                    "种子文档要求先审计后解绑，安全做法是先解除权限；本工具默认前者。",
                    "The seed wants the audit first, safe practice removes access first; the default follows the seed.",
                ),
            }];
            p.parameters = vec![ParamUse { name: "grace".into(), value: "24 hours".into(), origin: "default".into() }];
        }
    }
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    Assessment {
        assessment_format: 1,
        tool_version: "0.1.0".into(),
        schema_version: "1.0".into(),
        archive_id: "urn:uuid:00000000-0000-4000-8000-000000000001".into(),
        archive_digest: Digest([0x5a; 32]),
        statement_hash: Digest([0x3c; 32]),
        verification: "FULL: files+rows, no time-stamp".into(),
        pack: "cn-miniprogram 1.0.0".into(),
        pack_digest: Digest([0x11; 32]),
        legal_review: None,
        sets: vec!["audit-core".into(), "deregistration".into()],
        role: "self-operated".into(),
        as_of: "2026-10-01T00:00:00+08:00".into(),
        window: ("2026-07-01".into(), "2026-10-01".into()),
        decided_on: "2026-10-01".into(),
        zone: "Asia/Shanghai".into(),
        inputs: BTreeMap::from([
            ("profile.toml".into(), Digest([0x22; 32])),
            ("waivers.toml".into(), Digest([0x33; 32])),
        ]),
        profile_lines: vec![ProfileLine {
            kind: "override".into(),
            subject: "TXN-003".into(),
            text: "refund_within = 12 hours".into(),
            reason: "内控更严".into(),
            owner: "finance".into(),
            until: None,
        }],
        datasets: vec![
            DatasetUse {
                name: "payments".into(),
                rows: 1_204_551,
                coverage: Some(("2025-04-01".into(), "2026-10-01".into())),
            },
            DatasetUse {
                name: "refunds".into(),
                rows: 30_112,
                coverage: Some(("2025-04-01".into(), "2026-10-01".into())),
            },
        ],
        waivers: vec![WaiverUse {
            id: "W-2026-014".into(),
            policy: "OFB-001".into(),
            why: b("客诉已由总部接手，书面确认在案。", "Head office took the complaint over, confirmed in writing."),
            owner: "operations-lead".into(),
            approver: "counsel".into(),
            expires_on: "2026-12-31".into(),
            days_left: 91,
            covered: 1,
            state: "valid".into(),
        }],
        summary: Summary::of(&policies),
        findings_count: policies.iter().map(|p| p.findings).sum(),
        policies,
        findings_csv: "findings.csv".into(),
    }
}

pub(super) fn archive(draft: bool) -> ArchiveFacts {
    ArchiveFacts {
        id: "urn:uuid:00000000-0000-4000-8000-000000000001".into(),
        digest: Digest([0x5a; 32]),
        statement_hash: Digest([0x3c; 32]),
        stream: "qinghe-close".into(),
        sequence: 3,
        draft,
        signers: vec!["9f".repeat(32)],
        created_at: "2026-10-01T01:12:00Z".into(),
        folder: "qinghe-close-0003".into(),
        verification: vec![
            b("FULL：文件与行，无时间戳", "FULL: files+rows, no time-stamp"),
            b(
                "签名者 9f9f9f9f（keyring/keyring.json）：请与本交付之外的来源核对",
                "signed by 9f9f9f9f (keyring/keyring.json): compare with a source outside this delivery",
            ),
        ],
        tables: vec![
            TableRows { name: "payments".into(), rows: 1_204_551, is_raw: false },
            TableRows { name: "refunds".into(), rows: 30_112, is_raw: false },
        ],
        reconciliation: Reconciliation {
            unmapped: vec![UnmappedTable { source: "shop".into(), table: "app_banner".into(), rows: 42 }],
            selected: vec![SelectedTable {
                source: "shop".into(),
                table: "pay_order".into(),
                dataset: "payments".into(),
                whole_rows: 1_204_600,
                taken_rows: 1_204_551,
                excluded_rows: 49,
                condition: "channel <> 'mock'".into(),
            }],
            quarantine: vec![QuarantineLine {
                dataset: "refunds".into(),
                column: "amount_fen".into(),
                reason: "not-a-number".into(),
                rows: 2,
            }],
        },
    }
}

pub(super) fn pack() -> PackFacts {
    let row = |class: &str,
               zh: &str,
               en: &str,
               min: Option<&str>,
               pi: Option<&str>,
               permanent,
               anchor: &str,
               basis: &str,
               mark: &str| ScheduleRow {
        data_class: class.into(),
        title: b(zh, en),
        legal_role: "any".into(),
        min_period: min.map(Into::into),
        pi_max_period: pi.map(Into::into),
        is_permanent: permanent,
        anchor_kind: anchor.into(),
        basis_refs: vec![basis.into()],
        mark: mark.into(),
        owner: "finance".into(),
        note: None,
        conflicts: if class == "permission-log" { vec!["C1".into()] } else { vec![] },
    };
    PackFacts {
        policy_ids: BTreeSet::from(["DRG-001".to_owned()]),
        titles: BTreeMap::from([("TAX-R".into(), b("《税收征收管理法实施细则》", "Tax Collection Regulations"))]),
        schedule: vec![
            row(
                "payment-record",
                "支付记录",
                "Payment records",
                Some("10 years"),
                Some("3 years"),
                false,
                "completed",
                "TAX-R art. 29",
                "read",
            ),
            row(
                "permission-log",
                "权限变更日志",
                "Permission logs",
                Some("5 years"),
                Some("6 years"),
                false,
                "event",
                "S1§五",
                "seed",
            ),
            row(
                "acc-voucher",
                "会计凭证",
                "Accounting vouchers",
                Some("30 years"),
                None,
                false,
                "fiscal-year-end",
                "AAM art. 14",
                "secondary",
            ),
            row(
                "destruction-register",
                "销毁清册",
                "Destruction registers",
                None,
                None,
                true,
                "event",
                "AAM art. 14",
                "secondary",
            ),
        ],
        conflicts: vec![ConflictText {
            id: "C1".into(),
            text: b(
                "种子文档要求权限日志保存五年；法律仅要求网络日志六个月。默认五年，只可加长。",
                "A seed document keeps permission logs for five years, the law network logs for six months. Default five years, may only be raised.",
            ),
        }],
    }
}

/// Two numbers over the quarter: every state of a day, differences of several kinds, a number without any bill.
fn reconciliation() -> ReconFacts {
    let numbers = [("alipay", "2088000000001", 41), ("wechat", "1900000101", 130)];
    let first = NaiveDate::from_ymd_opt(2026, 7, 1).unwrap();
    let (mut days, mut bill_days) = (Vec::new(), Vec::new());
    for (i, on) in first.iter_days().take(92).enumerate() {
        for (platform, mch, base) in numbers {
            let (day, mch_id) = (s(&on.to_string()), s(mch));
            let is_alipay = platform == "alipay";
            let (matched, different, not_compared) = match (i, is_alipay) {
                (17, false) => (0, 0, 118),
                (18, false) => (126, 0, 2),
                (40, false) => (129, 3, 0),
                (41, false) => (5, 120, 0),
                (60, true) => (40, 1, 0),
                (70 | 71, true) => (0, 0, 0),
                _ => (base + i as u64 % 17, 0, 0),
            };
            if (i, is_alipay) != (17, false) && (i, is_alipay) != (71, true) {
                bill_days.push(BillDay {
                    platform: platform.into(),
                    mch_id: mch_id.clone(),
                    day: day.clone(),
                    is_damaged: i == 30,
                });
            }
            days.push(ReconDay { platform: platform.into(), mch_id, day, matched, different, not_compared });
        }
    }
    days.push(ReconDay {
        platform: "unionpay".into(),
        mch_id: None,
        day: s("2026-08-15"),
        not_compared: 4,
        ..ReconDay::default()
    });
    days.push(ReconDay { platform: "wechat".into(), mch_id: s("1900000101"), different: 1, ..ReconDay::default() });
    let sum =
        |platform: &str, mch: Option<&str>, about: &str, kind: &str, local: (u64, i64), line: (u64, i64)| ReconSum {
            platform: platform.into(),
            mch_id: mch.map(Into::into),
            about: about.into(),
            kind: kind.into(),
            items: local.0.max(line.0),
            local_count: local.0,
            local_fen: local.1,
            platform_count: line.0,
            platform_fen: line.1,
        };
    let (w, a) = (Some("1900000101"), Some("2088000000001"));
    let difference =
        |day: &str, kind: &str, about: &str, number: &str, local: Option<i64>, line: Option<i64>| ReconDifference {
            day: s(day),
            kind: kind.into(),
            about: about.into(),
            platform: s("wechat"),
            mch_id: s("1900000101"),
            number: s(number),
            local_ref: local.map(|_| "p48211".into()),
            local_fen: local,
            platform_fen: line,
            local_status: local.map(|_| "succeeded".into()),
            platform_status: line.map(|_| "SUCCESS".into()),
        };
    ReconFacts {
        days,
        bill_days,
        sums: vec![
            sum("alipay", a, "payment", "amount", (1, 3_990), (1, 3_890)),
            sum("alipay", a, "payment", "matched", (4_010, 15_999_100), (4_010, 15_999_100)),
            sum("unionpay", None, "payment", "not_compared", (4, 12_000), (0, 0)),
            sum("wechat", w, "payment", "matched", (12_300, 49_077_000), (12_300, 49_077_000)),
            sum("wechat", w, "payment", "missing_local", (0, 0), (122, 486_780)),
            sum("wechat", w, "payment", "missing_platform", (1, 3_990), (0, 0)),
            sum("wechat", w, "payment", "not_compared", (120, 478_800), (0, 0)),
            sum("wechat", w, "refund", "status", (1, 2_680), (1, 2_680)),
        ],
        differences: vec![
            difference("2026-08-10", "missing_local", "payment", "4200000925202608100000000001", None, Some(3_990)),
            difference("2026-08-10", "missing_platform", "payment", "4200000925202608100000000002", Some(3_990), None),
            difference("2026-08-10", "status", "refund", "5030000925202608100000000003", Some(2_680), Some(2_680)),
        ],
    }
}

pub(super) fn facts() -> Facts {
    let balance =
        |mch: Option<&str>, platform: &str, kind: &str, owner: &str, available: i64, frozen: i64| BalanceFact {
            mch_id: mch.map(Into::into),
            platform: s(platform),
            kind: kind.into(),
            owner_kind: s(owner),
            accounts: 1,
            available_fen: available,
            frozen_fen: frozen,
            unknown: 0,
            observed_on: s("2026-09-30"),
        };
    let mch = |id: &str, platform: &str| MchFact {
        mch_id: id.into(),
        platform: platform.into(),
        access_mode: s("direct"),
        state: s("active"),
        closed_on: None,
        last_paid_on: s("2026-09-30"),
        last_trade_on: s("2026-09-30"),
    };
    let months = (0..18_i64)
        .flat_map(|i| {
            let (year, month) = (2025 + (3 + i) / 12, (3 + i) % 12 + 1);
            [("wechat", 52_000_000_i64, 5), ("alipay", 21_500_000, 2), ("unionpay", 6_300_000, 1)].map(
                |(platform, base, share)| MonthFlow {
                    month: format!("{year}-{month:02}"),
                    platform: platform.into(),
                    payments: 40_000,
                    paid_fen: base + (i * 7919 % 13) * base / 20,
                    refunded_fen: base * share / 100,
                },
            )
        })
        .collect();
    Facts {
        missing: vec!["scenario_tests".into()],
        apps: vec![
            AppFact {
                app_ref: "A1".into(),
                platform: "wechat_mini".into(),
                platform_app_id: s("wx0000000000000001"),
                name: s("青禾鲜果"),
                status: s("live"),
                icp_record_no: s("样ICP备00000001号-1X"),
                ..AppFact::default()
            },
            AppFact {
                app_ref: "A2".into(),
                platform: "alipay_mini".into(),
                platform_app_id: s("2021000000000001"),
                name: s("青禾鲜果"),
                status: s("live"),
                ..AppFact::default()
            },
        ],
        mchs: vec![
            mch("1900000101", "wechat"),
            mch("1900000102", "wechat"),
            mch("2088000000001", "alipay"),
            mch("898000000000001", "unionpay"),
        ],
        balances: vec![
            balance(Some("1900000101"), "wechat", "basic", "merchant", 184_320_055, 0),
            balance(Some("1900000101"), "wechat", "unsettled", "merchant", 2_205_040, 0),
            balance(Some("1900000101"), "wechat", "merchant_pending", "merchant", 2_205_040, 0),
            balance(Some("1900000101"), "wechat", "gateway_transit", "merchant", 12_980, 0),
            balance(Some("1900000102"), "wechat", "basic", "merchant", 0, 0),
            balance(Some("2088000000001"), "alipay", "basic", "merchant", 30_118_700, 1_000_000),
            balance(Some("898000000000001"), "unionpay", "unsettled", "merchant", 4_410_000, 0),
            balance(None, "balance", "customer_balance", "customer", 61_250_000, 0),
            balance(None, "balance", "gift_card_liability", "merchant", 3_300_000, 0),
        ],
        ledger: vec![],
        refunds_in_flight: vec![RefundFact {
            mch_id: s("2088000000001"),
            platform: s("alipay"),
            refunds: 7,
            amount_fen: 91_860,
        }],
        withdrawals: vec![WithdrawalFact {
            mch_id: s("1900000101"),
            platform: s("wechat"),
            withdrawals: 1,
            amount_fen: 5_000_000,
        }],
        months,
        bills: vec![
            BillSpan {
                platform: "wechat".into(),
                mch_id: s("1900000101"),
                first_on: s("2026-07-01"),
                last_on: s("2026-09-30"),
                bills: 92,
            },
            BillSpan {
                platform: "alipay".into(),
                mch_id: s("2088000000001"),
                first_on: s("2026-07-01"),
                last_on: s("2026-09-29"),
                bills: 91,
            },
        ],
        reconciliation: Some(reconciliation()),
        notices: vec![NoticeFact {
            notice_ref: "N1".into(),
            channel: "home-page".into(),
            published_on: s("2026-10-28"),
            withdrawn_on: None,
        }],
        signoffs: vec![
            SignoffFact { dept: "finance".into(), signed_on: s("2026-09-20") },
            SignoffFact { dept: "legal".into(), signed_on: None },
        ],
        submissions: vec![SubmissionFact {
            material_code: "licence".into(),
            title: s("营业执照"),
            is_required: Some(true),
            submitted_on: s("2026-09-20"),
            accepted_on: None,
        }],
        interfaces: Some((14, 3)),
        bindings: Some((6, 1)),
        tests: vec![TestFact {
            platform: "wechat".into(),
            mch_id: s("1900000109"),
            scenario: "pay-ok".into(),
            environment: s("sandbox"),
            outcome: s("pass"),
            run_on: s("2026-09-10"),
        }],
        counts: vec![CountFact {
            dataset_name: "payments".into(),
            partitions: 18,
            differing: 1,
            source_count: 1_204_551,
            target_count: 1_204_549,
            source_fen: 9_880_001,
            target_fen: 9_860_001,
        }],
        inventory: (0..18)
            .flat_map(|i| {
                let month = format!("{}-{:02}-01", 2025 + (3 + i) / 12, (3 + i) % 12 + 1);
                ["payment-record", "permission-log"].map(|class| InventoryMonth {
                    data_class: class.into(),
                    month_on: month.clone(),
                    records: 60_000 + i64::from(i),
                    anchor_on: None,
                    has_pi: true,
                    is_deleted: false,
                    is_restricted: false,
                })
            })
            .collect(),
        roles: vec![
            RoleCount { role: "owner".into(), state: "active".into(), accounts: 2 },
            RoleCount { role: "manager".into(), state: "active".into(), accounts: 58 },
            RoleCount { role: "cashier".into(), state: "active".into(), accounts: 301 },
            RoleCount { role: "cashier".into(), state: "released".into(), accounts: 96 },
        ],
        holders: vec![
            PermissionHolders {
                permission: "refund.approve".into(),
                is_money_related: true,
                roles: vec![("manager".into(), 58), ("owner".into(), 2)],
                accounts: 60,
            },
            PermissionHolders {
                permission: "order.read".into(),
                is_money_related: false,
                roles: vec![("cashier".into(), 301), ("manager".into(), 58)],
                accounts: 359,
            },
        ],
        changes: vec![ChangeMonth {
            month: "2026-09".into(),
            granted: 14,
            revoked: 9,
            removed: 6,
            other: 22,
            unsuccessful: 1,
        }],
        leavers: vec![Leaver {
            staff_ref: "s_q7h2m5n8p1".into(),
            role: s("cashier"),
            departed_on: s("2026-06-30"),
            state: s("active"),
            grants: 3,
            tokens: 1,
            devices: 0,
        }],
        leavers_total: 1,
    }
}
