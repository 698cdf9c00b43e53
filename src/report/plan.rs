//! The plan as a timeline: steps computed backwards from the planned date, with owner, basis and what is known done.
//!
//! A step is done when every control linked to it is clear, open when one failed, unknown when one was not examined.
//! Dates marked as the toolkit's default are working dates, not law.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::facts::Facts;
use super::format::add_days;
use super::verdict::{APP_FREEZE_DAYS, NOTICE_DAYS, QUIET_DAYS};
use crate::config::case::CaseKind;
use crate::finding::{Assessment, Outcome};
use crate::model::Bilingual;

/// State of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Every linked control is clear.
    Done,
    /// A linked control failed.
    Open,
    /// Open and its day has passed.
    Overdue,
    /// A linked control was not examined, or none is linked.
    Unknown,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct PlanStep {
    /// Number over all phases.
    pub number: usize,
    /// What to do.
    pub title: Bilingual,
    /// Responsible role word.
    pub owner: &'static str,
    /// Day it is due; `None` without a planned date.
    pub due_on: Option<String>,
    /// State.
    pub state: StepState,
    /// Linked controls with their outcome word, `-` when not examined.
    pub controls: Vec<(String, String)>,
    /// Where the date comes from.
    pub basis: Bilingual,
    /// What the registers say, where they say something countable.
    pub fact: Option<Bilingual>,
}

/// A stage of the plan.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Name.
    pub title: Bilingual,
    /// Steps, by day.
    pub steps: Vec<PlanStep>,
}

struct Draft {
    phase: usize,
    zh: &'static str,
    en: &'static str,
    owner: &'static str,
    /// Days from the planned date.
    offset: i64,
    controls: &'static [&'static str],
    basis: Source,
}

#[derive(Clone, Copy)]
enum Source {
    Toolkit,
    NoticeLaw,
    PrepaidLaw,
    QuietPeriod,
    AppClosing,
    Precheck,
    PersonalData,
    Filing,
    RefundWindow,
    Migration,
    Entity,
}

impl Source {
    fn text(self) -> Bilingual {
        match self {
            Self::Toolkit => Bilingual::new("工作安排（本工具默认）", "working date (default of this toolkit)"),
            Self::NoticeLaw => Bilingual::new(
                "《电子商务法》第十六条：提前三十日在首页显著位置持续公示",
                "E-Commerce Law art. 16: 30 days' continuous notice on the home page",
            ),
            Self::PrepaidLaw => Bilingual::new(
                "预付式消费司法解释第七条、第十五条；《消费者权益保护法》第五十三条",
                "Prepaid consumption interpretation arts. 7 and 15; Consumer Protection Law art. 53",
            ),
            Self::QuietPeriod => Bilingual::new(
                "商户号注销静默期 30 日（二手资料，须复核）",
                "quiet period of 30 days before a merchant number closes (secondary source, re-check)",
            ),
            Self::AppClosing => Bilingual::new(
                "小程序注销冻结 7 日、确认 7 日（二手资料，须复核）",
                "closing freeze of 7 days, confirmation within 7 (secondary source, re-check)",
            ),
            Self::Precheck => Bilingual::new(
                "平台资格预校验，24 小时内有效（已读原文）",
                "platform eligibility check, valid for 24 hours (read in full)",
            ),
            Self::PersonalData => Bilingual::new(
                "《个人信息保护法》第四十七条；期限 15 日为本工具默认",
                "Personal Information Protection Law art. 47; the 15 days are a default of this toolkit",
            ),
            Self::Filing => Bilingual::new(
                "微信小程序备案注销（已读原文）；期限 30 日为本工具默认",
                "WeChat filing cancellation (read in full); the 30 days are a default of this toolkit",
            ),
            Self::RefundWindow => {
                Bilingual::new("微信支付退款期 365 日（已读原文）", "WeChat Pay refunds for 365 days (read in full)")
            }
            Self::Migration => Bilingual::new(
                "微信小程序账号迁移：冻结 7 日（已读原文）",
                "WeChat account migration: freeze of 7 days (read in full)",
            ),
            Self::Entity => Bilingual::new(
                "主体变更 15 日内确认（二手资料，须复核）",
                "change of entity confirmed within 15 days (secondary source, re-check)",
            ),
        }
    }
}

const CLOSING_PHASES: [(&str, &str); 5] = [
    ("前置规划", "Planning ahead"),
    ("资金清结", "Settling the money"),
    ("功能下线与数据归档", "Functions off, data archived"),
    ("提交与确认", "Submitting and confirming"),
    ("合规善后", "Aftercare"),
];

const MOVING_PHASES: [(&str, &str); 4] = [
    ("迁移前评估", "Assessment before the move"),
    ("技术对接与数据转移", "Connecting and moving data"),
    ("切换", "Cut-over"),
    ("功能验证与性能调优", "Verification and tuning"),
];

const fn step(
    phase: usize,
    offset: i64,
    owner: &'static str,
    basis: Source,
    controls: &'static [&'static str],
    zh: &'static str,
    en: &'static str,
) -> Draft {
    Draft { phase, zh, en, owner, offset, controls, basis }
}

const SUBMIT: i64 = -APP_FREEZE_DAYS;
const PAUSE: i64 = SUBMIT - QUIET_DAYS;
const NOTICE: i64 = PAUSE - NOTICE_DAYS;

#[rustfmt::skip]
const CLOSING: &[Draft] = &[
    step(0, NOTICE - 14, "operations", Source::Toolkit, &["DAT-001", "DAT-002"], "确定时间表与责任人；盘点支付渠道、商户号、应用与数据", "Set timetable and owners; take stock of channels, merchant numbers, apps and data"),
    step(0, NOTICE - 7, "legal", Source::Toolkit, &["DRG-008", "DRG-009"], "法务确认公告内容：日期、范围、退款、联系方式", "Legal confirms the notice: date, scope, refunds, contact"),
    step(0, NOTICE, "operations", Source::NoticeLaw, &["DRG-007"], "首页公示并同时发送站内信", "Publish on the home page and by in-app message"),
    step(1, PAUSE, "finance", Source::PrepaidLaw, &["FND-003", "DRG-019"], "退还或经同意移转储值余额", "Refund stored value, or transfer it with consent"),
    step(1, PAUSE, "operations", Source::Toolkit, &["TXN-023", "DRG-027"], "终止营销活动，失败拼团原路退款", "End campaigns; refund failed group-buys by the original route"),
    step(2, PAUSE, "technology", Source::QuietPeriod, &["DRG-012", "DRG-002"], "暂停服务，关闭支付入口；静默期开始", "Pause the service and close payment; the quiet period begins"),
    step(1, PAUSE + 7, "finance", Source::Toolkit, &["FND-004", "TXN-003", "TXN-010", "TXN-014"], "处理在途退款、未决支付与关单已付", "Finish refunds in flight, undecided payments and payments after close"),
    step(1, PAUSE + 9, "finance", Source::Toolkit, &["REC-001", "REC-003", "REC-004", "REC-007"], "下载至停服日的全部平台账单并完成对账", "Download all platform bills up to the pause and reconcile"),
    step(2, SUBMIT - 7, "technology", Source::Toolkit, &["DRG-001", "DRG-003"], "下线全部交易接口，解除第三方绑定", "Switch off all trade interfaces, unbind third parties"),
    step(1, SUBMIT - 3, "finance", Source::Toolkit, &["FND-002", "FND-007", "FND-011"], "过渡户归零、分账结清、余额全部提现", "Transition accounts to zero, sharing finished, balances withdrawn"),
    step(2, SUBMIT - 2, "technology", Source::Toolkit, &["DRG-004", "DRG-005", "DRG-006"], "完成最终封存（非草稿）并独立验证", "Make the final seal (no draft) and verify it independently"),
    step(3, SUBMIT - 1, "legal", Source::Toolkit, &["DRG-025", "DRG-011"], "五部门会签，申请材料齐备", "Sign-off by five departments, application materials complete"),
    step(3, SUBMIT, "operations", Source::Precheck, &["DRG-014", "DRG-015"], "平台资格预校验通过后 24 小时内提交", "Pass the platform's check and submit within 24 hours"),
    step(3, 0, "operations", Source::AppClosing, &["DRG-013"], "冻结期满后 7 日内确认注销", "Confirm within 7 days after the freeze"),
    step(4, 0, "technology", Source::Toolkit, &["DRG-023"], "收回全部员工权限、令牌与设备", "Withdraw all staff access, tokens and devices"),
    step(4, 1, "technology", Source::Toolkit, &["DRG-024"], "吊销接口密钥与证书", "Revoke API keys and certificates"),
    step(4, 15, "legal", Source::PersonalData, &["DRG-022"], "删除、匿名化个人信息，或在法定保存期内限制处理", "Delete or anonymise personal data, or restrict it while a statutory period runs"),
    step(4, 30, "operations", Source::Filing, &["DRG-021"], "注销 ICP 备案（不可逆，最后办理）", "Cancel the ICP filing (irreversible, last)"),
    step(4, 365, "finance", Source::RefundWindow, &["DRG-018", "MIG-020"], "退款期届满前保留退款能力与售后联系方式", "Keep the ability to refund, and a contact, until refund periods end"),
];

#[rustfmt::skip]
const MOVING: &[Draft] = &[
    step(0, -60, "technology", Source::Toolkit, &["MIG-001", "MIG-002"], "盘点支付渠道、订单、用户账户、结算及其依赖", "Take stock of channels, orders, accounts, settlement and their dependencies"),
    step(0, -30, "operations", Source::Toolkit, &["MIG-003", "MIG-004"], "各部门会签迁移与回退方案", "Departments sign off the move and the way back"),
    step(0, -30, "legal", Source::Toolkit, &["MIG-022", "MIG-023"], "个人信息影响评估；需要时告知并取得单独同意", "Impact assessment for personal data; notice and consent where needed"),
    step(1, -14, "technology", Source::Toolkit, &["MIG-011", "MIG-012"], "在目标环境验证全部支付场景", "Verify every payment scenario in the target environment"),
    step(1, -14, "technology", Source::Toolkit, &["MIG-008", "MIG-009"], "迁移支付配置、轮换密钥", "Move payment configuration, rotate keys"),
    step(1, SUBMIT, "operations", Source::Toolkit, &["MIG-025"], "公告迁移日期、范围与后续安排", "Announce date, scope and follow-up"),
    step(2, SUBMIT, "operations", Source::Migration, &["MIG-006", "MIG-005"], "启动平台迁移冻结", "Start the platform's migration freeze"),
    step(2, -1, "finance", Source::Toolkit, &["FND-002", "FND-004", "FND-007", "MIG-030"], "清理在途资金与退款，未决事项移交", "Clear money and refunds in flight, hand over open matters"),
    step(2, 0, "technology", Source::Toolkit, &["MIG-013", "MIG-014", "MIG-007"], "切换；逐分区核对行数与金额", "Cut over; compare rows and sums per partition"),
    step(3, 2, "finance", Source::Toolkit, &["MIG-018", "MIG-019"], "以平台账单核对切换窗口：不漏单、不重复扣款", "Compare the cut-over window with platform bills: nothing lost, nothing charged twice"),
    step(3, 7, "technology", Source::Toolkit, &["MIG-010", "MIG-028"], "停用旧密钥；支付成功率与耗时达标", "Retire old keys; success rate and latency as before"),
    step(3, 15, "operations", Source::Entity, &["MIG-026", "MIG-032"], "完成平台确认，恢复类目、接口与备案", "Confirm with the platform; restore categories, interfaces and filing"),
    step(3, 365, "finance", Source::RefundWindow, &["MIG-020"], "退款期届满前保留原商户号", "Keep the old merchant number until refund periods end"),
];

/// The timeline; empty for an audit.
pub(super) fn plan(
    kind: CaseKind,
    planned: Option<NaiveDate>,
    today: NaiveDate,
    assessment: &Assessment,
    facts: &Facts,
) -> Vec<Phase> {
    let (phases, drafts): (&[(&str, &str)], &[Draft]) = match kind {
        CaseKind::Deregistration => (&CLOSING_PHASES, CLOSING),
        CaseKind::Migration => (&MOVING_PHASES, MOVING),
        CaseKind::Audit | CaseKind::Offboarding => return Vec::new(),
    };
    let outcomes: BTreeMap<&str, Outcome> = assessment.policies.iter().map(|p| (p.id.as_str(), p.outcome)).collect();
    let mut number = 0;
    phases
        .iter()
        .enumerate()
        .map(|(i, (zh, en))| {
            let mut steps: Vec<&Draft> = drafts.iter().filter(|d| d.phase == i).collect();
            steps.sort_by_key(|d| d.offset);
            Phase {
                title: Bilingual::new(*zh, *en),
                steps: steps
                    .into_iter()
                    .map(|d| {
                        number += 1;
                        plan_step(number, d, planned, today, &outcomes, facts)
                    })
                    .collect(),
            }
        })
        .collect()
}

fn plan_step(
    number: usize,
    draft: &Draft,
    planned: Option<NaiveDate>,
    today: NaiveDate,
    outcomes: &BTreeMap<&str, Outcome>,
    facts: &Facts,
) -> PlanStep {
    let due = planned.map(|d| add_days(d, draft.offset));
    let known: Vec<Option<Outcome>> = draft.controls.iter().map(|id| outcomes.get(id).copied()).collect();
    let is_clear = |o: &Option<Outcome>| matches!(o, Some(Outcome::Pass | Outcome::Waived | Outcome::NotApplicable));
    let state = if known.contains(&Some(Outcome::Fail)) {
        if due.is_some_and(|d| d < today) { StepState::Overdue } else { StepState::Open }
    } else if known.iter().all(is_clear) {
        StepState::Done
    } else {
        StepState::Unknown
    };
    PlanStep {
        number,
        title: Bilingual::new(draft.zh, draft.en),
        owner: draft.owner,
        due_on: due.map(|d| d.to_string()),
        state,
        controls: draft
            .controls
            .iter()
            .zip(&known)
            .map(|(id, o)| ((*id).to_owned(), o.map_or("not-examined", Outcome::word).to_owned()))
            .collect(),
        basis: draft.basis.text(),
        fact: fact(draft, facts),
    }
}

fn fact(draft: &Draft, facts: &Facts) -> Option<Bilingual> {
    let of = |done: usize, all: usize, zh: &str, en: &str| {
        Bilingual::new(format!("{zh} {done}/{all}"), format!("{en}: {done} of {all}"))
    };
    match draft.controls.first().copied() {
        Some("DRG-025") if !facts.signoffs.is_empty() || !facts.submissions.is_empty() => {
            let signed = facts.signoffs.iter().filter(|s| s.signed_on.is_some()).count();
            let required = facts.submissions.iter().filter(|s| s.is_required != Some(false));
            let (mut all, mut accepted) = (0, 0);
            for submission in required {
                all += 1;
                accepted += usize::from(submission.accepted_on.is_some());
            }
            let a = of(signed, 5, "已会签部门", "departments signed");
            let b = of(accepted, all, "已受理材料", "materials accepted");
            Some(Bilingual::new(format!("{}；{}", a.zh, b.zh), format!("{}; {}", a.en, b.en)))
        }
        Some("DRG-001") => {
            let (all, on) = facts.interfaces?;
            let (bound_all, bound) = facts.bindings.unwrap_or_default();
            Some(Bilingual::new(
                format!("仍开启接口 {on}/{all}；未解绑第三方 {bound}/{bound_all}"),
                format!("interfaces still on: {on} of {all}; third parties still bound: {bound} of {bound_all}"),
            ))
        }
        Some("MIG-011") if !facts.tests.is_empty() => {
            let passed = facts.tests.iter().filter(|t| t.outcome.as_deref() == Some("pass")).count();
            Some(of(passed, facts.tests.len(), "已登记场景通过", "registered scenarios passed"))
        }
        _ => None,
    }
}
