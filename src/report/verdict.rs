//! One verdict per irreversible step and target, with the earliest date.
//!
//! `may submit` needs all 34 blockers examined and clear. A failed blocker that guards the step says `do not submit`.
//! Everything else is `no blocker found, N of 34 not examined`. A migration without measured proof never gets beyond that.

use chrono::NaiveDate;
use serde::Serialize;

use super::blockers::{BlockerState, Checklist, State, Step};
use super::facts::{AppFact, Facts, MchFact};
use super::format::{add_days, add_period, day};
use crate::config::case::CaseKind;
use crate::model::Bilingual;

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// A blocker that guards the step failed.
    DoNotSubmit,
    /// None failed, but not everything was examined.
    NoBlockerFound,
    /// All 34 were examined and are clear.
    MaySubmit,
}

/// What a step is done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// `app`, `mch`, `filing`, `entity`, `project`.
    pub kind: &'static str,
    /// Platform word, where it has one.
    pub platform: Option<String>,
    /// App id, merchant number, filing number or name.
    pub id: String,
    /// Name for people, where it has one.
    pub name: Option<String>,
}

/// A lead time and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lead {
    /// What must have passed.
    pub text: Bilingual,
    /// The day it ends, if the data gives it.
    pub on: Option<String>,
    /// Source.
    pub basis: Bilingual,
}

/// The answer for one step and target.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Step.
    pub step: Step,
    /// Target.
    pub target: Target,
    /// Answer.
    pub verdict: VerdictKind,
    /// Failed blockers that guard it.
    pub failed: Vec<String>,
    /// Failed blockers that concern other steps or targets only.
    pub failed_elsewhere: Vec<String>,
    /// How many of the 34 were not examined.
    pub not_examined: usize,
    /// Earliest possible day; `None` when a prerequisite has no date yet.
    pub earliest_on: Option<String>,
    /// Day before which it must not be done unless provision is made (end of the refund period).
    pub not_before_on: Option<String>,
    /// What the dates rest on.
    pub leads: Vec<Lead>,
    /// Day planned in the case.
    pub planned_on: Option<String>,
    /// Whether the plan can be kept; `None` when one of the two is unknown.
    pub is_plan_possible: Option<bool>,
    /// Already done on this day.
    pub done_on: Option<String>,
}

/// All targets of one step.
#[derive(Debug, Clone, Serialize)]
pub struct VerdictGroup {
    /// Step.
    pub step: Step,
    /// Its name.
    pub title: Bilingual,
    /// The strictest answer among the targets.
    pub verdict: VerdictKind,
    /// Number of targets.
    pub targets: usize,
    /// Targets that must not be submitted.
    pub stopped: usize,
    /// Failed blockers that stop every target of the step.
    pub common: Vec<String>,
    /// For a target still open, the planned day lies before the earliest possible one.
    pub is_plan_impossible: bool,
    /// Latest of the earliest days.
    pub earliest_on: Option<String>,
    /// What the dates of all targets rest on; a day that differs between targets is left out.
    pub leads: Vec<Lead>,
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
}

/// Names of the steps.
pub(super) fn step_title(step: Step) -> Bilingual {
    match step {
        Step::PauseService => Bilingual::new("暂停服务", "Pause the service"),
        Step::CloseApp => Bilingual::new("注销小程序", "Close the mini-program"),
        Step::CloseMch => Bilingual::new("注销商户号", "Close the merchant number"),
        Step::CancelFiling => Bilingual::new("注销 ICP 备案", "Cancel the ICP filing"),
        Step::DissolveEntity => Bilingual::new("注销经营主体", "Dissolve the entity"),
        Step::Freeze => Bilingual::new("启动迁移冻结", "Start the migration freeze"),
        Step::CutOver => Bilingual::new("切换到目标环境", "Cut over to the target"),
    }
}

/// What the verdicts are computed from.
pub(super) struct Basis<'a> {
    pub(super) kind: CaseKind,
    pub(super) checklist: &'a Checklist,
    pub(super) facts: &'a Facts,
    /// Nothing can be done earlier than this day.
    pub(super) today: NaiveDate,
    pub(super) planned_on: Option<NaiveDate>,
    pub(super) merchant: &'a str,
    /// Target of a migration, if that is what is reported.
    pub(super) migration: Option<Target>,
}

/// Judges every step and target of the case; empty for an audit.
pub(super) fn verdicts(basis: &Basis<'_>) -> Vec<VerdictGroup> {
    let verdicts = match basis.kind {
        CaseKind::Deregistration => closing(basis),
        CaseKind::Migration => moving(basis),
        CaseKind::Audit | CaseKind::Offboarding => Vec::new(),
    };
    let mut groups: Vec<VerdictGroup> = Vec::new();
    for verdict in verdicts {
        match groups.iter_mut().find(|g| g.step == verdict.step) {
            Some(group) => group.verdicts.push(verdict),
            None => groups.push(VerdictGroup {
                step: verdict.step,
                title: step_title(verdict.step),
                verdict: verdict.verdict,
                targets: 0,
                stopped: 0,
                common: Vec::new(),
                is_plan_impossible: false,
                earliest_on: None,
                leads: Vec::new(),
                verdicts: vec![verdict],
            }),
        }
    }
    for group in &mut groups {
        group.targets = group.verdicts.len();
        group.stopped = group.verdicts.iter().filter(|v| v.verdict == VerdictKind::DoNotSubmit).count();
        group.verdict = group.verdicts.iter().map(|v| v.verdict).min().unwrap_or(VerdictKind::NoBlockerFound);
        // One target without a date leaves the whole step without one.
        let dates: Option<Vec<&String>> =
            group.verdicts.iter().filter(|v| v.done_on.is_none()).map(|v| v.earliest_on.as_ref()).collect();
        group.earliest_on = dates.and_then(|d| d.into_iter().max().cloned());
        group.leads = common_leads(&group.verdicts);
        let in_all = |id: &&String| group.verdicts.iter().all(|v| v.failed.contains(id));
        group.common =
            group.verdicts.first().map(|v| v.failed.iter().filter(in_all).cloned().collect()).unwrap_or_default();
        group.is_plan_impossible =
            group.verdicts.iter().any(|v| v.done_on.is_none() && v.is_plan_possible == Some(false));
    }
    groups
}

fn common_leads(verdicts: &[Verdict]) -> Vec<Lead> {
    let mut out: Vec<Lead> = Vec::new();
    for lead in verdicts.iter().flat_map(|v| &v.leads) {
        match out.iter_mut().find(|l| l.text == lead.text) {
            Some(known) if known.on != lead.on => known.on = None,
            Some(_) => {}
            None => out.push(lead.clone()),
        }
    }
    out
}

/// The answer for a step and, where the target is a merchant number, that number.
pub(super) fn judge(
    checklist: &Checklist,
    step: Step,
    mch: Option<&str>,
    is_capped: bool,
) -> (VerdictKind, Vec<String>, Vec<String>) {
    let concerns = |b: &BlockerState| {
        b.guards.contains(&step)
            && match (mch, &b.mchs) {
                (Some(mch), Some(named)) => named.iter().any(|n| n == mch),
                _ => true,
            }
    };
    let (here, elsewhere): (Vec<&BlockerState>, Vec<&BlockerState>) =
        checklist.blockers.iter().filter(|b| b.state == State::Failed).partition(|b| concerns(b));
    let is_all_clear = checklist.blockers.iter().all(|b| b.state == State::Clear) && !checklist.blockers.is_empty();
    let kind = if !here.is_empty() {
        VerdictKind::DoNotSubmit
    } else if is_all_clear && !is_capped {
        VerdictKind::MaySubmit
    } else {
        VerdictKind::NoBlockerFound
    };
    let ids = |list: Vec<&BlockerState>| list.into_iter().map(|b| b.id.clone()).collect();
    (kind, ids(here), ids(elsewhere))
}

fn verdict(basis: &Basis<'_>, step: Step, target: Target, dates: Dates) -> Verdict {
    let mch = (target.kind == "mch").then_some(target.id.as_str());
    let (verdict, failed, failed_elsewhere) = judge(basis.checklist, step, mch, basis.kind == CaseKind::Migration);
    let earliest = dates.earliest;
    Verdict {
        step,
        target,
        verdict,
        failed,
        failed_elsewhere,
        not_examined: basis.checklist.not_examined,
        earliest_on: earliest.map(|d| d.to_string()),
        not_before_on: dates.not_before.map(|d| d.to_string()),
        leads: dates.leads,
        planned_on: dates.planned.map(|d| d.to_string()),
        is_plan_possible: earliest.zip(dates.planned).map(|(e, p)| e <= p),
        done_on: dates.done_on,
    }
}

#[derive(Default)]
struct Dates {
    earliest: Option<NaiveDate>,
    not_before: Option<NaiveDate>,
    planned: Option<NaiveDate>,
    leads: Vec<Lead>,
    done_on: Option<String>,
}

/// Days the closing of a mini-program is frozen after submission.
pub(super) const APP_FREEZE_DAYS: i64 = 7;
/// Days the notice on the home page must stand before trading ends.
pub(super) const NOTICE_DAYS: i64 = 30;
/// Days without a trade before a merchant number can be closed.
pub(super) const QUIET_DAYS: i64 = 30;

fn lead(zh: String, en: String, on: Option<NaiveDate>, basis_zh: &str, basis_en: &str) -> Lead {
    Lead { text: Bilingual { zh, en }, on: on.map(|d| d.to_string()), basis: Bilingual::new(basis_zh, basis_en) }
}

/// First day of the home-page notice that still stands.
pub(super) fn home_notice_on(facts: &Facts) -> Option<NaiveDate> {
    facts
        .notices
        .iter()
        .filter(|n| n.channel == "home-page" && n.withdrawn_on.is_none())
        .filter_map(|n| day(n.published_on.as_deref()?))
        .min()
}

fn pause_dates(basis: &Basis<'_>, app: &AppFact) -> Dates {
    let notice = home_notice_on(basis.facts);
    let counted_from = notice.unwrap_or(basis.today);
    let allowed = add_days(counted_from, NOTICE_DAYS);
    let text = match notice {
        Some(on) => {
            (format!("首页公示自 {on} 起持续三十日"), format!("home-page notice standing for 30 days from {on}"))
        }
        None => (
            format!("尚无有效首页公示；若于 {counted_from} 公示，三十日期满"),
            format!("no home-page notice stands; published on {counted_from}, its 30 days end"),
        ),
    };
    Dates {
        earliest: Some(allowed.max(basis.today)),
        planned: basis.planned_on.map(|d| add_days(d, -APP_FREEZE_DAYS - QUIET_DAYS)),
        leads: vec![lead(text.0, text.1, Some(allowed), "《电子商务法》第十六条", "E-Commerce Law, art. 16")],
        done_on: app.service_paused_on.clone(),
        ..Dates::default()
    }
}

fn paused_on(basis: &Basis<'_>, app: &AppFact) -> Option<NaiveDate> {
    app.service_paused_on.as_deref().and_then(day).or_else(|| pause_dates(basis, app).earliest)
}

fn close_app_dates(basis: &Basis<'_>, app: &AppFact) -> Dates {
    let paused = paused_on(basis, app);
    let earliest = paused.map(|p| p.max(basis.today));
    Dates {
        earliest,
        planned: basis.planned_on.map(|d| add_days(d, -APP_FREEZE_DAYS)),
        leads: vec![
            lead("须先暂停服务".into(), "the service must be paused first".into(), paused, "微信平台规则（小程序注销；二手资料，须复核）", "WeChat platform rule (closing a mini-program; secondary source, re-check)"),
            lead(
                "提交后冻结 7 日（已发布小游戏 30 日），期满后 7 日内须确认，逾期须重新提交".into(),
                "frozen for 7 days after submission (30 for a released mini-game); confirm within the 7 days after that or submit again".into(),
                earliest.map(|e| add_days(e, APP_FREEZE_DAYS)),
                "微信平台规则（小程序注销；二手资料，须复核）",
                "WeChat platform rule (closing a mini-program; secondary source, re-check)",
            ),
        ],
        done_on: app.deregistered_on.clone(),
        ..Dates::default()
    }
}

fn close_mch_dates(basis: &Basis<'_>, mch: &MchFact) -> Dates {
    let last_pause =
        basis.facts.apps.iter().filter(|a| a.deregistered_on.is_none()).filter_map(|a| paused_on(basis, a)).max();
    let last_trade = mch.last_trade_on.as_deref().and_then(day);
    let quiet_from = last_trade.max(last_pause);
    let quiet_until = quiet_from.map(|q| add_days(q, QUIET_DAYS));
    let (window, zh, en) = match mch.platform.as_str() {
        "wechat" => (Some("365 days"), "微信支付退款期 365 日", "WeChat Pay refunds for 365 days"),
        "unionpay" => (
            Some("11 months"),
            "银联在线网关退款期 11 个月（2015 年资料）",
            "UnionPay gateway refunds for 11 months (text of 2015)",
        ),
        _ => (None, "支付宝退款期以签约产品为准", "Alipay's refund period follows the product signed for"),
    };
    let not_before = mch.last_paid_on.as_deref().and_then(day).zip(window).and_then(|(d, w)| add_period(d, w));
    Dates {
        earliest: quiet_until.map(|q| q.max(basis.today)),
        not_before,
        planned: basis.planned_on,
        leads: vec![
            lead(
                "停止交易后静默 30 日（平台可能延至 90 日）".into(),
                "30 days without a trade (the platform may ask for 90)".into(),
                quiet_until,
                "微信支付商户号注销条件（二手资料，须复核）；其他平台类推",
                "WeChat Pay closing conditions (secondary source, re-check); other platforms by analogy",
            ),
            lead(
                format!("最后一笔支付仍可退款：{zh}；此前注销须有预留资金或线下退款方案"),
                format!("the last payment can still be refunded: {en}; closing earlier needs a reserve or another route for refunds"),
                not_before,
                "平台退款规则（已读原文；支付宝除外）",
                "platform refund rules (read in full, except Alipay)",
            ),
            lead(
                "平台资格预校验，24 小时内有效；提交后 30 日内须由商户确认".into(),
                "the platform's eligibility check, valid for 24 hours; the merchant must confirm within 30 days of submission".into(),
                None,
                "微信支付注销文档（已读原文）",
                "WeChat Pay closing documents (read in full)",
            ),
        ],
        done_on: mch.closed_on.clone(),
    }
}

fn closing(basis: &Basis<'_>) -> Vec<Verdict> {
    let facts = basis.facts;
    let app_target = |app: &AppFact| Target {
        kind: "app",
        platform: Some(app.platform.clone()),
        id: app.platform_app_id.clone().unwrap_or_else(|| app.app_ref.clone()),
        name: app.name.clone(),
    };
    let mut out = Vec::new();
    for app in &facts.apps {
        out.push(verdict(basis, Step::PauseService, app_target(app), pause_dates(basis, app)));
    }
    for app in &facts.apps {
        out.push(verdict(basis, Step::CloseApp, app_target(app), close_app_dates(basis, app)));
    }
    for mch in &facts.mchs {
        let target = Target { kind: "mch", platform: Some(mch.platform.clone()), id: mch.mch_id.clone(), name: None };
        out.push(verdict(basis, Step::CloseMch, target, close_mch_dates(basis, mch)));
    }
    for app in facts.apps.iter().filter(|a| a.icp_record_no.is_some()) {
        let closed = app.deregistered_on.as_deref().and_then(day);
        let confirmed = closed.or_else(|| close_app_dates(basis, app).earliest.map(|d| add_days(d, APP_FREEZE_DAYS)));
        let dates = Dates {
            earliest: confirmed.map(|d| d.max(basis.today)),
            planned: basis.planned_on.map(|d| add_days(d, 30)),
            leads: vec![lead(
                "小程序注销完成之后（不可逆，放在最后）".into(),
                "after the mini-program is closed (irreversible: do it last)".into(),
                confirmed,
                "微信平台规则（小程序备案注销，已读原文）",
                "WeChat platform rule (cancelling the filing, read in full)",
            )],
            done_on: app.icp_cancelled_on.clone(),
            ..Dates::default()
        };
        let target = Target {
            kind: "filing",
            platform: Some(app.platform.clone()),
            id: app.icp_record_no.clone().unwrap_or_default(),
            name: app.name.clone(),
        };
        out.push(verdict(basis, Step::CancelFiling, target, dates));
    }
    let open: Option<Vec<NaiveDate>> =
        facts.mchs.iter().filter(|m| m.closed_on.is_none()).map(|m| close_mch_dates(basis, m).earliest).collect();
    let last = open.and_then(|d| d.into_iter().max());
    let dates = Dates {
        earliest: last,
        leads: vec![
            lead(
                "全部商户号注销、资金清结之后".into(),
                "after every merchant number is closed and all money is settled".into(),
                last,
                "本工具默认规则",
                "default of this toolkit",
            ),
            lead(
                "清算组成立之日起 10 日内通知债权人，60 日内公告".into(),
                "creditors notified within 10 days of the liquidation group's forming, public notice within 60".into(),
                None,
                "《公司法》第二百三十五条",
                "Company Law, art. 235",
            ),
        ],
        ..Dates::default()
    };
    let target = Target { kind: "entity", platform: None, id: basis.merchant.to_owned(), name: None };
    out.push(verdict(basis, Step::DissolveEntity, target, dates));
    out
}

fn moving(basis: &Basis<'_>) -> Vec<Verdict> {
    let target = basis.migration.clone().unwrap_or(Target {
        kind: "project",
        platform: None,
        id: basis.merchant.to_owned(),
        name: None,
    });
    let freeze = Dates {
        earliest: Some(basis.today),
        planned: basis.planned_on.map(|d| add_days(d, -APP_FREEZE_DAYS)),
        leads: vec![lead(
            "账号迁移冻结 7 日，不可撤销；同一目标最多 5 个来源，6 个月内不得再迁".into(),
            "an account migration freezes for 7 days and cannot be undone; at most 5 sources per target, locked for 6 months".into(),
            Some(add_days(basis.today, APP_FREEZE_DAYS)),
            "微信平台规则（小程序账号迁移，已读原文）",
            "WeChat platform rule (account migration, read in full)",
        )],
        ..Dates::default()
    };
    let cut_over = Dates {
        earliest: Some(add_days(basis.today, APP_FREEZE_DAYS)),
        planned: basis.planned_on,
        leads: vec![
            lead(
                "迁移冻结期满".into(),
                "the migration freeze has ended".into(),
                Some(add_days(basis.today, APP_FREEZE_DAYS)),
                "微信平台规则（小程序账号迁移，已读原文）",
                "WeChat platform rule (account migration, read in full)",
            ),
            lead(
                "主体变更须在 15 日内确认；类目 7 日内失效".into(),
                "a change of entity must be confirmed within 15 days; categories lapse after 7".into(),
                None,
                "微信平台规则（主体变更；二手资料，须复核）",
                "WeChat platform rule (change of entity; secondary source, re-check)",
            ),
        ],
        ..Dates::default()
    };
    vec![verdict(basis, Step::Freeze, target.clone(), freeze), verdict(basis, Step::CutOver, target, cut_over)]
}
