//! Names for the closed words of the schema and of assessments. A word without a name is printed as it is.

use crate::model::Bilingual;

#[rustfmt::skip]
const WORDS: &[(&str, &str, &str)] = &[
    ("wechat", "微信支付", "WeChat Pay"), ("alipay", "支付宝", "Alipay"), ("unionpay", "银联", "UnionPay"),
    ("balance", "储值余额支付", "stored value"), ("cash", "现金", "cash"), ("mixed", "组合支付", "combined"), ("other", "其他", "other"),
    ("wechat_mini", "微信小程序", "WeChat mini-program"), ("alipay_mini", "支付宝小程序", "Alipay mini-program"),
    ("direct", "直连", "direct"), ("service_provider", "服务商", "service provider"),
    ("active", "在用", "active"), ("restricted", "受限", "restricted"), ("closing", "注销中", "closing"), ("closed", "已关闭", "closed"),
    ("disabled", "已停用", "disabled"), ("released", "已解除", "released"), ("expired", "已过期", "expired"), ("pending", "待生效", "pending"),
    ("owner", "主账号", "owner"), ("admin", "管理员", "administrator"), ("manager", "店长", "store manager"), ("cashier", "收银员", "cashier"),
    ("sales", "导购", "sales"), ("support", "客服", "support"), ("courier", "配送员", "courier"),
    ("finance", "财务", "finance"), ("legal", "法务", "legal"), ("technology", "技术", "technology"), ("operations", "运营", "operations"),
    ("customer-service", "客服", "customer service"), ("security", "安全", "security"),
    ("critical", "严重", "critical"), ("high", "高", "high"), ("medium", "中", "medium"), ("low", "低", "low"), ("info", "提示", "info"),
    ("pass", "通过", "pass"), ("fail", "未通过", "fail"), ("waived", "已豁免", "waived"), ("not-applicable", "不适用", "not applicable"),
    ("not-evaluated", "未评估", "not evaluated"), ("not-examined", "未查", "not examined"), ("not-performed", "未执行", "not performed"),
    ("failed", "未通过", "failed"), ("clear", "无阻断", "clear"),
    ("money", "资金", "Money"), ("people", "客户与员工", "People"), ("proof", "证据", "Proof"), ("access", "权限与接口", "Access"), ("reversibility", "可逆性", "Reversibility"),
    ("done", "已完成", "done"), ("open", "待办", "to do"), ("overdue", "已逾期", "overdue"), ("unknown", "未查明", "not known"),
    ("read", "已读原文", "read in full"), ("secondary", "二手资料", "secondary source"), ("memory", "未核对原文", "not confirmed"), ("seed", "种子文档", "seed document"),
    ("statute", "法律", "statute"), ("regulation", "行政法规", "regulation"), ("ministry-rule", "部门规章", "ministry rule"), ("platform", "平台规则", "platform rule"),
    ("contract", "合同", "contract"), ("platform-default", "本工具默认", "default of this toolkit"),
    ("valid", "有效", "valid"), ("refused", "不予采纳", "refused"), ("unused", "未使用", "unused"),
    ("drop", "剔除规则", "policy dropped"), ("severity", "调整严重度", "severity changed"), ("out-of-scope", "不在范围", "out of scope"), ("override", "调整参数", "parameter changed"),
    ("self-operated", "自营商户", "self-operated merchant"), ("platform-operator", "平台经营者", "platform operator"), ("payment-institution", "支付机构", "payment institution"),
    ("default", "默认", "default"), ("profile", "档案设定", "profile"),
    ("pay-ok", "支付成功", "payment succeeds"), ("pay-fail", "支付失败", "payment fails"), ("pay-cancel", "取消支付", "payment cancelled"),
    ("refund-full", "全额退款", "full refund"), ("refund-partial", "部分退款", "partial refund"), ("reconcile", "对账", "reconcile"),
    ("notify-repeat", "重复通知", "repeated notification"), ("pay-after-close", "关单后支付", "payment after close"),
    ("sandbox", "沙箱", "sandbox"), ("prod", "生产", "production"),
    ("app", "小程序", "mini-program"), ("mch", "商户号", "merchant number"), ("filing", "备案", "filing"), ("entity", "主体", "entity"), ("project", "项目", "project"),
    ("app-account", "账号迁移", "account migration"), ("entity-change", "主体变更", "change of entity"), ("mch-change", "更换商户号", "change of merchant number"), ("system-change", "系统更换", "change of system"),
    ("completed", "交易完成", "completion"), ("ended", "关系或活动结束", "end of the relation"), ("event", "事件发生", "the event"), ("fiscal-year-end", "会计年度终了", "end of the fiscal year"),
    ("balance-zero", "余额归零", "balance reaching zero"), ("deleted", "主记录删除", "deletion of the primary copy"), ("departed", "离职", "departure"), ("issued", "开具", "issue"), ("removed", "账号解除", "removal of the account"), ("signed", "签署", "signature"), ("unbound", "解绑", "unbinding"),
    ("human-resources", "人力资源", "human resources"),
    ("payment", "收款", "payments"), ("refund", "退款", "refunds"),
    ("amount", "金额不同", "amount differs"), ("currency", "币种不同", "currency differs"), ("status", "状态不同", "state differs"), ("day_shift", "归属日不同", "another day"),
    ("missing_local", "仅平台有", "only the platform has it"), ("missing_platform", "仅本地有", "only we have it"), ("repeated", "重复", "number comes again"), ("unclassified", "类型不明", "of an unknown kind"),
    ("external", "外部账户", "external account"), ("fee_income", "手续费收入", "fee income"), ("coupon_liability", "优惠券负债", "coupon liability"),
];

/// The word in both languages.
pub(super) fn word(word: &str) -> Bilingual {
    WORDS.iter().find(|w| w.0 == word).map_or_else(|| Bilingual::new(word, word), |w| Bilingual::new(w.1, w.2))
}

/// Names of evidence columns.
#[rustfmt::skip]
const COLUMNS: &[(&str, &str, &str)] = &[
    ("about", "收款或退款", "payment or refund"), ("about_ref", "所涉单号", "number concerned"), ("account_kind", "账户种类", "kind of account"), ("account_ref", "账户", "account"),
    ("bill_on", "账单日", "bill's day"), ("fee_e6", "手续费（百万分之一元）", "fee (millionths of a yuan)"), ("first_flow_ref", "首笔分录", "first line"), ("item_count", "笔数", "items"),
    ("line_rate", "账单费率", "rate in bill"), ("local_on", "本地归属日", "our day"), ("nth", "第几笔", "which line"), ("rate", "费率", "rate"), ("signed_fen", "入账（元）", "booked (CNY)"),
    ("blue_fen", "已开票（元）", "invoiced (CNY)"), ("currency", "币种", "currency"), ("difference_fen", "差额（元）", "difference (CNY)"), ("differing_count", "不符笔数", "items that differ"),
    ("first_ref", "首笔单号", "first number"), ("invoice_no", "发票号码", "invoice number"), ("left_fen", "前一方（元）", "first side (CNY)"), ("red_fen", "红字（元）", "red invoices (CNY)"),
    ("repeats_ref", "所重复的账单", "bill repeated"), ("right_fen", "后一方（元）", "second side (CNY)"),
    ("access_removed_at", "权限收回时间", "access removed"), ("action", "动作", "action"), ("activity_count", "活动次数", "activities"), ("actor_ref", "操作人", "actor"),
    ("actual_digest", "实际摘要", "actual digest"), ("amount_fen", "金额（元）", "amount (CNY)"), ("answered_on", "答复日", "answered on"), ("archive_class", "归档类别", "archive class"),
    ("authority_ref", "授权依据", "authority"), ("available_fen", "可用（元）", "available (CNY)"), ("basis_ref", "依据", "basis"), ("belongs_to_ref", "实际归属", "belongs to"),
    ("bill_fen", "账单金额（元）", "bill amount (CNY)"), ("bill_kind", "账单种类", "kind of bill"), ("bill_ref", "账单", "bill"), ("bill_state", "账单状态", "state in bill"),
    ("biz_code", "业务代码", "business code"), ("bound", "界限", "bound"), ("bound_staff_ref", "绑定员工", "bound to"), ("busiest_count", "最繁忙时次数", "busiest count"),
    ("campaign_ref", "活动", "campaign"), ("chain_seq_no", "链序号", "chain number"), ("change_ref", "变更", "change"), ("close_on", "关闭日", "closing day"),
    ("closed_at", "关单时间", "closed at"), ("comm_code", "通信代码", "communication code"), ("committed_fen", "已退及在途（元）", "refunded or on the way (CNY)"),
    ("created_by_ref", "创建人", "created by"), ("data_class", "数据类别", "data class"), ("dataset_name", "数据集", "dataset"), ("deleted_on", "删除日", "deleted on"),
    ("departed_on", "离职日", "left on"), ("detail", "细节", "detail"), ("digest_algorithm", "摘要算法", "digest algorithm"), ("done_at", "办结时间", "done at"),
    ("done_by_ref", "办理人", "done by"), ("ends_at", "结束时间", "ends at"), ("environment", "环境", "environment"), ("evidence_source", "证据来源", "source of evidence"),
    ("excess_fen", "超出（元）", "excess (CNY)"), ("expected_digest", "应有摘要", "expected digest"), ("expected_sha256", "应有摘要", "expected SHA-256"),
    ("expires_on", "到期日", "expires on"), ("field_name", "字段", "field"), ("first_payment_ref", "首笔支付", "first payment"),
    ("first_published_on", "首次公示日", "first published on"), ("form_kind", "形式", "form"), ("found", "实有", "found"), ("frozen_fen", "冻结（元）", "frozen (CNY)"),
    ("hash_algorithm", "散列算法", "hash algorithm"), ("hold_ref", "保全令", "legal hold"), ("item_ref", "事项", "item"), ("keep_until_on", "保存至", "keep until"),
    ("kept_fen", "留存（元）", "kept (CNY)"), ("kind", "种类", "kind"), ("last_at", "最后时间", "last at"), ("last_change_at", "最后变更", "last change"),
    ("last_payment_ref", "末笔支付", "last payment"), ("last_used_at", "最后使用", "last used"), ("left_status", "前一状态", "status left"), ("line_no", "行号", "line"),
    ("local_fen", "本地金额（元）", "local amount (CNY)"), ("local_ref", "本地单号", "local number"), ("local_status", "本地状态", "local status"), ("matched", "是否匹配", "matched"),
    ("mch_id", "商户号", "merchant number"), ("merchant_ref", "商户", "merchant"), ("method", "方式", "method"), ("month_on", "月份", "month"), ("net_fen", "净额（元）", "net (CNY)"),
    ("notice_count", "公告数", "notices"), ("object_kind", "对象种类", "kind of object"), ("object_ref", "对象", "object"), ("operator_ref", "操作员", "operator"),
    ("order_ref", "订单", "order"), ("out_trade_no", "商户订单号", "merchant's trade number"), ("owner_ref", "账户归属", "account owner"), ("paid_fen", "已付（元）", "paid (CNY)"),
    ("paid_flow_count", "支付流水数", "payment lines"), ("paid_flows_fen", "支付流水合计（元）", "payment lines (CNY)"), ("partition_key", "分区", "partition"),
    ("payable_fen", "应付（元）", "payable (CNY)"), ("payment_count", "支付笔数", "payments"), ("payment_ref", "支付单", "payment"), ("permission", "权限", "permission"),
    ("platform", "渠道", "platform"), ("policy", "规则", "policy"), ("previous_no", "前一序号", "previous number"), ("product", "产品", "product"), ("project_ref", "项目", "project"),
    ("receipt_count", "回执数", "receipts"), ("refund_count", "退款笔数", "refunds"), ("refund_ref", "退款单", "refund"), ("refunded_fen", "已退（元）", "refunded (CNY)"),
    ("refunded_original_fen", "原路退回（元）", "returned by original route (CNY)"), ("removed_at", "解除时间", "removed at"), ("requested_at", "申请时间", "requested at"),
    ("role", "角色", "role"), ("role_hint", "岗位", "role"), ("row_count", "行数", "rows"), ("scenario", "场景", "scenario"), ("seq_no", "序号", "sequence number"),
    ("sha256", "摘要", "SHA-256"), ("since_at", "起始时间", "since"), ("source", "来源", "source"), ("source_count", "来源行数", "rows at source"), ("source_ref", "来源", "source"),
    ("staff_ref", "员工代号", "staff pseudonym"), ("starts_at", "开始时间", "starts at"), ("state", "状态", "state"), ("stated", "声明值", "stated"), ("status", "状态", "status"),
    ("store_ref", "门店", "store"), ("subject_ref", "对象员工", "staff concerned"), ("system_name", "系统", "system"), ("target_count", "目标行数", "rows at target"),
    ("to_status", "后一状态", "status entered"), ("trade_state", "交易状态", "trade state"), ("unbound_at", "解绑时间", "unbound at"), ("valid_until_at", "有效期至", "valid until"),
    ("value", "值", "value"), ("work_order_ref", "工单", "work order"),
];

/// The heading of an evidence column; one without a name is printed as it is.
pub(super) fn column(name: &str) -> Bilingual {
    COLUMNS.iter().find(|c| c.0 == name).map_or_else(|| Bilingual::new(name, name), |c| Bilingual::new(c.1, c.2))
}

const UNITS: [(&str, &str); 5] = [("year", "年"), ("month", "个月"), ("week", "周"), ("day", "日"), ("hour", "小时")];

/// A period such as `10 years` in both languages; anything else as it is.
pub(super) fn period(text: &str) -> Bilingual {
    let zh = text.split_once(' ').and_then(|(n, unit)| {
        let unit = UNITS.iter().find(|u| u.0 == unit.trim_end_matches('s'))?;
        Some(format!("{n} {}", unit.1))
    });
    Bilingual::new(zh.unwrap_or_else(|| text.to_owned()), text)
}

/// The place inside a source: `art. 5, art. 8` in Chinese is 第5条、第8条; a place given as `中文 / English` is split.
pub(super) fn place(text: &str) -> Bilingual {
    if let Some((zh, en)) = text.split_once(" / ") {
        return Bilingual::new(zh, en);
    }
    let mut zh = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("art. ") {
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        if digits == 0 {
            break;
        }
        zh.push_str(&before.replace(", ", "、"));
        zh.push_str(&format!("第{}条", &after[..digits]));
        rest = &after[digits..];
    }
    zh.push_str(rest);
    Bilingual::new(zh, text)
}

/// A reference such as `ECL art. 31` with the instrument's name in place of its key, where the name is known.
pub(super) fn reference(text: &str, titles: &std::collections::BTreeMap<String, Bilingual>) -> Bilingual {
    let (key, rest) = text.split_once(' ').unwrap_or((text, ""));
    let place = place(rest);
    match titles.get(key) {
        Some(title) => {
            let comma = if rest.is_empty() { "" } else { ", " };
            Bilingual::new(format!("{}{}", title.zh, place.zh), format!("{}{comma}{}", title.en, place.en))
        }
        None if rest.is_empty() => Bilingual::new(text, text),
        None => Bilingual::new(format!("{key} {}", place.zh), text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_periods_read_well() {
        let mut names: Vec<&str> = WORDS.iter().map(|w| w.0).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(all, names.len());
        assert_eq!(period("10 years"), Bilingual::new("10 年", "10 years"));
        assert_eq!(period("soon"), Bilingual::new("soon", "soon"));
    }

    #[test]
    fn places_are_cited_in_each_language() {
        assert_eq!(place("art. 5, art. 8").zh, "第5条、第8条");
        assert_eq!(place("§五 (操作日志留存)").zh, "§五 (操作日志留存)");
        assert_eq!(place("第二十五条 / art. 25"), Bilingual::new("第二十五条", "art. 25"));
        let titles =
            std::collections::BTreeMap::from([("ECL".to_owned(), Bilingual::new("《电子商务法》", "E-Commerce Law"))]);
        assert_eq!(
            reference("ECL art. 31", &titles),
            Bilingual::new("《电子商务法》第31条", "E-Commerce Law, art. 31")
        );
        assert_eq!(reference("S1 §二", &titles).zh, "S1 §二");
    }
}
