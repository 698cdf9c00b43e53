WITH numbered AS (
  SELECT p.payment_ref, p.order_ref, COALESCE(p.mch_id, 'unknown') AS mch_id, p.out_trade_no, p.created_at,
         CASE WHEN p.created_at IS NULL OR (p.created_at >= $window_from AND p.created_at < $window_to)
              THEN 1 ELSE 0 END AS is_in_window
  FROM payments p
  WHERE p.out_trade_no IS NOT NULL
),
used AS (
  SELECT n.mch_id, n.out_trade_no,
         COUNT(n.payment_ref) AS payment_count,
         MIN(n.payment_ref) AS first_payment_ref, MAX(n.payment_ref) AS last_payment_ref,
         MIN(n.order_ref) AS first_order_ref, MAX(n.order_ref) AS last_order_ref,
         MAX(n.created_at) AS last_created_at
  FROM numbered n
  GROUP BY n.mch_id, n.out_trade_no
  HAVING COUNT(n.payment_ref) > 1 AND MAX(n.is_in_window) = 1
)
SELECT u.mch_id || '/' || u.out_trade_no AS finding_ref,
       CASE WHEN u.first_order_ref <> u.last_order_ref THEN 'several-orders' ELSE 'several-payments' END AS finding_reason,
       u.last_created_at AS finding_at,
       u.mch_id, u.out_trade_no, u.payment_count, u.first_payment_ref, u.last_payment_ref
FROM used u
ORDER BY finding_ref, finding_reason
