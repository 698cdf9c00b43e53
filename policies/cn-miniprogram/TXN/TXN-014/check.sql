WITH refunded AS (
  SELECT r.payment_ref,
         COUNT(r.refund_ref) AS refund_count,
         MAX(r.requested_at) AS last_requested_at,
         MAX(CASE WHEN r.requested_at IS NULL OR (r.requested_at >= $window_from AND r.requested_at < $window_to)
                  THEN 1 ELSE 0 END) AS is_in_window,
         SUM(CASE WHEN r.status = 'succeeded' THEN CAST(COALESCE(r.amount_fen, 0) AS DECIMAL(38,0))
                  ELSE CAST(0 AS DECIMAL(38,0)) END) AS refunded_amount,
         SUM(CAST(COALESCE(r.amount_fen, 0) AS DECIMAL(38,0))) AS committed_amount
  FROM refunds r
  WHERE (r.status IS NULL OR r.status IN ('approved', 'processing', 'succeeded'))
    AND r.payment_ref IS NOT NULL
  GROUP BY r.payment_ref
)
SELECT r.payment_ref AS finding_ref,
       CASE WHEN r.refunded_amount > CAST(COALESCE(p.amount_fen, 0) AS DECIMAL(38,0)) THEN 'refunded-over'
            ELSE 'committed-over' END AS finding_reason,
       r.last_requested_at AS finding_at,
       p.order_ref, p.merchant_ref, p.mch_id, p.amount_fen, r.refund_count,
       CAST(r.refunded_amount AS BIGINT) AS refunded_fen, CAST(r.committed_amount AS BIGINT) AS committed_fen
FROM refunded r
LEFT JOIN payments p ON p.payment_ref = r.payment_ref
WHERE r.is_in_window = 1
  AND r.committed_amount > CAST(COALESCE(p.amount_fen, 0) AS DECIMAL(38,0))
ORDER BY finding_ref, finding_reason
