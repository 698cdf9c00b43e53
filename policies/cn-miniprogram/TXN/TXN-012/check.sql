WITH judged AS (
  SELECT COALESCE(r.channel_trade_no, r.out_trade_no, r.item_ref) AS trade_no, r.item_ref, r.recon_on, r.platform, r.own_mch_id AS mch_id,
         r.bill_ref, r.line_no, r.out_trade_no, r.platform_fen AS bill_fen
  FROM recon_items r
  WHERE r.about = 'payment' AND r.kind = 'missing_local'
    AND (r.recon_on IS NULL
         OR (r.recon_on >= $window_from_on AND r.recon_on < $window_to_on
             AND CAST(r.recon_on + CAST($sla AS INTERVAL) AS DATE) < $as_of_on))
),
ranked AS (
  SELECT trade_no, recon_on, platform, mch_id, bill_ref, line_no, out_trade_no, bill_fen,
         ROW_NUMBER() OVER (PARTITION BY trade_no ORDER BY item_ref) AS nth
  FROM judged
)
SELECT k.trade_no AS finding_ref,
       'no-local-payment' AS finding_reason,
       k.recon_on AS finding_on,
       k.platform, k.mch_id, k.bill_ref, k.line_no, k.out_trade_no, k.bill_fen
FROM ranked k
WHERE k.nth = 1
ORDER BY finding_ref, finding_reason
