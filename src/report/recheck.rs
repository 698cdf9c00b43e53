//! The slip to read once more just before the click: ten lines, each something a person can look at.

use crate::config::case::CaseKind;
use crate::model::Bilingual;

const CLOSING: [(&str, &str); 10] = [
    (
        "平台预校验是否在 24 小时内通过，且针对同一商户号？",
        "Did the platform's check pass within 24 hours, for this very merchant number?",
    ),
    (
        "本报告的数据时点与结论失效时间是否仍有效？若已失效，先重新封存并检查。",
        "Are this report's data and verdict still in force? If they lapsed, seal and check again first.",
    ),
    (
        "页面上显示的小程序或商户号是否与本报告的目标逐字一致？",
        "Is the app or merchant number on the screen the target of this report, character by character?",
    ),
    (
        "各账户余额（基本、运营、手续费、保证金、待结算）是否都显示为 0.00？",
        "Does every account (basic, operation, fee, margin, unsettled) show 0.00?",
    ),
    (
        "平台上是否没有处理中的退款、投诉、分账与提现？",
        "Are there no refunds, complaints, profit shares or withdrawals under way on the platform?",
    ),
    ("自上一张账单以来是否没有新交易？", "Has there been no trade since the last bill?"),
    (
        "首页公示是否仍在显著位置，且自公示之日起满三十日？",
        "Does the home page notice still stand, and have its thirty days passed?",
    ),
    ("储值余额与卡券的处理是否已经告知并办结？", "Are stored value and coupons announced and settled?"),
    (
        "最终归档（非草稿）是否已验证，并存放在两处、由保管人签收？",
        "Is the final archive (no draft) verified, kept in two places and acknowledged by its custodian?",
    ),
    (
        "五部门会签是否在本次检查之后，授权人是否就是此刻点击的人？",
        "Were the five sign-offs given after this check, and is the person about to click the one authorised?",
    ),
];

const MOVING: [(&str, &str); 10] = [
    (
        "本报告的数据时点与结论失效时间是否仍有效？若已失效，先重新封存并检查。",
        "Are this report's data and verdict still in force? If they lapsed, seal and check again first.",
    ),
    (
        "页面上的来源与目标是否与本报告逐字一致？",
        "Are source and target on the screen those of this report, character by character?",
    ),
    (
        "目标环境的全部支付场景是否在最近一次配置变更之后测试通过？",
        "Did every payment scenario pass in the target environment after the last change of configuration?",
    ),
    (
        "新商户号是否已绑定、旧商户号是否尚未解绑？",
        "Is the new merchant number bound, and the old one not yet unbound?",
    ),
    (
        "回退方案的负责人是否在场，回退时限是否明确？",
        "Is the owner of the way back present, and is its time limit known?",
    ),
    (
        "平台上是否没有处理中的退款、投诉与分账？",
        "Are there no refunds, complaints or profit shares under way on the platform?",
    ),
    ("最近一次行数与金额核对是否全部相等？", "Did the last comparison of rows and sums agree everywhere?"),
    ("迁移公告是否已发布并仍在显示？", "Is the announcement published and still shown?"),
    ("原商户号在退款期内是否保留退款能力？", "Can the old merchant number refund until the refund periods end?"),
    (
        "授权人是否就是此刻点击的人，会签是否在本次检查之后？",
        "Is the person about to click the one authorised, and were the sign-offs given after this check?",
    ),
];

/// The ten lines; none for an audit.
pub(super) fn slip(kind: CaseKind) -> Vec<Bilingual> {
    let lines: &[(&str, &str)] = match kind {
        CaseKind::Deregistration => &CLOSING,
        CaseKind::Migration => &MOVING,
        CaseKind::Audit | CaseKind::Offboarding => &[],
    };
    lines.iter().map(|(zh, en)| Bilingual::new(*zh, *en)).collect()
}
