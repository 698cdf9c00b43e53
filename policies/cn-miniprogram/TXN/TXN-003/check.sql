WITH late AS (
  SELECT p.payment_ref, p.order_ref, p.merchant_ref, p.mch_id, p.platform, p.amount_fen, p.paid_at, o.closed_at,
         CASE WHEN o.closed_at > p.paid_at THEN o.closed_at ELSE p.paid_at END AS due_from_at
  FROM payments p
  JOIN trade_orders o ON o.order_ref = p.order_ref
  WHERE p.status IN ('succeeded', 'refunded', 'partially_refunded')
    AND o.status IN ('closed', 'cancelled_unpaid')
    AND p.paid_at >= $window_from AND p.paid_at < $window_to
),
returned AS (
  SELECT r.payment_ref, CAST(COALESCE(r.amount_fen, 0) AS DECIMAL(38,0)) AS amount,
         CASE WHEN r.route = 'original' OR (r.route = 'balance' AND l.platform = 'balance') THEN 1 ELSE 0 END AS is_original,
         CASE WHEN r.succeeded_at <= l.due_from_at + CAST($refund_within AS INTERVAL) THEN 1 ELSE 0 END AS is_in_time
  FROM refunds r
  JOIN late l ON l.payment_ref = r.payment_ref
  WHERE r.status = 'succeeded' AND r.succeeded_at <= $as_of
),
back AS (
  SELECT x.payment_ref,
         SUM(CASE WHEN x.is_original = 1 AND x.is_in_time = 1 THEN x.amount ELSE CAST(0 AS DECIMAL(38,0)) END) AS in_time_amount,
         SUM(CASE WHEN x.is_original = 1 THEN x.amount ELSE CAST(0 AS DECIMAL(38,0)) END) AS original_amount,
         SUM(CAST(x.amount AS DECIMAL(38,0))) AS any_amount
  FROM returned x
  GROUP BY x.payment_ref
)
SELECT l.payment_ref AS finding_ref,
       CASE WHEN b.payment_ref IS NULL THEN 'not-refunded'
            WHEN b.original_amount >= l.amount_fen THEN 'late'
            WHEN b.any_amount >= l.amount_fen THEN 'wrong-route'
            ELSE 'partly-refunded' END AS finding_reason,
       l.paid_at AS finding_at,
       l.order_ref, l.merchant_ref, l.mch_id, l.amount_fen, l.closed_at,
       CAST(COALESCE(b.original_amount, CAST(0 AS DECIMAL(38,0))) AS BIGINT) AS refunded_original_fen
FROM late l
LEFT JOIN back b ON b.payment_ref = l.payment_ref
WHERE l.due_from_at + CAST($refund_within AS INTERVAL) < $as_of
  AND (b.payment_ref IS NULL
       OR l.amount_fen IS NULL
       OR b.in_time_amount < l.amount_fen)
ORDER BY finding_ref, finding_reason
