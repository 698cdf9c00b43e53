//! The words by which tables and columns are recognised, as data: English, pinyin and Chinese, longest first where one
//! holds another. Nothing here belongs to one product; whoever meets a new habit adds a word.

/// What a table may be called that feeds a dataset.
pub(super) struct TableWords {
    /// Dataset.
    pub(super) dataset: &'static str,
    /// Names, as words joined by `_`.
    pub(super) names: &'static [&'static str],
}

/// Tables by dataset; the more words of a name match, the surer the guess, then the earlier entry.
pub(super) const TABLES: &[TableWords] = &[
    TableWords {
        dataset: "refunds",
        names: &[
            "refund", "refund_order", "order_refund", "pay_refund", "after_sale", "aftersale", "after_sales", "order_return",
            "return_apply", "order_after_sale", "tuikuan", "dingdan_tuikuan", "退款", "退款单", "售后", "售后单",
        ],
    },
    TableWords {
        dataset: "payments",
        names: &["payment", "pay", "pay_order", "order_pay", "payment_order", "order_payment", "zhifu", "支付", "支付单", "付款单"],
    },
    TableWords {
        dataset: "payment_flows",
        names: &["pay_flow", "payment_flow", "pay_channel_order", "zhifu_liushui", "支付流水"],
    },
    TableWords {
        dataset: "order_items",
        names: &[
            "order_item", "order_goods", "order_detail", "order_product", "order_sku", "order_line", "dingdan_mingxi",
            "订单明细", "订单商品",
        ],
    },
    TableWords {
        dataset: "trade_orders",
        names: &["order", "trade_order", "shop_order", "store_order", "mall_order", "trade", "dingdan", "订单", "订单表"],
    },
    TableWords {
        dataset: "staff",
        names: &[
            "admin", "admin_user", "sys_user", "system_user", "system_admin", "sys_admin", "store_staff", "employee", "staff",
            "operator", "cashier", "clerk", "yuangong", "guanliyuan", "员工", "管理员", "店员", "操作员", "收银员",
        ],
    },
    TableWords {
        dataset: "logins",
        names: &["login_log", "user_login_log", "admin_login_log", "login", "logininfor", "denglu_rizhi", "登录日志"],
    },
    TableWords {
        dataset: "operation_logs",
        names: &[
            "operation_log", "operate_log", "oper_log", "sys_log", "admin_log", "system_log", "action_log", "audit_log",
            "caozuo_rizhi", "操作日志",
        ],
    },
    TableWords {
        dataset: "permission_changes",
        names: &["permission_log", "perm_log", "role_log", "permission_change", "quanxian_rizhi", "权限日志"],
    },
    TableWords {
        dataset: "fund_flows",
        names: &[
            "fund_flow", "balance_log", "money_log", "account_log", "wallet_log", "wallet_transaction", "capital_flow",
            "account_flow", "user_bill", "zijin_liushui", "资金流水", "余额流水", "账户流水",
        ],
    },
    TableWords { dataset: "withdrawals", names: &["withdraw", "withdrawal", "cash_out", "user_extract", "tixian", "提现"] },
    TableWords { dataset: "recharges", names: &["recharge", "recharge_order", "user_recharge", "chongzhi", "充值"] },
    TableWords { dataset: "settlements", names: &["settlement", "settle", "settle_order", "jiesuan", "结算", "结算单"] },
    TableWords { dataset: "complaints", names: &["complaint", "complain", "tousu", "投诉"] },
    TableWords {
        dataset: "coupon_holdings",
        names: &["coupon_user", "user_coupon", "member_coupon", "coupon_receive", "coupon_issue_user", "会员优惠券"],
    },
    TableWords {
        dataset: "customers",
        names: &["user", "member", "customer", "buyer", "wx_user", "member_user", "huiyuan", "yonghu", "kehu", "会员", "用户", "顾客", "客户"],
    },
    TableWords { dataset: "merchants", names: &["merchant", "mch", "shanghu", "商户"] },
    TableWords { dataset: "stores", names: &["store", "shop", "branch", "mendian", "门店", "店铺"] },
];

/// Words in front of a table's name that say nothing.
pub(super) const TABLE_PREFIXES: &[&str] = &["t", "tb", "tbl", "tab", "eb", "ims", "wp", "biz", "app"];
/// Words at the end of a table's name that say nothing.
pub(super) const TABLE_SUFFIXES: &[&str] = &["info", "main", "master", "list", "data", "tbl", "table", "record", "base", "biao", "表"];
/// A table with one of these words holds settings or copies, not records.
pub(super) const TABLE_NOT: &[&str] = &[
    "config", "conf", "setting", "dict", "template", "tmp", "temp", "bak", "backup", "cache", "menu", "dept", "category",
    "level", "group", "tag", "label", "sign", "address", "token", "role", "cart", "reply", "express", "notify", "task",
];

/// What a column may be called that fills a canonical column, the surest first.
pub(super) struct ColumnWords {
    /// Canonical column, whatever the dataset.
    pub(super) column: &'static str,
    /// Names, as words joined by `_`.
    pub(super) names: &'static [&'static str],
}

const CREATED: &[&str] = &[
    "create_time", "created_at", "created_time", "createtime", "create_at", "gmt_create", "gmt_created", "add_time", "addtime",
    "ctime", "insert_time", "create_date", "order_time", "chuangjian_shijian", "xiadan_shijian", "tianjia_shijian", "创建时间",
    "下单时间", "添加时间",
];

/// Columns; a canonical column may have several entries, the earlier the surer.
pub(super) const COLUMNS: &[ColumnWords] = &[
    ColumnWords { column: "order_no", names: &["order_sn", "order_no", "order_code", "order_number", "sn", "dingdan_hao", "订单号", "订单编号"] },
    ColumnWords { column: "order_ref", names: &["order_id", "orderid", "oid", "biz_order_id", "dingdan_id", "订单id", "order_sn", "order_no", "dingdan_hao", "订单号", "订单编号"] },
    ColumnWords { column: "payment_ref", names: &["pay_id", "payment_id", "pay_order_id", "zhifu_id"] },
    ColumnWords { column: "customer_ref", names: &["user_id", "member_id", "uid", "buyer_id", "customer_id", "huiyuan_id", "yonghu_id", "kehu_id", "会员编号", "用户编号"] },
    ColumnWords { column: "payer_ref", names: &["channel_user", "buyer_openid", "payer_openid", "openid"] },
    ColumnWords { column: "store_ref", names: &["store_id", "shop_id", "branch_id", "mendian_id", "门店编号"] },
    ColumnWords { column: "merchant_ref", names: &["merchant_id", "mer_id", "shanghu_id", "商户编号"] },
    ColumnWords { column: "mch_id", names: &["mch_id", "mchid", "mch_no", "merchant_no", "sub_mch_id", "商户号"] },
    ColumnWords { column: "out_trade_no", names: &["out_trade_no", "trade_no", "pay_sn", "pay_no", "mch_order_no", "商户订单号"] },
    ColumnWords { column: "channel_trade_no", names: &["transaction_id", "channel_order_no", "channel_no", "third_trade_no"] },
    ColumnWords { column: "out_refund_no", names: &["out_refund_no", "refund_sn", "refund_no", "mch_refund_no", "tuikuan_danhao", "退款单号"] },
    ColumnWords { column: "channel_refund_no", names: &["channel_refund_no", "wx_refund_id", "third_refund_no"] },
    ColumnWords { column: "sku_ref", names: &["sku_id", "goods_sku_id", "product_id", "goods_id", "spu_id"] },
    ColumnWords { column: "coupon_ref", names: &["coupon_id", "template_id"] },
    ColumnWords { column: "title", names: &["goods_name", "product_name", "title", "商品名称"] },
    ColumnWords { column: "quantity", names: &["quantity", "number", "num", "cart_num", "count", "goods_num", "shuliang", "数量"] },
    ColumnWords { column: "status", names: &["status", "state", "order_status", "order_state", "pay_status", "refund_status", "pay_state", "refund_state", "zhuangtai", "状态", "订单状态", "支付状态", "退款状态"] },
    ColumnWords { column: "state", names: &["state", "status", "zhuangtai", "状态"] },
    ColumnWords { column: "platform", names: &["pay_type", "pay_way", "pay_channel", "pay_method", "payment_method", "pay_code", "way_code", "if_code", "channel", "channel_code", "zhifu_fangshi", "支付方式"] },
    ColumnWords { column: "tender", names: &["pay_type", "pay_way", "way_code", "tender"] },
    ColumnWords { column: "route", names: &["refund_route", "refund_way", "refund_type", "tuikuan_fangshi", "退款方式"] },
    ColumnWords { column: "kind", names: &["order_type", "dingdan_leixing", "订单类型"] },
    ColumnWords { column: "goods_fen", names: &["goods_price", "goods_amount", "goods_total", "total_goods_price", "product_amount", "shangpin_jine", "商品金额"] },
    ColumnWords { column: "freight_fen", names: &["freight_price", "freight", "freight_amount", "freight_fee", "shipping_fee", "delivery_price", "postage", "pay_postage", "yunfei", "运费"] },
    ColumnWords { column: "discount_fen", names: &["discount_price", "discount_amount", "discount", "youhui_jine", "优惠金额"] },
    ColumnWords { column: "coupon_fen", names: &["coupon_price", "coupon_amount", "coupon_money"] },
    ColumnWords { column: "unit_price_fen", names: &["price", "unit_price", "goods_price", "danjia", "单价"] },
    ColumnWords { column: "payable_fen", names: &["payable_amount", "payable", "order_price", "order_amount", "total_price", "total_amount", "total_fee", "yingfu_jine", "dingdan_jine", "应付金额", "订单金额"] },
    ColumnWords { column: "paid_fen", names: &["paid_amount", "actual_price", "actual_amount", "real_pay", "pay_price", "pay_amount", "pay_amt", "pay_money", "shifu_jine", "实付金额", "支付金额"] },
    ColumnWords { column: "refunded_fen", names: &["refunded_amount", "refund_price", "refund_amount"] },
    ColumnWords { column: "amount_fen", names: &["pay_amount", "refund_amount", "refund_price", "refund_money", "refund_fee", "pay_price", "pay_money", "pay_amt", "amount", "amt", "money", "total_fee", "price", "extract_price", "jine", "tuikuan_jine", "zhifu_jine", "金额", "退款金额", "支付金额"] },
    ColumnWords { column: "signed_fen", names: &["change_amount", "amount", "amt", "money", "jine", "金额"] },
    ColumnWords { column: "balance_after_fen", names: &["after_balance", "balance_after", "balance"] },
    ColumnWords { column: "fee_fen", names: &["fee", "fee_amount", "mch_fee_amount", "service_fee", "shouxufei", "手续费"] },
    ColumnWords { column: "balance_fen", names: &["balance", "now_money", "wallet_balance", "yue", "余额"] },
    ColumnWords { column: "face_fen", names: &["coupon_price", "face_value", "discount_price"] },
    ColumnWords { column: "points_count", names: &["points", "point", "integral", "score", "jifen", "积分"] },
    ColumnWords { column: "paid_at", names: &["pay_time", "paid_at", "paid_time", "payment_time", "pay_date", "success_time", "zhifu_shijian", "fukuan_shijian", "支付时间", "付款时间"] },
    ColumnWords { column: "succeeded_at", names: &["refund_time", "success_time", "refunded_at", "succeeded_at", "tuikuan_shijian", "退款时间", "到账时间"] },
    ColumnWords { column: "approved_at", names: &["audit_time", "approve_time", "approved_at", "shenhe_shijian", "审核时间"] },
    ColumnWords { column: "requested_at", names: &["apply_time", "request_time", "requested_at", "shenqing_shijian", "申请时间"] },
    ColumnWords { column: "requested_at", names: CREATED },
    ColumnWords { column: "shipped_at", names: &["ship_time", "delivery_time", "send_time", "fahuo_shijian", "发货时间"] },
    ColumnWords { column: "closed_at", names: &["close_time", "closed_at", "cancel_time", "guanbi_shijian", "关闭时间"] },
    ColumnWords { column: "expires_at", names: &["expire_time", "expired_time", "expires_at"] },
    ColumnWords { column: "submitted_at", names: CREATED },
    ColumnWords { column: "created_at", names: CREATED },
    ColumnWords { column: "registered_at", names: &["reg_time", "register_time", "registered_at", "zhuce_shijian", "注册时间"] },
    ColumnWords { column: "registered_at", names: CREATED },
    ColumnWords { column: "acted_at", names: &["oper_time", "operate_time", "operation_time", "caozuo_shijian", "操作时间"] },
    ColumnWords { column: "acted_at", names: CREATED },
    ColumnWords { column: "logged_in_at", names: &["login_time", "denglu_shijian", "登录时间"] },
    ColumnWords { column: "logged_in_at", names: CREATED },
    ColumnWords { column: "changed_at", names: &["effect_time", "change_time", "changed_at"] },
    ColumnWords { column: "changed_at", names: CREATED },
    ColumnWords { column: "booked_at", names: CREATED },
    ColumnWords { column: "opened_at", names: CREATED },
    ColumnWords { column: "received_at", names: &["receive_time", "lingqu_shijian", "领取时间"] },
    ColumnWords { column: "received_at", names: CREATED },
    ColumnWords { column: "used_at", names: &["use_time", "used_time", "used_at"] },
    ColumnWords { column: "last_active_at", names: &["last_login_time", "last_login", "login_date", "last_time"] },
    ColumnWords { column: "released_at", names: &["leave_time", "release_time", "lizhi_shijian", "离职时间"] },
    ColumnWords { column: "opened_on", names: &["open_date", "opened_on", "kaiye_riqi", "开业日期"] },
    ColumnWords { column: "wechat_openid", names: &["openid", "open_id", "wx_openid", "weixin_openid", "routine_openid", "wechat_openid"] },
    ColumnWords { column: "phone", names: &["phone", "mobile", "tel", "cellphone", "phonenumber", "telphone", "shouji", "shouji_hao", "手机", "手机号", "电话"] },
    ColumnWords { column: "nickname", names: &["nickname", "nick_name", "nicheng", "昵称"] },
    ColumnWords { column: "login_name", names: &["username", "user_name", "login_name", "login_username", "account", "login", "admin_name", "zhanghao", "账号", "登录名"] },
    ColumnWords { column: "real_name", names: &["real_name", "realname", "truename", "true_name", "xingming", "姓名", "nick_name", "nickname", "name"] },
    ColumnWords { column: "employee_no", names: &["employee_no", "emp_no", "job_no", "user_no", "gonghao", "工号"] },
    ColumnWords { column: "last_login_ip", names: &["last_login_ip", "last_ip", "login_ip"] },
    ColumnWords { column: "receiver_name", names: &["consignee", "receiver_name", "receiver", "real_name", "shouhuoren", "收货人"] },
    ColumnWords { column: "receiver_phone", names: &["receiver_phone", "receiver_mobile", "mobile", "phone", "user_phone", "tel", "shouji", "手机", "电话"] },
    ColumnWords { column: "receiver_address", names: &["receiver_address", "receiver_detail_address", "address", "user_address", "dizhi", "shouhuo_dizhi", "地址", "收货地址"] },
    ColumnWords { column: "contact_name", names: &["contact_name", "linkman", "lianxiren", "联系人"] },
    ColumnWords { column: "contact_phone", names: &["contact_phone", "contact_tel", "link_phone", "phone", "mobile", "tel", "lianxi_dianhua", "联系电话"] },
    ColumnWords { column: "buyer_note", names: &["buyer_note", "user_remark", "message", "remark", "mark", "note", "beizhu", "备注", "买家留言"] },
    ColumnWords { column: "reason", names: &["refund_reason", "apply_reason", "reason", "tuikuan_yuanyin", "退款原因"] },
    ColumnWords { column: "operator_ref", names: &["operator_id", "admin_id", "oper_id", "audit_user_id", "handler_id", "caozuoren_id", "操作员编号"] },
    ColumnWords { column: "approved_by_ref", names: &["audit_user_id", "auditor_id", "approver_id", "admin_id"] },
    ColumnWords { column: "handler_ref", names: &["handler_id", "admin_id", "operator_id"] },
    ColumnWords { column: "cashier_ref", names: &["cashier_id", "clerk_id", "shouyinyuan_id"] },
    ColumnWords { column: "actor_ref", names: &["user_id", "admin_id", "operator_id", "oper_id"] },
    ColumnWords { column: "actor_name", names: &["admin_name", "user_name", "username", "oper_name", "operator_name", "admin"] },
    ColumnWords { column: "owner_ref", names: &["user_id", "uid", "member_id", "mer_id"] },
    ColumnWords { column: "ip", names: &["ip", "user_ip", "login_ip", "oper_ip", "request_ip", "ipaddr", "client_ip"] },
    ColumnWords { column: "user_agent", names: &["user_agent", "ua", "browser"] },
    ColumnWords { column: "module", names: &["module", "type", "model_name", "business_type"] },
    ColumnWords { column: "action", names: &["action", "method", "operation", "method_name", "path", "url"] },
    ColumnWords { column: "detail", names: &["detail", "content", "result", "comment", "request_params", "oper_param", "msg"] },
    ColumnWords { column: "note", names: &["remark", "mark", "note", "memo", "beizhu", "备注"] },
    ColumnWords { column: "name", names: &["name", "store_name", "shop_name", "mch_name", "merchant_name", "mingcheng", "名称", "门店名称", "商户名称"] },
    ColumnWords { column: "error_code", names: &["err_code", "error_code"] },
];

/// Columns that say a row was deleted without removing it.
pub(super) const DELETED: &[&str] = &["deleted", "is_deleted", "is_del", "isdel", "del_flag", "is_delete", "shanchu", "已删除", "删除标志"];

/// Names of keys that are one column.
pub(super) const KEYS: &[&str] = &["id", "编号"];
/// What the last word of a key may be, where no column is called `id`.
pub(super) const KEY_ENDS: &[&str] = &["id", "sn", "no", "code", "hao", "bianhao", "uuid"];

/// Columns whose values are codes: only of these are values ever listed.
pub(super) const CODES: &[&str] = &[
    "status", "state", "type", "kind", "flag", "mode", "channel", "way", "level", "method", "source", "platform", "gender",
    "sex", "deleted", "del", "enabled", "enable", "disabled", "locked", "result", "zhuangtai", "leixing", "fangshi", "biaozhi",
    "qudao", "状态", "类型", "方式", "标志", "渠道", "级别",
];

/// What a column is worth protecting as, by the words of its name; the first that matches holds.
pub(super) const SECRETS: &[&str] = &[
    "password", "passwd", "pwd", "salt", "secret", "token", "private", "apikey", "api_key", "app_key", "sign_key", "cert",
    "credential", "session_key", "mima", "miyao", "密码", "密钥", "令牌", "口令",
];
/// Ways to reach somebody.
pub(super) const CONTACTS: &[&str] = &[
    "phone", "mobile", "tel", "telephone", "cellphone", "phonenumber", "telphone", "email", "mail", "address", "addr",
    "consignee", "receiver", "linkman", "contact", "qq", "idcard", "id_card", "id_number", "identity", "bank_card", "bankcard",
    "card_no", "bank_account", "shouji", "dianhua", "dizhi", "youxiang", "shouhuoren", "lianxiren", "shenfenzheng", "手机",
    "电话", "地址", "邮箱", "收货", "联系", "身份证", "银行卡",
];
/// Names of people.
pub(super) const NAMES: &[&str] = &[
    "name", "nickname", "nick", "realname", "truename", "username", "author", "creator", "updater", "create_by", "update_by",
    "operator", "avatar", "birthday", "xingming", "nicheng", "xm", "姓名", "昵称", "名字", "人",
];
/// Identifiers of customers.
pub(super) const CUSTOMERS: &[&str] = &["openid", "open_id", "unionid", "union_id", "user_id", "member_id", "uid", "buyer_id", "会员编号"];
/// Sentences.
pub(super) const SENTENCES: &[&str] = &[
    "remark", "message", "content", "detail", "desc", "description", "reason", "note", "memo", "comment", "mark", "msg", "body",
    "beizhu", "备注", "留言", "原因", "内容", "描述",
];
