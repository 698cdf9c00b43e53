-- A run may be kept under the number the trade belongs to or under the one whose bill was reconciled.
WITH traded AS (
  SELECT platform, mch_id, own_mch_id, recon_on, COUNT(*) AS item_count
  FROM (
    SELECT COALESCE(r.platform, 'unknown') AS platform, COALESCE(r.mch_id, '-') AS mch_id,
           COALESCE(r.own_mch_id, '-') AS own_mch_id, r.recon_on
    FROM recon_items r
    WHERE r.recon_on >= $window_from_on AND r.recon_on < $window_to_on
      AND CAST(r.recon_on + CAST($due AS INTERVAL) AS DATE) < $as_of_on
  ) AS t
  GROUP BY platform, mch_id, own_mch_id, recon_on
),
own AS (
  SELECT own_mch_id, recon_on, MIN(platform) AS platform, MIN(mch_id) AS mch_id,
         CAST(SUM(CAST(item_count AS DECIMAL(38,0))) AS BIGINT) AS item_count
  FROM traded
  GROUP BY own_mch_id, recon_on
),
held AS (
  SELECT mch_id, bill_on, MIN(finished_on) AS finished_on
  FROM recon_runs
  WHERE mch_id IS NOT NULL AND bill_on IS NOT NULL
  GROUP BY mch_id, bill_on
),
judged AS (
  SELECT o.platform, o.own_mch_id, o.recon_on, o.item_count,
         CASE WHEN h.bill_on IS NULL AND g.bill_on IS NULL THEN 'no-run'
              WHEN h.finished_on IS NULL AND g.finished_on IS NULL THEN 'unfinished'
              WHEN COALESCE(h.finished_on <= CAST(o.recon_on + CAST($due AS INTERVAL) AS DATE), FALSE)
                OR COALESCE(g.finished_on <= CAST(o.recon_on + CAST($due AS INTERVAL) AS DATE), FALSE) THEN 'done'
              ELSE 'late' END AS state_code
  FROM own o
  LEFT JOIN held h ON h.mch_id = o.own_mch_id AND h.bill_on = o.recon_on
  LEFT JOIN held g ON g.mch_id = o.mch_id AND g.bill_on = o.recon_on
)
SELECT j.platform || '/' || j.own_mch_id || '/' || CAST(j.recon_on AS VARCHAR) AS finding_ref,
       j.state_code AS finding_reason,
       j.recon_on AS finding_on,
       j.platform, j.own_mch_id AS mch_id, j.item_count
FROM judged j
WHERE j.state_code <> 'done'
ORDER BY finding_ref, finding_reason
