//! The fixed checklist: 34 controls that must be clear before an irreversible step.
//!
//! The list belongs to the report, not to the pack: removing a policy from a pack or a set must not shorten it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::{Assessment, Outcome, PolicyResult, Severity};
use crate::model::Bilingual;

/// What a blocker protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Money.
    Money,
    /// Customers and staff with open matters.
    People,
    /// Evidence.
    Proof,
    /// Interfaces, accounts, keys.
    Access,
    /// What cannot be undone.
    Reversibility,
}

/// A step that cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Stop taking orders in the mini-program.
    PauseService,
    /// Submit the closure of a mini-program.
    CloseApp,
    /// Submit the closure of a merchant number.
    CloseMch,
    /// Cancel the filing (ICP).
    CancelFiling,
    /// Dissolve the legal entity.
    DissolveEntity,
    /// Start the platform's migration freeze.
    Freeze,
    /// Cut over to the target.
    CutOver,
}

use Step::{CancelFiling, CloseApp, CloseMch, CutOver, DissolveEntity, Freeze, PauseService};

const CLOSING: &[Step] = &[CloseApp, CloseMch, CancelFiling, DissolveEntity];
const CLOSING_AND_PAUSE: &[Step] = &[PauseService, CloseApp, CloseMch, CancelFiling, DissolveEntity];
const CLOSING_AND_CUT_OVER: &[Step] = &[CloseApp, CloseMch, CancelFiling, DissolveEntity, CutOver];
const CLOSING_AND_MIGRATION: &[Step] = &[CloseApp, CloseMch, CancelFiling, DissolveEntity, Freeze, CutOver];
const ALL: &[Step] = &[PauseService, CloseApp, CloseMch, CancelFiling, DissolveEntity, Freeze, CutOver];
const OLD_NUMBER: &[Step] = &[CloseMch, DissolveEntity, Freeze, CutOver];

/// One entry of the checklist.
#[derive(Debug, Clone, Copy)]
pub struct Blocker {
    /// Policy id.
    pub id: &'static str,
    /// What it protects.
    pub group: Group,
    /// Chinese title.
    pub zh: &'static str,
    /// English title.
    pub en: &'static str,
    /// Steps it stands before.
    pub guards: &'static [Step],
    /// Its findings name a merchant number, so that a number not named is not held up by another one.
    pub is_per_mch: bool,
    /// What to supply when it was not examined, in Chinese.
    pub supply_zh: &'static str,
    /// The same in English.
    pub supply_en: &'static str,
}

macro_rules! blocker {
    ($id:literal, $group:ident, $guards:ident, $per_mch:literal, $zh:literal, $en:literal, $szh:literal, $sen:literal) => {
        Blocker {
            id: $id,
            group: Group::$group,
            zh: $zh,
            en: $en,
            guards: $guards,
            is_per_mch: $per_mch,
            supply_zh: $szh,
            supply_en: $sen,
        }
    };
}

/// The checklist, in the order in which it is printed.
#[rustfmt::skip]
pub const BLOCKERS: [Blocker; 34] = [
    blocker!("FND-002", Money, CLOSING_AND_CUT_OVER, true, "注销/迁移前余额未提清", "Balance not withdrawn", "各商户号各账户的余额快照（balances：basic、operation、fee、margin、unsettled）", "balance snapshots per merchant number and account (balances: basic, operation, fee, margin, unsettled)"),
    blocker!("FND-003", Money, CLOSING, false, "预存余额未处置", "Prepaid balances not settled", "储值账户余额、退款及转移同意记录", "prepaid account balances with refunds and consents to transfer"),
    blocker!("FND-004", Money, CLOSING_AND_CUT_OVER, true, "在途退款未清", "Refunds in flight", "退款单及其状态（refunds）", "refunds with their states (refunds)"),
    blocker!("FND-007", Money, CLOSING_AND_CUT_OVER, true, "支付网关过渡户未归零", "Gateway transition account not zero", "过渡户资金流水（fund_flows，account_kind = gateway_transit）", "ledger lines of the transition account (fund_flows, account_kind = gateway_transit)"),
    blocker!("FND-011", Money, CLOSING_AND_CUT_OVER, true, "分账未清", "Profit sharing unfinished", "分账单、接收方结果与解冻记录", "profit-sharing orders with receiver results and unfreezing"),
    blocker!("TXN-003", Money, CLOSING_AND_CUT_OVER, true, "已付关单未原路退", "Paid after close, not refunded by the original route", "订单、支付单与退款单（trade_orders、payments、refunds）", "orders, payments and refunds (trade_orders, payments, refunds)"),
    blocker!("TXN-010", Money, CLOSING_AND_MIGRATION, true, "未决支付无闭环", "Unresolved payments", "补偿任务及平台账单，用以确定未决支付的结果", "compensation tasks and platform bills that settle undecided payments"),
    blocker!("TXN-014", Money, CLOSING_AND_CUT_OVER, true, "退款超过已付", "Refunds exceed payment", "支付单与退款单（payments、refunds）", "payments and refunds (payments, refunds)"),
    blocker!("TXN-023", Money, CLOSING_AND_CUT_OVER, false, "拼团失败未自动退款", "Failed group-buys not refunded", "拼团记录、成员订单及其退款", "group-buys, member orders and their refunds"),
    blocker!("REC-001", Money, CLOSING_AND_MIGRATION, true, "未按日对账", "No daily reconciliation", "每个商户号每日的对账批次（registers/recon_runs.csv）与账单", "daily reconciliation runs (registers/recon_runs.csv) and bills per merchant number"),
    blocker!("REC-007", Money, CLOSING_AND_MIGRATION, false, "对账差异未闭环", "Reconciliation differences left open", "对账差异、处理结论与经办人（registers/recon_diffs.csv），没有差异时也须提供空表", "reconciliation differences with resolution and who closed them (registers/recon_diffs.csv), also when empty"),
    blocker!("OFB-001", People, CLOSING_AND_CUT_OVER, false, "未结客诉或退款即解除员工", "Staff removed while a complaint or refund is open", "权限变更日志、客诉与退款（permission_changes、complaints、refunds）", "permission changes, complaints and refunds"),
    blocker!("OFB-002", People, CLOSING_AND_CUT_OVER, false, "强制解绑前活动未关闭", "Forced removal with live campaigns", "权限变更日志与营销活动（permission_changes、campaigns）", "permission changes and campaigns"),
    blocker!("DRG-010", People, CLOSING_AND_PAUSE, false, "用户咨询未闭环", "Customer inquiries unanswered", "用户咨询及答复时间登记", "register of inquiries with the time of each answer"),
    blocker!("DRG-014", People, CLOSING, true, "平台注销预校验未通过", "Platform eligibility check failed", "提交前 24 小时内的平台资格校验结果（逐商户号）", "the platform's eligibility check per merchant number, no older than 24 hours"),
    blocker!("DRG-015", People, CLOSING, true, "静默期内仍有交易", "Transactions in the quiet period", "各商户号最近 30 日（平台可能延至 90 日）的支付、退款与投诉", "payments, refunds and complaints of the last 30 days (the platform may ask for 90) per merchant number"),
    blocker!("DRG-019", People, CLOSING_AND_PAUSE, false, "预付消费者未清算", "Prepaid consumers not settled", "预付余额、公告内容与退款申请登记", "prepaid balances, notices and refund requests"),
    blocker!("DRG-004", Proof, CLOSING, false, "归档类别不全", "Archive classes incomplete", "各类别各月的归档包登记（registers/archive_items.csv）", "register of archived packages per class and month (registers/archive_items.csv)"),
    blocker!("DRG-005", Proof, CLOSING, false, "归档与系统不符", "Archive does not match the system", "各类别各月归档的行数与金额合计", "row counts and totals of the archive per class and month"),
    blocker!("DRG-006", Proof, CLOSING, false, "归档无保管人或到期日", "Archive without custodian or retention end", "归档包的保管责任人与保存到期日", "custodian and retention end of every archived package"),
    blocker!("DRG-007", Proof, CLOSING_AND_PAUSE, false, "首页公示不足三十日", "Home-page notice shorter than 30 days", "公告登记（registers/notices.csv），含首页公示起止时间", "register of notices (registers/notices.csv) with the home page notice's begin and end"),
    blocker!("RET-007", Proof, ALL, false, "法律保全期间删除记录", "Records deleted under legal hold", "法律保全与删除登记（legal_holds、deletions）；没有保全时也须提供空表", "registers of legal holds and deletions (legal_holds, deletions), also when empty"),
    blocker!("DAT-001", Proof, ALL, false, "必需数据集不齐", "Required data missing", "所选规则需要的数据集与字段", "the datasets and columns the selected policies need"),
    blocker!("DAT-002", Proof, ALL, false, "覆盖期存在断档", "Gap in the period covered", "检查窗口内每一日的支付数据与平台账单", "payments and platform bills for every day of the window"),
    blocker!("DAT-006", Proof, ALL, false, "源文件摘要不一致", "Input file differs from its digest", "与登记文件同放的 SHA256SUMS", "a SHA256SUMS file beside the registers"),
    blocker!("DRG-001", Access, CLOSING, false, "接口未全部下线", "Interfaces still on", "接口状态登记（registers/interface_status.csv）", "register of interfaces (registers/interface_status.csv)"),
    blocker!("DRG-002", Access, CLOSING, false, "支付权限未关闭", "Payment permission still open", "支付产品权限状态与暂停服务后的支付记录", "payment product permissions and payments after the pause"),
    blocker!("DRG-003", Access, CLOSING, false, "第三方绑定未解除", "Third-party bindings remain", "第三方绑定登记（registers/third_party_bindings.csv）", "register of third-party bindings (registers/third_party_bindings.csv)"),
    blocker!("DRG-023", Access, CLOSING, false, "员工权限未全部收回", "Staff access not fully withdrawn", "员工账号、令牌与设备的当前状态", "current state of staff accounts, tokens and devices"),
    blocker!("DRG-024", Access, CLOSING, false, "密钥未吊销", "Credentials not revoked", "接口密钥与证书清单（指纹及吊销时间）", "list of API keys and certificates (fingerprints, time of revocation)"),
    blocker!("MIG-007", Reversibility, OLD_NUMBER, true, "支付绑定出现空档", "Gap between old and new merchant binding", "应用与商户号的绑定、解绑时间", "times at which apps and merchant numbers were bound and unbound"),
    blocker!("MIG-020", Reversibility, OLD_NUMBER, true, "原商户号丧失退款能力", "Old merchant number cannot refund", "原商户号状态及退款期内的支付；或退款预留方案", "state of the old number and payments still refundable, or the plan that reserves for refunds"),
    blocker!("DRG-018", Reversibility, CLOSING, true, "可退款窗口未覆盖", "Refund window not covered", "仍在退款期内的支付及预留资金/线下退款方案", "payments still refundable and the reserve or alternative route for them"),
    blocker!("DRG-025", Reversibility, CLOSING_AND_PAUSE, false, "不可逆操作前未模拟与会签", "No simulation or sign-off before the step", "各部门会签登记（registers/signoffs.csv）与模拟结果", "sign-offs of the departments (registers/signoffs.csv) and the simulation's result"),
];

/// What became of a blocker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// At least one unwaived finding.
    Failed,
    /// Not in the assessment, or not evaluated. Never a pass.
    NotExamined,
    /// Passed, waived (shown as such) or not applicable with a reason.
    Clear,
}

/// A blocker with what the assessment says about it.
#[derive(Debug, Clone, Serialize)]
pub struct BlockerState {
    /// Policy id.
    pub id: String,
    /// What it protects.
    pub group: Group,
    /// Title.
    pub title: Bilingual,
    /// State.
    pub state: State,
    /// Outcome word of the assessment; `None` when the policy was not selected or does not exist yet.
    pub outcome: Option<Outcome>,
    /// Severity, where known.
    pub severity: Option<Severity>,
    /// Unwaived findings.
    pub findings: u64,
    /// Waived findings.
    pub waived: u64,
    /// Reason for not applicable or not examined.
    pub why: Option<Bilingual>,
    /// What to supply when not examined.
    pub supply: Option<Bilingual>,
    /// Steps it guards.
    pub guards: Vec<Step>,
    /// Merchant numbers its findings name; `None` when they cannot all be told apart.
    pub mchs: Option<Vec<String>>,
}

/// The checklist and its counts.
#[derive(Debug, Clone, Serialize)]
pub struct Checklist {
    /// All 34, in printing order.
    pub blockers: Vec<BlockerState>,
    /// How many failed.
    pub failed: usize,
    /// How many are clear.
    pub clear: usize,
    /// How many were not examined.
    pub not_examined: usize,
    /// 34.
    pub total: usize,
}

/// Judges every blocker by the assessment.
pub fn examine(assessment: &Assessment) -> Checklist {
    let results: BTreeMap<&str, &PolicyResult> = assessment.policies.iter().map(|p| (p.id.as_str(), p)).collect();
    let blockers: Vec<BlockerState> = BLOCKERS.iter().map(|b| state_of(b, results.get(b.id).copied())).collect();
    let count = |s| blockers.iter().filter(|b| b.state == s).count();
    Checklist {
        failed: count(State::Failed),
        clear: count(State::Clear),
        not_examined: count(State::NotExamined),
        total: blockers.len(),
        blockers,
    }
}

fn state_of(blocker: &Blocker, result: Option<&PolicyResult>) -> BlockerState {
    let outcome = result.map(|r| r.outcome);
    let state = match outcome {
        Some(Outcome::Fail) => State::Failed,
        Some(Outcome::Pass | Outcome::Waived | Outcome::NotApplicable) => State::Clear,
        Some(Outcome::NotEvaluated) | None => State::NotExamined,
    };
    // A not-applicable without a stated reason is somebody's silence, not a clearance.
    let state = match (state, result) {
        (State::Clear, Some(r)) if r.outcome == Outcome::NotApplicable && r.why.is_none() && r.why_code.is_none() => {
            State::NotExamined
        }
        _ => state,
    };
    let why = match result {
        None => Some(Bilingual::new(
            "本次检查未包含此项规则：请选用含此规则的规则集；若本版本尚无此规则，请由人工核查并留证",
            "this check held no such rule: select a set that has it, or, where this version has none, examine it by hand and keep the proof",
        )),
        Some(r) => r.why.clone().or_else(|| r.why_code.as_ref().map(|c| Bilingual::new(c.clone(), c.clone()))),
    };
    BlockerState {
        id: blocker.id.into(),
        group: blocker.group,
        title: Bilingual::new(blocker.zh, blocker.en),
        state,
        outcome,
        severity: result.map(|r| r.severity),
        findings: result.map_or(0, |r| r.findings.saturating_sub(r.waived)),
        waived: result.map_or(0, |r| r.waived),
        why: if state == State::Failed { None } else { why },
        supply: (state == State::NotExamined).then(|| Bilingual::new(blocker.supply_zh, blocker.supply_en)),
        guards: blocker.guards.to_vec(),
        mchs: result.filter(|_| blocker.is_per_mch && state == State::Failed).and_then(named_mchs),
    }
}

/// The merchant numbers a result's unwaived findings name, provided that every one of them is listed and names one.
/// A list cut short, or one finding without a number, means that any target may be concerned.
fn named_mchs(result: &PolicyResult) -> Option<Vec<String>> {
    if result.first.len() as u64 != result.findings {
        return None;
    }
    let mut mchs = Vec::new();
    for finding in result.first.iter().filter(|f| f.waiver.is_none()) {
        mchs.push(finding.evidence.get("mch_id")?.clone()?);
    }
    mchs.sort();
    mchs.dedup();
    (!mchs.is_empty()).then_some(mchs)
}
