WITH kept AS (
  SELECT d.diff_ref, d.opened_on, d.mch_id, d.about_ref, d.amount_fen,
         CASE WHEN d.closed_at IS NULL AND (d.opened_on IS NULL OR CAST(d.opened_on + CAST($sla AS INTERVAL) AS DATE) < $as_of_on)
              THEN 'left-open'
              WHEN d.closed_at IS NULL THEN 'in-time'
              WHEN NULLIF(TRIM(d.resolution), '') IS NULL OR d.closed_by_ref IS NULL THEN 'no-resolution'
              WHEN d.closed_by_ref = d.caused_by_ref THEN 'closed-by-causer'
              ELSE 'settled' END AS state_code
  FROM recon_diffs d
  WHERE d.opened_on IS NULL OR d.opened_on <= $as_of_on
),
seen AS (
  SELECT r.item_ref, r.recon_on, r.own_mch_id AS mch_id, r.local_ref, COALESCE(r.platform_fen, r.local_fen) AS amount_fen,
         CASE WHEN r.about = 'refund' THEN r.channel_refund_no ELSE r.channel_trade_no END AS channel_no,
         CASE WHEN r.about = 'refund' THEN r.out_refund_no ELSE r.out_trade_no END AS out_no
  FROM recon_items r
  WHERE r.kind IN ('missing_local', 'missing_platform', 'amount', 'status', 'currency')
    AND (r.recon_on IS NULL
         OR (r.recon_on >= $window_from_on AND r.recon_on < $window_to_on
             AND CAST(r.recon_on + CAST($sla AS INTERVAL) AS DATE) < $as_of_on))
),
-- A register may name a difference by any number of the item.
named AS (
  SELECT item_ref, channel_no AS number_text FROM seen
  UNION ALL
  SELECT item_ref, out_no AS number_text FROM seen
  UNION ALL
  SELECT item_ref, local_ref AS number_text FROM seen
  UNION ALL
  SELECT item_ref, item_ref AS number_text FROM seen
),
known AS (
  SELECT n.item_ref
  FROM named n
  JOIN recon_diffs d ON d.about_ref = n.number_text
  GROUP BY n.item_ref
),
unknown AS (
  SELECT COALESCE(s.channel_no, s.out_no, s.item_ref) AS about_ref, s.recon_on, s.mch_id, s.amount_fen,
         ROW_NUMBER() OVER (PARTITION BY COALESCE(s.channel_no, s.out_no, s.item_ref) ORDER BY s.item_ref) AS nth
  FROM seen s
  LEFT JOIN known k ON k.item_ref = s.item_ref
  WHERE k.item_ref IS NULL
)
SELECT t.diff_ref AS finding_ref,
       t.state_code AS finding_reason,
       t.opened_on AS finding_on,
       t.mch_id, t.about_ref, t.amount_fen
FROM kept t
WHERE t.state_code IN ('left-open', 'no-resolution', 'closed-by-causer')
UNION ALL
SELECT u.about_ref AS finding_ref,
       'not-registered' AS finding_reason,
       u.recon_on AS finding_on,
       u.mch_id, u.about_ref, u.amount_fen
FROM unknown u
WHERE u.nth = 1
ORDER BY finding_ref, finding_reason
