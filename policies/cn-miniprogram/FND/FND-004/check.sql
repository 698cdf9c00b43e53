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
projects AS (
  SELECT n.project_ref, MAX(n.tested_at) AS tested_at
  FROM numbers n
  GROUP BY n.project_ref
),
touched AS (
  SELECT n.project_ref, n.tested_at, r.refund_ref, r.mch_id, r.payment_ref, r.amount_fen, r.status,
         r.requested_at, r.succeeded_at
  FROM refunds r
  JOIN numbers n ON n.mch_id = r.mch_id
  UNION ALL
  SELECT p.project_ref, p.tested_at, r.refund_ref, r.mch_id, r.payment_ref, r.amount_fen, r.status,
         r.requested_at, r.succeeded_at
  FROM refunds r
  CROSS JOIN projects p
  WHERE r.mch_id IS NULL
)
SELECT t.project_ref || '/' || t.refund_ref AS finding_ref,
       'in-flight' AS finding_reason,
       t.tested_at AS finding_at,
       t.project_ref, t.mch_id, t.payment_ref, t.amount_fen, t.status, t.requested_at
FROM touched t
WHERE (t.requested_at IS NULL OR t.requested_at <= t.tested_at)
  AND (t.status IS NULL
       OR t.status IN ('requested', 'approved', 'processing')
       OR (t.status = 'succeeded' AND t.succeeded_at > t.tested_at))
ORDER BY finding_ref, finding_reason
