WITH paid AS (
  SELECT p.order_ref, MIN(p.merchant_ref) AS merchant_ref, COUNT(p.payment_ref) AS payment_count,
         SUM(CAST(COALESCE(p.amount_fen, 0) AS DECIMAL(38,0))) AS paid_amount,
         MAX(COALESCE(p.amount_fen, 0)) AS largest_fen,
         MAX(p.paid_at) AS last_paid_at
  FROM payments p
  WHERE p.status IN ('succeeded', 'refunded', 'partially_refunded')
    AND p.order_ref IS NOT NULL
  GROUP BY p.order_ref
  HAVING COUNT(p.payment_ref) > 1
),
overpaid AS (
  SELECT q.order_ref, q.merchant_ref, q.payment_count, q.paid_amount, q.last_paid_at, o.payable_fen,
         q.paid_amount - CAST(COALESCE(o.payable_fen, q.largest_fen) AS DECIMAL(38,0)) AS excess_amount
  FROM paid q
  LEFT JOIN trade_orders o ON o.order_ref = q.order_ref
  WHERE q.last_paid_at >= $window_from AND q.last_paid_at < $window_to
    AND q.last_paid_at + CAST($sla AS INTERVAL) < $as_of
    AND q.paid_amount > CAST(COALESCE(o.payable_fen, q.largest_fen) AS DECIMAL(38,0))
),
returned AS (
  SELECT v.order_ref, CAST(COALESCE(r.amount_fen, 0) AS DECIMAL(38,0)) AS amount,
         CASE WHEN r.route = 'original' OR (r.route = 'balance' AND p.platform = 'balance') THEN 1 ELSE 0 END AS is_original,
         CASE WHEN r.succeeded_at <= v.last_paid_at + CAST($sla AS INTERVAL) THEN 1 ELSE 0 END AS is_in_time
  FROM overpaid v
  JOIN payments p ON p.order_ref = v.order_ref
  JOIN refunds r ON r.payment_ref = p.payment_ref
  WHERE r.status = 'succeeded' AND r.succeeded_at <= $as_of
),
back AS (
  SELECT x.order_ref,
         SUM(CASE WHEN x.is_original = 1 AND x.is_in_time = 1 THEN x.amount ELSE CAST(0 AS DECIMAL(38,0)) END) AS in_time_amount,
         SUM(CASE WHEN x.is_original = 1 THEN x.amount ELSE CAST(0 AS DECIMAL(38,0)) END) AS original_amount,
         SUM(CAST(x.amount AS DECIMAL(38,0))) AS any_amount
  FROM returned x
  GROUP BY x.order_ref
)
SELECT v.order_ref AS finding_ref,
       CASE WHEN b.order_ref IS NULL OR b.any_amount = 0 THEN 'not-refunded'
            WHEN b.original_amount >= v.excess_amount THEN 'late'
            WHEN b.any_amount >= v.excess_amount THEN 'wrong-route'
            ELSE 'partly-refunded' END AS finding_reason,
       v.last_paid_at AS finding_at,
       v.merchant_ref, v.payment_count, CAST(v.paid_amount AS BIGINT) AS paid_fen, v.payable_fen,
       CAST(v.excess_amount AS BIGINT) AS excess_fen,
       CAST(COALESCE(b.original_amount, CAST(0 AS DECIMAL(38,0))) AS BIGINT) AS refunded_original_fen
FROM overpaid v
LEFT JOIN back b ON b.order_ref = v.order_ref
WHERE b.order_ref IS NULL OR b.in_time_amount < v.excess_amount
ORDER BY finding_ref, finding_reason
