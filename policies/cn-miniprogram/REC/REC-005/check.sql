WITH judged AS (
  SELECT COALESCE(r.channel_refund_no, r.out_refund_no, r.item_ref) AS trade_no, r.item_ref, r.recon_on, r.kind,
         r.platform, r.own_mch_id AS mch_id, r.bill_ref, r.line_no, r.local_ref, r.platform_status AS bill_state,
         r.local_status, r.platform_fen AS bill_fen, r.local_fen,
         r.difference_fen, r.is_currency_different, r.is_amount_different, r.is_status_different
  FROM recon_items r
  WHERE r.about = 'refund'
    AND (r.recon_on IS NULL OR (r.recon_on >= $window_from_on AND r.recon_on < $window_to_on))
),
hits AS (
  SELECT 'refund-amount-differs' AS reason_code, trade_no, item_ref, recon_on, platform, mch_id, bill_ref, line_no, local_ref,
         bill_state, local_status, bill_fen, local_fen
  FROM judged
  WHERE is_amount_different AND NOT is_currency_different AND (difference_fen IS NULL OR ABS(difference_fen) > $tolerance_fen)
  UNION ALL
  SELECT 'refund-currency-differs' AS reason_code, trade_no, item_ref, recon_on, platform, mch_id, bill_ref, line_no, local_ref,
         bill_state, local_status, bill_fen, local_fen
  FROM judged
  WHERE is_currency_different
  UNION ALL
  SELECT 'refund-status-differs' AS reason_code, trade_no, item_ref, recon_on, platform, mch_id, bill_ref, line_no, local_ref,
         bill_state, local_status, bill_fen, local_fen
  FROM judged
  WHERE is_status_different
  UNION ALL
  SELECT 'not-here' AS reason_code, trade_no, item_ref, recon_on, platform, mch_id, bill_ref, line_no, local_ref,
         bill_state, local_status, bill_fen, local_fen
  FROM judged
  WHERE kind = 'missing_local'
  UNION ALL
  SELECT 'not-in-bill' AS reason_code, trade_no, item_ref, recon_on, platform, mch_id, bill_ref, line_no, local_ref,
         bill_state, local_status, bill_fen, local_fen
  FROM judged
  WHERE kind = 'missing_platform'
  UNION ALL
  SELECT CASE WHEN bill_ref IS NULL THEN 'recorded-twice' ELSE 'line-repeated' END AS reason_code, trade_no, item_ref, recon_on, platform, mch_id, bill_ref, line_no, local_ref,
         bill_state, local_status, bill_fen, local_fen
  FROM judged
  WHERE kind = 'repeated'
),
ranked AS (
  SELECT reason_code, trade_no, recon_on, platform, mch_id, bill_ref, line_no, local_ref, bill_state, local_status,
         bill_fen, local_fen, ROW_NUMBER() OVER (PARTITION BY trade_no, reason_code ORDER BY item_ref) AS nth
  FROM hits
)
SELECT k.trade_no AS finding_ref,
       k.reason_code AS finding_reason,
       k.recon_on AS finding_on,
       k.platform, k.mch_id, k.bill_ref, k.line_no, k.local_ref, k.bill_state, k.local_status, k.bill_fen, k.local_fen
FROM ranked k
WHERE k.nth = 1
ORDER BY finding_ref, finding_reason
