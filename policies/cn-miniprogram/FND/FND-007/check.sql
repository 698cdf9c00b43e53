WITH numbers AS (
  SELECT d.project_ref, m.mch_id, COALESCE(d.submitted_at, $as_of) AS tested_at
  FROM dereg_projects d
  CROSS JOIN mch_accounts m
  WHERE COALESCE(m.merchant_ref = d.merchant_ref, TRUE)
  UNION ALL
  SELECT g.project_ref, g.source_mch_id AS mch_id, COALESCE(g.cutover_at, $as_of) AS tested_at
  FROM migration_projects g
  WHERE g.source_mch_id IS NOT NULL
    AND (g.project_kind IS NULL OR g.project_kind IN ('mch-change', 'entity-change'))
  UNION ALL
  SELECT g.project_ref, m.mch_id, COALESCE(g.cutover_at, $as_of) AS tested_at
  FROM migration_projects g
  CROSS JOIN mch_accounts m
  WHERE g.source_mch_id IS NULL
    AND COALESCE(m.merchant_ref = g.merchant_ref, TRUE)
    AND (g.project_kind IS NULL OR g.project_kind IN ('mch-change', 'entity-change'))
),
transit AS (
  SELECT f.mch_id, COALESCE(f.mch_id, f.account_ref, 'unknown') AS owner_ref,
         COALESCE(f.about_ref, f.flow_ref) AS object_ref, f.booked_at, f.booked_on,
         CAST(COALESCE(f.signed_fen, 0) AS DECIMAL(38,0)) AS signed_amount
  FROM fund_flows f
  WHERE f.account_kind = 'gateway_transit' AND f.booked_at <= $as_of
),
uncleared AS (
  SELECT t.owner_ref, MAX(t.mch_id) AS mch_id, t.object_ref, MIN(t.booked_on) AS first_on, SUM(CAST(t.signed_amount AS DECIMAL(38,0))) AS net_amount
  FROM transit t
  GROUP BY t.owner_ref, t.object_ref
  HAVING SUM(CAST(t.signed_amount AS DECIMAL(38,0))) <> 0
),
days AS (
  SELECT u.owner_ref, MAX(u.mch_id) AS mch_id, u.first_on, SUM(CAST(u.net_amount AS DECIMAL(38,0))) AS net_amount
  FROM uncleared u
  WHERE u.first_on >= $window_from_on AND u.first_on < $window_to_on
    AND CAST(u.first_on + CAST($clear_within AS INTERVAL) AS DATE) < $as_of_on
  GROUP BY u.owner_ref, u.first_on
  HAVING SUM(CAST(u.net_amount AS DECIMAL(38,0))) <> 0
),
totals AS (
  SELECT n.project_ref, n.mch_id, SUM(CAST(t.signed_amount AS DECIMAL(38,0))) AS net_amount
  FROM transit t
  JOIN numbers n ON n.mch_id = t.mch_id
  WHERE t.booked_at <= n.tested_at
  GROUP BY n.project_ref, n.mch_id
  HAVING SUM(CAST(t.signed_amount AS DECIMAL(38,0))) <> 0
),
judged AS (
  SELECT d.owner_ref || '/' || CAST(d.first_on AS VARCHAR) AS subject_ref, 'day-not-zero' AS reason_code,
         d.first_on AS day_on, d.owner_ref, d.mch_id, CAST(NULL AS VARCHAR) AS project_ref,
         CAST(d.net_amount AS BIGINT) AS net_fen
  FROM days d
  UNION ALL
  SELECT s.project_ref || '/' || s.mch_id AS subject_ref, 'total-not-zero' AS reason_code,
         $as_of_on AS day_on, s.mch_id AS owner_ref, s.mch_id, s.project_ref,
         CAST(s.net_amount AS BIGINT) AS net_fen
  FROM totals s
)
SELECT j.subject_ref AS finding_ref,
       j.reason_code AS finding_reason,
       j.day_on AS finding_on,
       j.owner_ref, j.mch_id, j.project_ref, j.net_fen
FROM judged j
ORDER BY finding_ref, finding_reason
