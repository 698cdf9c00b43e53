WITH candidates AS (
  SELECT p.payment_ref, p.order_ref, p.platform, p.status, p.amount_fen, p.is_combined, p.created_at,
         COALESCE(p.paid_at, p.created_at) AS dated_at,
         CASE WHEN p.status IN ('succeeded', 'refunded', 'partially_refunded') THEN 1 ELSE 0 END AS is_paid
  FROM payments p
  WHERE COALESCE(p.paid_at, p.created_at) >= $window_from AND COALESCE(p.paid_at, p.created_at) < $window_to
    AND (COALESCE(p.is_combined, TRUE) OR p.platform = 'mixed')
),
flows AS (
  SELECT c.payment_ref, MIN(f.tender) AS first_tender, MAX(f.tender) AS last_tender,
         SUM(CASE WHEN f.status IN ('succeeded', 'refunded', 'partially_refunded')
                  THEN CAST(1 AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS paid_flow_count,
         SUM(CASE WHEN f.status IN ('succeeded', 'refunded', 'partially_refunded')
                  THEN CAST(COALESCE(f.amount_fen, 0) AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS paid_amount,
         SUM(CASE WHEN f.status IN ('succeeded', 'partially_refunded')
                  THEN CAST(COALESCE(f.amount_fen, 0) AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS kept_amount,
         MAX(CASE WHEN f.status IN ('succeeded', 'partially_refunded') THEN 1 ELSE 0 END) AS has_kept
  FROM candidates c
  JOIN payment_flows f ON f.payment_ref = c.payment_ref
  GROUP BY c.payment_ref
),
judged AS (
  SELECT c.payment_ref, c.order_ref, c.status, c.amount_fen, c.dated_at,
         COALESCE(f.paid_flow_count, CAST(0 AS DECIMAL(38,0))) AS paid_flow_count,
         COALESCE(f.paid_amount, CAST(0 AS DECIMAL(38,0))) AS paid_amount,
         COALESCE(f.kept_amount, CAST(0 AS DECIMAL(38,0))) AS kept_amount,
         CASE WHEN c.is_paid = 1 AND COALESCE(f.paid_flow_count, CAST(0 AS DECIMAL(38,0))) < 2 THEN 'flows-missing'
              WHEN c.is_paid = 1 AND f.paid_amount IS DISTINCT FROM CAST(c.amount_fen AS DECIMAL(38,0)) THEN 'sum-differs'
              WHEN c.is_paid = 0 AND f.has_kept = 1
                   AND COALESCE(c.created_at, c.dated_at) + CAST($sla AS INTERVAL) < $as_of THEN 'half-paid'
              ELSE 'fine' END AS reason_code
  FROM candidates c
  LEFT JOIN flows f ON f.payment_ref = c.payment_ref
  WHERE c.is_combined IS NOT NULL OR c.platform = 'mixed' OR f.first_tender <> f.last_tender
)
SELECT j.payment_ref AS finding_ref,
       j.reason_code AS finding_reason,
       j.dated_at AS finding_at,
       j.order_ref, j.status, j.amount_fen, CAST(j.paid_flow_count AS BIGINT) AS paid_flow_count,
       CAST(j.paid_amount AS BIGINT) AS paid_flows_fen, CAST(j.kept_amount AS BIGINT) AS kept_fen
FROM judged j
WHERE j.reason_code <> 'fine'
ORDER BY finding_ref, finding_reason
