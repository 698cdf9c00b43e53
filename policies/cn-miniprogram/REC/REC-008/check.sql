SELECT COALESCE(t.merchant_ref, t.platform || '/' || t.mch_id) || '/' || CAST(t.day_on AS VARCHAR)
         || CASE WHEN t.currency = 'CNY' THEN '' ELSE '/' || t.currency END AS finding_ref,
       CASE WHEN t.kind = 'orders_payments' THEN 'orders-payments'
            WHEN t.kind = 'payments_flows' THEN 'payments-flows'
            ELSE 'payments-ledger' END AS finding_reason,
       t.day_on AS finding_on,
       t.merchant_ref, t.platform, t.mch_id, t.currency, t.left_fen, t.right_fen, t.right_fen - t.left_fen AS difference_fen,
       t.differing_count, t.first_ref
FROM domain_days t
WHERE t.day_on >= $window_from_on AND t.day_on < $window_to_on
  AND CAST(t.day_on + CAST($within AS INTERVAL) AS DATE) < $as_of_on
  AND ABS(t.right_fen - t.left_fen) > $tolerance_fen
ORDER BY finding_ref, finding_reason
