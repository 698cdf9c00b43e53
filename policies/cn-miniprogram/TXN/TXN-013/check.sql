WITH judged AS (
  SELECT COALESCE(r.channel_trade_no, r.out_trade_no, r.item_ref) AS trade_no, r.item_ref, r.recon_on, r.platform, r.own_mch_id AS mch_id,
         r.local_ref, r.out_trade_no, r.local_status, r.local_fen
  FROM recon_items r
  WHERE r.about = 'payment' AND r.kind = 'missing_platform'
    AND (r.recon_on IS NULL
         OR (r.recon_on >= $window_from_on AND r.recon_on < $window_to_on
             AND CAST(r.recon_on + CAST($sla AS INTERVAL) AS DATE) < $as_of_on))
),
ranked AS (
  SELECT trade_no, recon_on, platform, mch_id, local_ref, out_trade_no, local_status, local_fen,
         ROW_NUMBER() OVER (PARTITION BY trade_no ORDER BY item_ref) AS nth
  FROM judged
)
SELECT k.trade_no AS finding_ref,
       'not-in-bill' AS finding_reason,
       k.recon_on AS finding_on,
       k.platform, k.mch_id, k.local_ref, k.out_trade_no, k.local_status, k.local_fen
FROM ranked k
WHERE k.nth = 1
ORDER BY finding_ref, finding_reason
