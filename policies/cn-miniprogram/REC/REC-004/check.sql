WITH codes AS (
  SELECT 'amount-differs' AS reason_code
  UNION ALL
  SELECT 'status-differs' AS reason_code
  UNION ALL
  SELECT 'refund-amount-differs' AS reason_code
  UNION ALL
  SELECT 'refund-status-differs' AS reason_code
),
lines AS (
  SELECT l.bill_ref, l.line_no, l.platform, l.mch_id, l.bill_on, l.channel_trade_no, l.channel_refund_no,
         l.state, l.refund_state, COALESCE(l.order_fen, l.amount_fen) AS paid_fen, l.refund_fen,
         COALESCE(l.coupon_fen, 0) AS coupon_fen
  FROM bill_lines l
  WHERE l.bill_kind = 'trade'
    AND (l.bill_on IS NULL OR (l.bill_on >= $window_from_on AND l.bill_on < $window_to_on))
),
paired AS (
  SELECT l.channel_trade_no AS trade_no, l.bill_ref, l.line_no, l.platform, l.mch_id, l.bill_on,
         l.state, l.paid_fen AS bill_fen, p.payment_ref AS local_ref, p.status AS local_status,
         CASE WHEN COALESCE(p.is_combined, FALSE) THEN COALESCE(w.amount_fen, p.amount_fen)
              ELSE COALESCE(p.amount_fen, w.amount_fen) END AS local_fen
  FROM lines l
  JOIN payment_flows w ON w.channel_trade_no = l.channel_trade_no
  LEFT JOIN payments p ON p.payment_ref = w.payment_ref
),
taken AS (
  SELECT t.trade_no, t.bill_ref, t.line_no, t.platform, t.mch_id, t.bill_on, t.state, t.bill_fen,
         t.local_ref, t.local_status, t.local_fen,
         CASE WHEN t.bill_fen IS NULL OR t.local_fen IS NULL OR ABS(t.bill_fen - t.local_fen) > $tolerance_fen
              THEN 'amount-differs' ELSE 'same' END AS amount_code,
         CASE WHEN t.local_status IS NULL OR NOT (t.local_status IN ('succeeded', 'refunded', 'partially_refunded'))
              THEN 'status-differs' ELSE 'same' END AS status_code
  FROM paired t
),
given AS (
  SELECT l.channel_refund_no AS trade_no, l.bill_ref, l.line_no, l.platform, l.mch_id, l.bill_on,
         l.state, l.refund_state, l.refund_fen AS bill_fen, r.refund_ref AS local_ref, r.status AS local_status,
         r.amount_fen AS local_fen,
         CASE WHEN l.refund_fen IS NULL OR r.amount_fen IS NULL
                   OR (ABS(l.refund_fen - r.amount_fen) > $tolerance_fen
                       AND ABS(l.refund_fen + l.coupon_fen - r.amount_fen) > $tolerance_fen)
              THEN 'refund-amount-differs' ELSE 'same' END AS amount_code,
         CASE WHEN l.refund_state = 'SUCCESS' AND (r.status IS NULL OR r.status <> 'succeeded') THEN 'refund-status-differs'
              WHEN x.value IS NOT NULL AND r.status = 'succeeded' THEN 'refund-status-differs'
              ELSE 'same' END AS status_code
  FROM lines l
  JOIN refunds r ON r.channel_refund_no = l.channel_refund_no
  LEFT JOIN param_failed_refund_states x ON x.value = l.refund_state
),
suspect AS (
  SELECT t.trade_no, t.bill_on, t.platform, t.mch_id, t.bill_ref, t.line_no, t.local_ref, t.state AS bill_state,
         t.local_status, t.bill_fen, t.local_fen, t.amount_code, t.status_code
  FROM taken t
  JOIN param_success_states s ON s.value = t.state
  WHERE t.amount_code <> 'same' OR t.status_code <> 'same'
  UNION ALL
  SELECT g.trade_no, g.bill_on, g.platform, g.mch_id, g.bill_ref, g.line_no, g.local_ref, g.refund_state AS bill_state,
         g.local_status, g.bill_fen, g.local_fen, g.amount_code, g.status_code
  FROM given g
  JOIN param_refund_states f ON f.value = g.state
  WHERE g.amount_code <> 'same' OR g.status_code <> 'same'
),
ranked AS (
  SELECT d.trade_no, c.reason_code, d.bill_on, d.platform, d.mch_id, d.bill_ref, d.line_no,
         d.local_ref, d.bill_state, d.local_status, d.bill_fen, d.local_fen,
         ROW_NUMBER() OVER (PARTITION BY d.trade_no, c.reason_code
                            ORDER BY d.bill_ref NULLS LAST, d.line_no NULLS LAST, d.local_ref NULLS LAST) AS nth
  FROM suspect d
  CROSS JOIN codes c
  WHERE c.reason_code = d.amount_code OR c.reason_code = d.status_code
)
SELECT k.trade_no AS finding_ref,
       k.reason_code AS finding_reason,
       k.bill_on AS finding_on,
       k.platform, k.mch_id, k.bill_ref, k.line_no, k.local_ref, k.bill_state, k.local_status, k.bill_fen, k.local_fen
FROM ranked k
WHERE k.nth = 1
ORDER BY finding_ref, finding_reason
