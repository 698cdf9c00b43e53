WITH named AS (
  SELECT g.project_ref, g.target_mch_id AS mch_id, g.platform, g.target_app_id
  FROM migration_projects g
  WHERE g.target_mch_id IS NOT NULL
  UNION ALL
  SELECT g.project_ref, m.mch_id, m.platform, g.target_app_id
  FROM migration_projects g
  CROSS JOIN mch_accounts m
  WHERE g.target_mch_id IS NULL
    AND COALESCE(m.merchant_ref = g.merchant_ref, TRUE)
    AND (m.platform IS NULL OR m.platform IN ('wechat', 'alipay', 'unionpay'))
    AND (m.state IS NULL OR m.state <> 'closed')
),
targets AS (
  SELECT x.mch_id, MIN(x.platform) AS platform, MIN(x.target_app_id) AS target_app_id, MIN(x.project_ref) AS project_ref
  FROM named x
  GROUP BY x.mch_id
),
places AS (
  SELECT 'sandbox' AS environment
  UNION ALL
  SELECT 'prod' AS environment WHERE $prod_required
),
changes AS (
  SELECT t.mch_id, COALESCE(c.changed_at, $as_of) AS changed_at
  FROM targets t
  JOIN config_changes c ON c.owner_ref = t.mch_id
  UNION ALL
  SELECT t.mch_id, COALESCE(c.changed_at, $as_of) AS changed_at
  FROM targets t
  JOIN config_changes c ON c.owner_ref = t.target_app_id
),
last_change AS (
  SELECT c.mch_id, MAX(c.changed_at) AS last_change_at
  FROM changes c
  WHERE c.changed_at <= $as_of
  GROUP BY c.mch_id
),
required AS (
  SELECT t.project_ref, t.mch_id, t.platform, s.value AS scenario, p.environment, l.last_change_at
  FROM targets t
  CROSS JOIN param_scenarios s
  CROSS JOIN places p
  LEFT JOIN last_change l ON l.mch_id = t.mch_id
),
runs AS (
  SELECT r.mch_id, r.scenario, r.environment, x.outcome, x.run_at,
         CASE WHEN r.last_change_at IS NULL OR x.run_at >= r.last_change_at THEN 1 ELSE 0 END AS is_current,
         ROW_NUMBER() OVER (PARTITION BY r.mch_id, r.scenario, r.environment
                            ORDER BY x.run_at DESC NULLS LAST, x.outcome, x.test_ref NULLS LAST) AS recency
  FROM required r
  JOIN scenario_tests x ON x.mch_id = r.mch_id AND x.scenario = r.scenario AND x.environment = r.environment
  WHERE x.run_at <= $as_of AND x.outcome IN ('pass', 'fail')
),
summary AS (
  SELECT u.mch_id, u.scenario, u.environment,
         MAX(CASE WHEN u.recency = 1 AND u.is_current = 1 AND u.outcome = 'pass' THEN 1 ELSE 0 END) AS is_proven,
         MAX(CASE WHEN u.recency = 1 AND u.is_current = 1 AND u.outcome = 'fail' THEN 1 ELSE 0 END) AS is_failed,
         MAX(CASE WHEN u.is_current = 0 AND u.outcome = 'pass' THEN 1 ELSE 0 END) AS has_old_pass
  FROM runs u
  GROUP BY u.mch_id, u.scenario, u.environment
)
SELECT r.mch_id || '/' || r.scenario || '/' || r.environment AS finding_ref,
       CASE WHEN s.is_failed = 1 THEN 'failed'
            WHEN s.has_old_pass = 1 THEN 'stale'
            ELSE 'not-tested' END AS finding_reason,
       r.project_ref, r.mch_id, r.platform, r.scenario, r.environment, r.last_change_at
FROM required r
LEFT JOIN summary s ON s.mch_id = r.mch_id AND s.scenario = r.scenario AND s.environment = r.environment
WHERE s.mch_id IS NULL OR s.is_proven = 0
ORDER BY finding_ref, finding_reason
