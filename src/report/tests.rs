//! Tests over whole reports: verdicts, money, both languages, hostile text, the JSON form.

use std::collections::BTreeSet;

use super::blockers::{BLOCKERS, State, Step, examine};
use super::facts::{BalanceFact, Facts, RefundFact};
use super::fixture::{archive, assessment, case, facts, finding, pack, policy};
use super::inputs::Inputs;
use super::model::{Model, build};
use super::money::money;
use super::render::{html, json};
use super::verdict::{VerdictKind, judge};
use crate::config::case::CaseKind;
use crate::finding::{Assessment, Outcome, Severity};
use crate::model::{Bilingual, Lang};

fn model(kind: CaseKind, draft: bool) -> Model {
    model_of(kind, draft, &assessment(), &facts())
}

fn model_of(kind: CaseKind, draft: bool, assessment: &Assessment, facts: &Facts) -> Model {
    build(&Inputs {
        kind,
        case: &case(kind),
        assessment,
        archive: &archive(draft),
        pack: &pack(),
        facts,
        created_at: "2026-11-21T08:30:00Z".into(),
        assessment_href: "../assessments/qinghe-close-0003/".into(),
    })
}

fn all_blockers(outcome: Outcome) -> Assessment {
    let mut a = assessment();
    a.policies = BLOCKERS.iter().map(|b| policy(b.id, b.zh, b.en, Severity::Critical, outcome)).collect();
    for p in &mut a.policies {
        if outcome == Outcome::NotApplicable {
            p.why = Some(Bilingual::new("无对象", "nothing to examine"));
        }
    }
    a
}

#[test]
fn the_checklist_is_the_catalogues() {
    let ids: BTreeSet<&str> = BLOCKERS.iter().map(|b| b.id).collect();
    assert_eq!(ids.len(), 34);
    for b in &BLOCKERS {
        assert!(!b.guards.is_empty() && !b.supply_zh.is_empty() && !b.supply_en.is_empty(), "{}", b.id);
    }
}

#[test]
fn only_34_clear_blockers_may_submit() {
    for (outcome, expected) in [
        (Outcome::Pass, VerdictKind::MaySubmit),
        (Outcome::Waived, VerdictKind::MaySubmit),
        (Outcome::NotApplicable, VerdictKind::MaySubmit),
        (Outcome::NotEvaluated, VerdictKind::NoBlockerFound),
        (Outcome::Fail, VerdictKind::DoNotSubmit),
    ] {
        let checklist = examine(&all_blockers(outcome));
        assert_eq!(judge(&checklist, Step::CloseApp, None, false).0, expected, "{outcome:?}");
    }
}

#[test]
fn one_blocker_decides() {
    for blocker in &BLOCKERS {
        for (outcome, guarded, unguarded) in [
            (Some(Outcome::NotEvaluated), VerdictKind::NoBlockerFound, VerdictKind::NoBlockerFound),
            (None, VerdictKind::NoBlockerFound, VerdictKind::NoBlockerFound),
            (Some(Outcome::Fail), VerdictKind::DoNotSubmit, VerdictKind::NoBlockerFound),
        ] {
            let mut a = all_blockers(Outcome::Pass);
            match outcome {
                Some(o) => a.policies.iter_mut().filter(|p| p.id == blocker.id).for_each(|p| {
                    p.outcome = o;
                    p.findings = 1;
                }),
                None => a.policies.retain(|p| p.id != blocker.id),
            }
            let checklist = examine(&a);
            for step in [
                Step::PauseService,
                Step::CloseApp,
                Step::CloseMch,
                Step::CancelFiling,
                Step::DissolveEntity,
                Step::Freeze,
                Step::CutOver,
            ] {
                let expected = if blocker.guards.contains(&step) { guarded } else { unguarded };
                assert_eq!(judge(&checklist, step, None, false).0, expected, "{} {outcome:?} {step:?}", blocker.id);
            }
        }
    }
}

#[test]
fn a_silent_not_applicable_is_not_examined() {
    let mut a = all_blockers(Outcome::Pass);
    a.policies[0].outcome = Outcome::NotApplicable;
    let checklist = examine(&a);
    assert_eq!(checklist.not_examined, 1);
    assert_eq!(judge(&checklist, Step::CloseApp, None, false).0, VerdictKind::NoBlockerFound);
}

#[test]
fn a_number_not_named_is_not_held_up_but_never_may_submit() {
    let mut a = all_blockers(Outcome::Pass);
    let p = a.policies.iter_mut().find(|p| p.id == "FND-002").unwrap();
    p.outcome = Outcome::Fail;
    p.findings = 1;
    p.first = vec![finding("FND-002", "1900000101/basic", &[("mch_id", "1900000101"), ("amount_fen", "5")])];
    let checklist = examine(&a);
    assert_eq!(judge(&checklist, Step::CloseMch, Some("1900000101"), false).0, VerdictKind::DoNotSubmit);
    assert_eq!(judge(&checklist, Step::CloseMch, Some("1900000102"), false).0, VerdictKind::NoBlockerFound);
    assert_eq!(judge(&checklist, Step::CloseApp, None, false).0, VerdictKind::DoNotSubmit);
    // A list cut short may hide findings of any number.
    a.policies.iter_mut().find(|p| p.id == "FND-002").unwrap().findings = 2;
    assert_eq!(judge(&examine(&a), Step::CloseMch, Some("1900000102"), false).0, VerdictKind::DoNotSubmit);
}

#[test]
fn a_migration_is_at_best_unproven() {
    let clean = all_blockers(Outcome::Pass);
    let m = model_of(CaseKind::Migration, false, &clean, &facts());
    assert_eq!(m.verdict, Some(VerdictKind::NoBlockerFound));
    assert!(m.is_unproven);
    assert!(m.title.en.contains("declared, not measured"));
    assert_eq!(model_of(CaseKind::Deregistration, false, &clean, &facts()).verdict, Some(VerdictKind::MaySubmit));
}

#[test]
fn every_target_has_a_verdict_and_audits_have_none() {
    let m = model(CaseKind::Deregistration, false);
    let steps: Vec<(Step, usize)> = m.verdicts.iter().map(|g| (g.step, g.targets)).collect();
    assert_eq!(
        steps,
        [
            (Step::PauseService, 2),
            (Step::CloseApp, 2),
            (Step::CloseMch, 4),
            (Step::CancelFiling, 1),
            (Step::DissolveEntity, 1)
        ]
    );
    // 30 days of notice from 28 October, then 30 quiet days.
    assert_eq!(m.verdicts[0].verdicts[0].earliest_on.as_deref(), Some("2026-11-27"));
    assert_eq!(m.verdicts[2].verdicts[0].earliest_on.as_deref(), Some("2026-12-27"));
    assert_eq!(m.verdicts[2].verdicts[0].not_before_on.as_deref(), Some("2027-09-30"));
    assert_eq!(m.lapses_at.as_deref(), Some("2026-10-01T16:00:00Z"));
    assert!(m.is_lapsed);
    assert_eq!(m.bills_to.as_deref(), Some("2026-09-29"));
    let audit = model(CaseKind::Audit, false);
    assert!(audit.verdict.is_none() && audit.verdicts.is_empty() && audit.plan.is_empty() && audit.lapses_at.is_none());
}

#[test]
fn actions_go_by_severity_then_money() {
    let m = model(CaseKind::Deregistration, false);
    let ids: Vec<&str> = m.actions.iter().map(|a| a.policy.as_str()).collect();
    assert_eq!(ids, ["FND-002", "TXN-003", "DRG-004"]);
    assert!(m.actions[1].is_amount_partial && !m.actions[0].is_amount_partial);
    // Nothing failed: what is missing becomes the work to do.
    let mut a = assessment();
    a.policies.clear();
    let m = model_of(CaseKind::Deregistration, false, &a, &facts());
    assert_eq!(m.actions.len(), 3);
    assert!(m.actions.iter().all(|a| a.severity.is_none()));
}

fn assert_each_fen_once(f: &Facts) {
    let m = money(f);
    assert_eq!(m.transit_fen + m.owed_fen + m.in_refund_fen + m.unsettled_fen + m.available_fen, m.at_risk_fen);
    assert_eq!(m.at_risk_fen, m.platform_fen + m.shortfall_fen);
    assert_eq!(m.transit_fen + m.unsettled_fen + m.available_fen, m.own_fen);
    let steps: i64 = m.bridge.iter().filter(|b| b.code != "own").map(|b| b.amount_fen).sum();
    assert_eq!(steps, m.own_fen);
    for row in &m.mchs {
        assert_eq!(
            row.transit_fen + row.unsettled_fen + row.in_refund_fen + row.available_fen,
            row.platform_fen,
            "{row:?}"
        );
    }
    assert_eq!(m.mchs.iter().map(|r| r.platform_fen).sum::<i64>(), m.platform_fen);
}

#[test]
fn money_adds_up() {
    assert_each_fen_once(&facts());
    let m = money(&facts());
    // The ledger's view of what the platform already reported is not counted a second time.
    assert_eq!(m.platform_fen, 184_320_055 + 2_205_040 + 12_980 + 31_118_700 + 4_410_000);
    assert_eq!(m.owed_fen, 64_550_000);
}

#[test]
fn refunds_and_stored_value_beyond_the_balance_are_a_shortfall() {
    let balance = |kind: &str, fen| BalanceFact {
        mch_id: Some("1".into()),
        platform: Some("wechat".into()),
        kind: kind.into(),
        available_fen: fen,
        ..BalanceFact::default()
    };
    let f = Facts {
        balances: vec![balance("basic", 100), balance("gateway_transit", 30), balance("customer_balance", 500)],
        refunds_in_flight: vec![RefundFact {
            mch_id: Some("1".into()),
            platform: Some("wechat".into()),
            refunds: 2,
            amount_fen: 110,
        }],
        ..Facts::default()
    };
    assert_each_fen_once(&f);
    let m = money(&f);
    assert_eq!((m.platform_fen, m.in_refund_fen, m.owed_fen, m.own_fen, m.shortfall_fen), (130, 110, 500, 0, 480));
    assert_each_fen_once(&Facts::default());
    assert!(!money(&Facts::default()).is_known);
}

#[test]
fn stored_value_of_the_ledger_counts_unless_balances_show_it() {
    let line = |kind: &str, platform: Option<&str>, mch: Option<&str>, fen| BalanceFact {
        mch_id: mch.map(Into::into),
        platform: platform.map(Into::into),
        kind: kind.into(),
        available_fen: fen,
        ..BalanceFact::default()
    };
    let mut f = Facts {
        balances: vec![line("basic", Some("wechat"), Some("1"), 1_000)],
        ledger: vec![line("customer_balance", Some("balance"), None, 300)],
        ..Facts::default()
    };
    assert_each_fen_once(&f);
    let m = money(&f);
    assert_eq!((m.owed_fen, m.available_fen, m.at_risk_fen), (300, 700, 1_000));
    // Observed balances of customers are the same money seen twice.
    f.balances.push(line("customer_balance", None, None, 250));
    assert_each_fen_once(&f);
    assert_eq!(money(&f).owed_fen, 250);
}

#[test]
fn amounts_not_obtained_are_named() {
    let mut f = facts();
    assert!(money(&f).unobserved.is_empty() || !money(&f).mchs.is_empty());
    f.balances[0].unknown = 1;
    let gone = f.mchs[0].mch_id.clone();
    f.balances.retain(|b| b.mch_id.as_ref() != Some(&gone));
    f.balances.iter_mut().take(1).for_each(|b| b.unknown = 2);
    let m = money(&f);
    assert!(m.unobserved.contains(&gone));
    assert_eq!(m.unknown_accounts, 2);
    let page = html(&model_of(CaseKind::Deregistration, false, &assessment(), &f), Lang::En).unwrap();
    assert!(page.contains("at least") && page.contains("no observed balance at all"));
}

#[test]
fn no_page_shows_a_placeholder_and_every_inner_link_resolves() {
    for kind in [CaseKind::Deregistration, CaseKind::Migration, CaseKind::Audit] {
        let m = model(kind, false);
        for lang in [Lang::Zh, Lang::En] {
            let page = html(&m, lang).unwrap();
            let body = page.split("</style>").nth(1).unwrap();
            assert!(!body.contains("_fen}") && !body.contains("_ref}"));
            for link in body.split("href=\"#").skip(1) {
                let target = link.split('"').next().unwrap();
                assert!(body.contains(&format!("id=\"{target}\"")), "{kind:?} #{target}");
            }
        }
    }
}

#[test]
fn money_adds_up_for_many_shapes() {
    for seed in 0..500_i64 {
        let n = |k: i64| (seed * 7919 + k * 104_729) % 1000;
        let kinds = [
            "basic",
            "unsettled",
            "gateway_transit",
            "merchant_pending",
            "merchant_available",
            "customer_balance",
            "margin",
            "external",
        ];
        let f = Facts {
            balances: (0..8)
                .map(|k| BalanceFact {
                    mch_id: (n(k) % 3 > 0).then(|| (n(k) % 3).to_string()),
                    platform: Some("wechat".into()),
                    kind: kinds[usize::try_from(k).unwrap()].into(),
                    available_fen: n(k + 1),
                    frozen_fen: n(k + 2) % 50,
                    ..BalanceFact::default()
                })
                .collect(),
            refunds_in_flight: (0..3)
                .map(|k| RefundFact {
                    mch_id: Some(k.to_string()),
                    platform: Some("wechat".into()),
                    refunds: 1,
                    amount_fen: n(k + 20),
                })
                .collect(),
            ..Facts::default()
        };
        assert_each_fen_once(&f);
    }
}

#[test]
fn both_languages_have_the_same_sections_and_numbers() {
    for kind in [CaseKind::Deregistration, CaseKind::Migration, CaseKind::Audit] {
        let m = model(kind, false);
        let (zh, en) = (html(&m, Lang::Zh).unwrap(), html(&m, Lang::En).unwrap());
        for tag in ["<section", "<h2", "<h3", "<table", "<tr", "<td", "<li", "<article", "<rect"] {
            assert_eq!(zh.matches(tag).count(), en.matches(tag).count(), "{tag} in {kind:?}");
        }
        let amounts = |page: &str| -> Vec<String> {
            page.split("class=\"num\"")
                .skip(1)
                .map(|s| s.split('>').nth(1).unwrap_or("").split('<').next().unwrap_or("").to_owned())
                .filter(|s| s.contains('.'))
                .collect()
        };
        assert_eq!(amounts(&zh), amounts(&en));
        let text = |page: &str| page.split("</style>").nth(1).unwrap().to_owned();
        assert!(text(&zh).contains(&m.archive.digest.to_string()) && text(&en).contains(&m.archive.digest.to_string()));
        assert!(!en.contains("不得提交") && !zh.contains("Do not submit"));
    }
}

#[test]
fn pages_are_self_contained_and_hostile_text_is_harmless() {
    let mut a = assessment();
    a.decided_on = "2026-10-01".into();
    a.policies[0].title = Bilingual::new("<img/onerror=alert(1)>", "</style><script>alert(2)</script>");
    for kind in [CaseKind::Deregistration, CaseKind::Migration, CaseKind::Audit] {
        let m = model_of(kind, true, &a, &facts());
        for lang in [Lang::Zh, Lang::En] {
            let page = html(&m, lang).unwrap();
            assert!(!page.contains("<script") && !page.contains("<img"), "{kind:?}");
            assert!(page.contains("&lt;script&gt;alert(1)"));
            for outside in ["http://", "https://", "src=", "@import", "url("] {
                assert!(!page.contains(outside), "{outside}");
            }
            for link in page.split("href=\"").skip(1) {
                assert!(
                    link.starts_with('#')
                        || link.starts_with("../assessments/")
                        || link.starts_with("..&#x2f;assessments"),
                    "{}",
                    &link[..40]
                );
            }
            assert!(page.contains(lang.pick("草稿", "DRAFT")));
            assert!(!page.contains(">none<"), "an absent value is printed as such");
        }
    }
}

#[test]
fn a_report_of_nothing_still_renders() {
    let mut a = assessment();
    a.policies.clear();
    a.waivers.clear();
    a.profile_lines.clear();
    a.datasets.clear();
    for kind in [CaseKind::Deregistration, CaseKind::Migration, CaseKind::Audit] {
        let m = model_of(kind, false, &a, &Facts::default());
        assert_eq!(m.checklist.not_examined, 34);
        assert!(m.checklist.blockers.iter().all(|b| b.state == State::NotExamined && b.supply.is_some()));
        for lang in [Lang::Zh, Lang::En] {
            html(&m, lang).unwrap();
        }
    }
}

#[test]
fn json_form() {
    let mut a = assessment();
    a.policies.retain(|p| ["FND-002", "RET-007", "DAT-001"].contains(&p.id.as_str()));
    let mut f = facts();
    f.months.truncate(2);
    f.inventory.truncate(2);
    let value = json(&model_of(CaseKind::Deregistration, false, &a, &f)).unwrap();
    assert_eq!(value["report_format"], 1);
    let mut small = value.clone();
    // The checklist's texts are pinned by its own table; three entries show the form.
    small["checklist"]["blockers"].as_array_mut().unwrap().truncate(3);
    small["plan"].as_array_mut().unwrap().truncate(1);
    let months = small["reconciliation"]["months"].as_array_mut().unwrap();
    months.truncate(1);
    let rows = months[0]["rows"].as_array_mut().unwrap();
    rows.truncate(1);
    rows[0]["cells"].as_array_mut().unwrap().truncate(2);
    small["tool_version"] = "[version]".into();
    insta::assert_json_snapshot!(small);
}

/// The page says what both sides sum up to, names days without a bill, and never takes silence for agreement.
#[test]
fn reconciliation_says_what_was_not_compared() {
    let m = model(CaseKind::Audit, false);
    let r = m.reconciliation.as_ref().unwrap();
    assert_eq!((r.from.as_str(), r.to.as_str(), r.months.len()), ("2026-07-01", "2026-09-30", 3));
    assert_eq!(r.kinds.iter().map(|k| k.count).sum::<u64>(), 125);
    assert_eq!(r.differences_omitted, 122);
    let wechat = r.totals.iter().find(|t| t.platform == "wechat" && t.about == "payment").unwrap();
    assert_eq!((wechat.local_count, wechat.platform_count, wechat.different), (12_301, 12_422, 123));
    assert_eq!(wechat.difference_fen, 486_780 - 3_990);
    let without: Vec<_> = r.not_compared.iter().map(|n| (n.platform.as_str(), n.count, n.days.clone())).collect();
    assert_eq!(
        without,
        [
            ("unionpay", 4, vec!["2026-08-15".to_owned()]),
            ("wechat", 120, vec!["2026-07-18".to_owned(), "2026-07-19".to_owned()])
        ]
    );
    assert_eq!((r.undated, r.damaged_days), (1, 2));
    let page = html(&m, Lang::En).unwrap();
    assert!(page.contains("122 more are not listed") && page.contains("2026-07-18, 2026-07-19"));
    let none = Facts { reconciliation: None, ..facts() };
    let page = html(&model_of(CaseKind::Audit, false, &assessment(), &none), Lang::En).unwrap();
    assert!(page.contains("nothing was compared, which does not mean that the records agree"));
}

/// Writes sample reports for people to look at: `SEALPORT_REPORT_OUT=DIR cargo test --lib report::tests::write_samples`.
#[test]
fn write_samples() {
    let Some(dir) = std::env::var_os("SEALPORT_REPORT_OUT").map(std::path::PathBuf::from) else { return };
    for (kind, draft) in [(CaseKind::Deregistration, false), (CaseKind::Migration, true), (CaseKind::Audit, false)] {
        let m = model(kind, draft);
        for lang in [Lang::Zh, Lang::En] {
            std::fs::write(dir.join(format!("{}.{}.html", kind.word(), lang.code())), html(&m, lang).unwrap()).unwrap();
        }
    }
}
