WITH shifted AS (
  SELECT CASE WHEN r.about = 'refund' THEN COALESCE(r.channel_refund_no, r.out_refund_no, r.item_ref)
              ELSE COALESCE(r.channel_trade_no, r.out_trade_no, r.item_ref) END AS trade_no,
         r.item_ref, r.recon_on, r.about, r.platform, r.own_mch_id AS mch_id, r.local_ref, r.bill_on, r.local_on
  FROM recon_items r
  WHERE r.is_day_shifted
    AND (r.recon_on IS NULL OR (r.recon_on >= $window_from_on AND r.recon_on < $window_to_on))
),
ranked AS (
  SELECT trade_no, recon_on, about, platform, mch_id, local_ref, bill_on, local_on,
         ROW_NUMBER() OVER (PARTITION BY trade_no ORDER BY item_ref) AS nth
  FROM shifted
)
SELECT k.trade_no AS finding_ref,
       'other-day' AS finding_reason,
       k.recon_on AS finding_on,
       k.about, k.platform, k.mch_id, k.local_ref, k.bill_on, k.local_on
FROM ranked k
WHERE k.nth = 1
ORDER BY finding_ref, finding_reason
