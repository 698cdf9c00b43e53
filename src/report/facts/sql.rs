//! The queries behind the facts. Plain SQL over canonical tables; sums of money are exact decimals, days are text.

pub(super) const APPS: &str = "SELECT app_ref, platform, platform_app_id, name, app_status, icp_record_no, \
    CAST(icp_cancelled_on AS VARCHAR), CAST(service_paused_on AS VARCHAR), CAST(deregistered_on AS VARCHAR) \
    FROM apps WHERE platform IN ('wechat_mini', 'alipay_mini', 'other') ORDER BY platform, app_ref";

pub(super) const MCHS: &str = "SELECT mch_id, platform, access_mode, state, CAST(closed_on AS VARCHAR) \
    FROM mch_accounts WHERE platform IN ('wechat', 'alipay', 'unionpay') ORDER BY platform, mch_id";

pub(super) const LAST_TRADE: &str = "SELECT mch_id, CAST(MAX(paid) AS VARCHAR), CAST(MAX(traded) AS VARCHAR) FROM ( \
    SELECT mch_id, paid_on AS paid, paid_on AS traded FROM payments \
    WHERE status IN ('succeeded', 'refunded', 'partially_refunded') AND paid_at <= $as_of \
    UNION ALL SELECT mch_id, CAST(NULL AS DATE) AS paid, requested_on AS traded FROM refunds WHERE requested_at <= $as_of \
    ) AS t WHERE mch_id IS NOT NULL GROUP BY mch_id ORDER BY mch_id";

pub(super) const PAID_MONTHS: &str = "SELECT SUBSTR(CAST(paid_on AS VARCHAR), 1, 7) AS month, COALESCE(platform, 'other') AS platform, \
    COUNT(*) AS payments, SUM(CAST(amount_fen AS DECIMAL(38,0))) AS paid_fen FROM payments \
    WHERE status IN ('succeeded', 'refunded', 'partially_refunded') AND paid_at <= $as_of \
    GROUP BY SUBSTR(CAST(paid_on AS VARCHAR), 1, 7), COALESCE(platform, 'other') ORDER BY 1, 2";

pub(super) const REFUND_MONTHS: &str = "SELECT SUBSTR(CAST(succeeded_on AS VARCHAR), 1, 7) AS month, COALESCE(platform, 'other') AS platform, \
    SUM(CAST(amount_fen AS DECIMAL(38,0))) AS refunded_fen FROM refunds \
    WHERE status = 'succeeded' AND succeeded_at <= $as_of \
    GROUP BY SUBSTR(CAST(succeeded_on AS VARCHAR), 1, 7), COALESCE(platform, 'other') ORDER BY 1, 2";

pub(super) const BILLS: &str = "SELECT platform, mch_id, CAST(MIN(bill_on) AS VARCHAR), CAST(MAX(bill_on) AS VARCHAR), COUNT(*) \
    FROM bills GROUP BY platform, mch_id ORDER BY platform, mch_id";

/// Items of the window; one without a day belongs to every window.
pub(super) const RECON_DAYS: &str = "SELECT COALESCE(platform, 'other'), mch_id, CAST(recon_on AS VARCHAR), \
    SUM(CASE WHEN kind = 'matched' THEN 1 ELSE 0 END), SUM(CASE WHEN kind IN ('matched', 'not_compared') THEN 0 ELSE 1 END), \
    SUM(CASE WHEN kind = 'not_compared' THEN 1 ELSE 0 END) FROM recon_items \
    WHERE recon_on IS NULL OR (recon_on >= $window_from_on AND recon_on < $window_to_on) \
    GROUP BY COALESCE(platform, 'other'), mch_id, CAST(recon_on AS VARCHAR) ORDER BY 1, 2, 3";

pub(super) const BILL_DAYS: &str = "SELECT COALESCE(platform, 'other'), mch_id, CAST(bill_on AS VARCHAR), \
    MAX(CASE WHEN stated_count <> row_count OR stated_total_fen <> total_fen OR stated_refund_fen <> refund_fen \
    OR stated_fee_e6 <> fee_e6 OR LOWER(TRIM(expected_digest)) <> LOWER(TRIM(actual_digest)) THEN 1 ELSE 0 END) \
    FROM bills WHERE bill_kind IN ('trade', 'refund') AND bill_on >= $window_from_on AND bill_on < $window_to_on \
    GROUP BY COALESCE(platform, 'other'), mch_id, CAST(bill_on AS VARCHAR) ORDER BY 1, 2, 3";

pub(super) const RECON_SUMS: &str = "SELECT COALESCE(platform, 'other'), mch_id, about, kind, COUNT(*), COUNT(local_ref), \
    SUM(CAST(COALESCE(local_fen, 0) AS DECIMAL(38,0))), COUNT(bill_ref), \
    SUM(CAST(COALESCE(platform_fen, 0) AS DECIMAL(38,0))) FROM recon_items \
    WHERE recon_on IS NULL OR (recon_on >= $window_from_on AND recon_on < $window_to_on) \
    GROUP BY COALESCE(platform, 'other'), mch_id, about, kind ORDER BY 1, 2, 3, 4";

pub(super) const RECON_DIFFERENCES: &str = "SELECT CAST(recon_on AS VARCHAR) AS day_text, kind, about, platform, COALESCE(own_mch_id, mch_id) AS mch_text, \
    CASE WHEN about = 'refund' THEN COALESCE(channel_refund_no, out_refund_no) ELSE COALESCE(channel_trade_no, out_trade_no) END AS number_text, \
    local_ref, local_fen, platform_fen, local_status, platform_status FROM recon_items \
    WHERE kind NOT IN ('matched', 'not_compared') \
    AND (recon_on IS NULL OR (recon_on >= $window_from_on AND recon_on < $window_to_on)) \
    ORDER BY recon_on NULLS FIRST, item_ref LIMIT 60";

pub(super) const BALANCES: &str = "SELECT b.mch_id, b.platform, COALESCE(b.kind, 'external'), b.owner_kind, COUNT(*), \
    SUM(CAST(COALESCE(b.available_fen, 0) AS DECIMAL(38,0))), SUM(CAST(COALESCE(b.frozen_fen, 0) AS DECIMAL(38,0))), \
    CAST(MAX(b.observed_on) AS VARCHAR), \
    COALESCE(SUM(CASE WHEN b.available_fen IS NULL THEN 1 ELSE 0 END), 0) FROM ( \
    SELECT mch_id, platform, kind, owner_kind, available_fen, frozen_fen, observed_on, \
    ROW_NUMBER() OVER (PARTITION BY account_ref ORDER BY observed_at DESC) AS newest FROM balances WHERE observed_at <= $as_of \
    ) AS b WHERE b.newest = 1 GROUP BY b.mch_id, b.platform, COALESCE(b.kind, 'external'), b.owner_kind ORDER BY 1, 2, 3, 4";

pub(super) const LEDGER: &str = "SELECT mch_id, platform, account_kind, CAST(NULL AS VARCHAR), COUNT(DISTINCT account_ref), \
    SUM(CAST(signed_fen AS DECIMAL(38,0))), CAST(0 AS DECIMAL(38,0)) AS frozen, CAST(MAX(booked_on) AS VARCHAR), CAST(0 AS BIGINT) AS unknown_count FROM fund_flows \
    WHERE account_kind IN ('gateway_transit', 'suspense', 'merchant_pending', 'merchant_available', \
    'customer_balance', 'gift_card_liability', 'promoter_commission') AND booked_at <= $as_of \
    GROUP BY mch_id, platform, account_kind ORDER BY 1, 2, 3";

pub(super) const REFUNDS_IN_FLIGHT: &str = "SELECT mch_id, platform, COUNT(*), SUM(CAST(amount_fen AS DECIMAL(38,0))) FROM refunds \
    WHERE status IN ('requested', 'approved', 'processing') AND (requested_at IS NULL OR requested_at <= $as_of) \
    GROUP BY mch_id, platform ORDER BY 1, 2";

pub(super) const WITHDRAWALS: &str = "SELECT mch_id, platform, COUNT(*), SUM(CAST(amount_fen AS DECIMAL(38,0))) FROM withdrawals \
    WHERE owner_kind = 'merchant' AND status IN ('requested', 'approved', 'processing') \
    AND (requested_at IS NULL OR requested_at <= $as_of) GROUP BY mch_id, platform ORDER BY 1, 2";

pub(super) const NOTICES: &str = "SELECT notice_ref, COALESCE(notice_channel, 'other'), CAST(published_on AS VARCHAR) AS published, \
    CAST(withdrawn_on AS VARCHAR) AS withdrawn FROM notices ORDER BY published_on, notice_ref";

pub(super) const SIGNOFFS: &str = "SELECT dept, CAST(signed_on AS VARCHAR) FROM signoffs ORDER BY dept";

pub(super) const SUBMISSIONS: &str = "SELECT material_code, title, is_required, CAST(submitted_on AS VARCHAR), \
    CAST(accepted_on AS VARCHAR) FROM submissions ORDER BY material_code";

pub(super) const INTERFACES: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN disabled_at IS NULL OR disabled_at > $as_of THEN 1 ELSE 0 END), 0) \
    FROM interface_status";

pub(super) const BINDINGS: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN unbound_at IS NULL OR unbound_at > $as_of THEN 1 ELSE 0 END), 0) \
    FROM third_party_bindings";

pub(super) const TESTS: &str = "SELECT t.platform, t.mch_id, t.scenario, t.environment, t.outcome, CAST(t.run_on AS VARCHAR) FROM ( \
    SELECT COALESCE(platform, 'other') AS platform, mch_id, COALESCE(scenario, '') AS scenario, environment, outcome, run_on, \
    ROW_NUMBER() OVER (PARTITION BY platform, mch_id, scenario ORDER BY run_at DESC, test_ref DESC) AS newest \
    FROM scenario_tests WHERE run_at <= $as_of) AS t WHERE t.newest = 1 ORDER BY t.platform, t.mch_id, t.scenario";

pub(super) const COUNTS: &str = "SELECT dataset_name, COUNT(*), \
    COALESCE(SUM(CASE WHEN source_count <> target_count OR source_fen <> target_fen \
    OR source_count IS NULL OR target_count IS NULL THEN 1 ELSE 0 END), 0), \
    SUM(CAST(COALESCE(source_count, 0) AS DECIMAL(38,0))), SUM(CAST(COALESCE(target_count, 0) AS DECIMAL(38,0))), \
    SUM(CAST(COALESCE(source_fen, 0) AS DECIMAL(38,0))), SUM(CAST(COALESCE(target_fen, 0) AS DECIMAL(38,0))) \
    FROM migration_counts GROUP BY dataset_name ORDER BY dataset_name";

pub(super) const INVENTORY: &str = "SELECT data_class, CAST(month_on AS VARCHAR) AS month_day, \
    SUM(CAST(COALESCE(record_count, 0) AS DECIMAL(38,0))), CAST(MAX(anchor_on) AS VARCHAR), \
    COALESCE(SUM(CASE WHEN contains_pi THEN 1 ELSE 0 END), 0), \
    COALESCE(SUM(CASE WHEN deleted_on IS NULL THEN 1 ELSE 0 END), 0), \
    COALESCE(SUM(CASE WHEN is_restricted THEN 0 ELSE 1 END), 0) \
    FROM record_inventory GROUP BY data_class, month_on ORDER BY data_class, month_on";

pub(super) const ROLES: &str = "SELECT COALESCE(role_hint, 'other'), COALESCE(state, 'active'), COUNT(*) FROM staff \
    GROUP BY COALESCE(role_hint, 'other'), COALESCE(state, 'active') ORDER BY 1, 2";

pub(super) const HOLDERS: &str = "SELECT COALESCE(g.permission, g.role_name, ''), COALESCE(g.is_money_related, FALSE), \
    COALESCE(s.role_hint, 'other'), COUNT(DISTINCT g.staff_ref) FROM grants AS g \
    LEFT JOIN staff AS s ON s.staff_ref = g.staff_ref \
    WHERE g.revoked_at IS NULL AND (g.granted_at IS NULL OR g.granted_at <= $as_of) AND (s.state IS NULL OR s.state = 'active') \
    GROUP BY COALESCE(g.permission, g.role_name, ''), COALESCE(g.is_money_related, FALSE), COALESCE(s.role_hint, 'other') \
    ORDER BY 1, 2, 3";

pub(super) const CHANGES: &str = "SELECT SUBSTR(CAST(COALESCE(changed_on, requested_on) AS VARCHAR), 1, 7) AS month, \
    SUM(CASE WHEN succeeded AND action IN ('grant', 'role_create', 'account_create') THEN 1 ELSE 0 END), \
    SUM(CASE WHEN succeeded AND action IN ('revoke', 'role_delete', 'account_disable') THEN 1 ELSE 0 END), \
    SUM(CASE WHEN succeeded AND action IN ('account_release', 'account_delete') THEN 1 ELSE 0 END), \
    SUM(CASE WHEN succeeded AND (action IS NULL OR action NOT IN ('grant', 'role_create', 'account_create', 'revoke', 'role_delete', \
    'account_disable', 'account_release', 'account_delete')) THEN 1 ELSE 0 END), \
    SUM(CASE WHEN succeeded THEN 0 ELSE 1 END) FROM permission_changes \
    WHERE COALESCE(changed_at, requested_at) <= $as_of \
    GROUP BY SUBSTR(CAST(COALESCE(changed_on, requested_on) AS VARCHAR), 1, 7) ORDER BY 1";

pub(super) const LEAVERS: &str = "WITH gone AS (SELECT s.staff_ref, s.role_hint, s.state, p.departed_on FROM staff AS s \
    JOIN people AS p ON p.person_ref = s.person_ref WHERE p.departed_on IS NOT NULL AND p.departed_on < $as_of_on), \
    g AS (SELECT staff_ref, COUNT(*) AS n FROM grants WHERE revoked_at IS NULL GROUP BY staff_ref), \
    t AS (SELECT actor_ref, COUNT(*) AS n FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $as_of) \
    GROUP BY actor_ref), \
    d AS (SELECT bound_staff_ref, COUNT(*) AS n FROM devices WHERE state = 'bound' AND bound_staff_ref IS NOT NULL GROUP BY bound_staff_ref) \
    SELECT x.staff_ref, x.role_hint, CAST(x.departed_on AS VARCHAR) AS departed, x.state, COALESCE(g.n, 0), COALESCE(t.n, 0), COALESCE(d.n, 0) \
    FROM gone AS x LEFT JOIN g ON g.staff_ref = x.staff_ref LEFT JOIN t ON t.actor_ref = x.staff_ref \
    LEFT JOIN d ON d.bound_staff_ref = x.staff_ref \
    WHERE x.state = 'active' OR COALESCE(t.n, 0) > 0 OR COALESCE(d.n, 0) > 0 \
    OR (COALESCE(g.n, 0) > 0 AND x.state IN ('active', 'pending')) ORDER BY x.departed_on, x.staff_ref";
