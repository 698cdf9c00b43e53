WITH numbers AS (
  SELECT d.project_ref, m.mch_id, m.platform, m.state, COALESCE(d.submitted_at, $as_of) AS tested_at
  FROM dereg_projects d
  CROSS JOIN mch_accounts m
  WHERE COALESCE(m.merchant_ref = d.merchant_ref, TRUE)
  UNION ALL
  SELECT g.project_ref, g.source_mch_id AS mch_id, m.platform, m.state, COALESCE(g.cutover_at, $as_of) AS tested_at
  FROM migration_projects g
  LEFT JOIN mch_accounts m ON m.mch_id = g.source_mch_id
  WHERE g.source_mch_id IS NOT NULL
    AND (g.project_kind IS NULL OR g.project_kind IN ('mch-change', 'entity-change'))
  UNION ALL
  SELECT g.project_ref, m.mch_id, m.platform, m.state, COALESCE(g.cutover_at, $as_of) AS tested_at
  FROM migration_projects g
  CROSS JOIN mch_accounts m
  WHERE g.source_mch_id IS NULL
    AND COALESCE(m.merchant_ref = g.merchant_ref, TRUE)
    AND (g.project_kind IS NULL OR g.project_kind IN ('mch-change', 'entity-change'))
),
observed AS (
  SELECT n.project_ref, n.mch_id, b.account_ref, b.kind, b.observed_at, b.available_fen, b.frozen_fen,
         ROW_NUMBER() OVER (PARTITION BY n.project_ref, b.account_ref ORDER BY b.observed_at DESC NULLS LAST) AS recency
  FROM numbers n
  JOIN balances b ON b.mch_id = n.mch_id
  LEFT JOIN param_kinds k ON k.value = b.kind
  WHERE b.observed_at <= n.tested_at
    AND (k.value IS NOT NULL OR b.kind IS NULL)
    AND (b.owner_kind IS NULL OR b.owner_kind = 'merchant')
),
seen AS (
  SELECT o.project_ref, o.mch_id
  FROM observed o
  GROUP BY o.project_ref, o.mch_id
),
judged AS (
  SELECT o.project_ref || '/' || o.account_ref AS subject_ref,
         CASE WHEN o.available_fen IS NULL THEN 'amount-unknown'
              WHEN o.available_fen > $tolerance_fen THEN 'not-withdrawn'
              WHEN o.available_fen < 0 - $tolerance_fen THEN 'negative'
              WHEN ABS(COALESCE(o.frozen_fen, 0)) > $tolerance_fen THEN 'frozen'
              ELSE 'fine' END AS reason_code,
         o.observed_at, o.project_ref, o.mch_id, o.kind, o.available_fen, o.frozen_fen
  FROM observed o
  WHERE o.recency = 1
  UNION ALL
  SELECT n.project_ref || '/' || n.mch_id AS subject_ref,
         'no-observation' AS reason_code,
         n.tested_at AS observed_at, n.project_ref, n.mch_id,
         CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS BIGINT) AS available_fen, CAST(NULL AS BIGINT) AS frozen_fen
  FROM numbers n
  LEFT JOIN seen s ON s.project_ref = n.project_ref AND s.mch_id = n.mch_id
  WHERE s.mch_id IS NULL
    AND (n.platform IS NULL OR n.platform IN ('wechat', 'alipay', 'unionpay'))
    AND (n.state IS NULL OR n.state <> 'closed')
)
SELECT j.subject_ref AS finding_ref,
       j.reason_code AS finding_reason,
       j.observed_at AS finding_at,
       j.project_ref, j.mch_id, j.kind, j.available_fen, j.frozen_fen
FROM judged j
WHERE j.reason_code <> 'fine'
ORDER BY finding_ref, finding_reason
