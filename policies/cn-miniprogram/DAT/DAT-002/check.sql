-- A day is compared per platform and merchant number. A service provider's bill covers its sub-merchants,
-- a bill line of a sub-merchant may be booked under either number.
WITH paid AS (
  SELECT t.platform, t.mch_id, t.day_on, t.row_count
  FROM (
    SELECT platform, mch_id, day_on, COUNT(*) AS row_count
    FROM (
      SELECT COALESCE(p.platform, 'unknown') AS platform, COALESCE(p.mch_id, '-') AS mch_id, p.paid_on AS day_on
      FROM payments p
      WHERE p.status IN ('succeeded', 'refunded', 'partially_refunded')
        AND p.paid_on >= $window_from_on AND p.paid_on < $window_to_on
    ) AS taken
    GROUP BY platform, mch_id, day_on
  ) AS t
  LEFT JOIN param_platforms s ON s.value = t.platform
  WHERE s.value IS NOT NULL OR t.platform = 'unknown'
),
billed AS (
  SELECT platform, mch_id, day_on
  FROM (
    SELECT b.platform, COALESCE(b.mch_id, '-') AS mch_id, b.bill_on AS day_on
    FROM bills b
    WHERE b.bill_kind = 'trade'
    UNION ALL
    SELECT b.platform, a.mch_id, b.bill_on AS day_on
    FROM bills b
    JOIN mch_accounts a ON a.provider_mch_id = b.mch_id AND a.platform = b.platform
    WHERE b.bill_kind = 'trade'
  ) AS issued
  GROUP BY platform, mch_id, day_on
),
listed AS (
  SELECT t.platform, t.mch_id, t.own_mch_id, t.day_on, t.row_count
  FROM (
    SELECT platform, mch_id, own_mch_id, day_on, COUNT(*) AS row_count
    FROM (
      SELECT l.platform, COALESCE(NULLIF(l.sub_mch_id, '0'), l.mch_id, '-') AS mch_id,
             COALESCE(l.mch_id, '-') AS own_mch_id, l.bill_on AS day_on
      FROM bill_lines l
      WHERE l.bill_kind = 'trade'
        AND COALESCE(l.state, 'SUCCESS') NOT IN ('REFUND', 'REVOKED')
        AND l.bill_on >= $window_from_on AND l.bill_on < $window_to_on
    ) AS printed
    GROUP BY platform, mch_id, own_mch_id, day_on
  ) AS t
  JOIN param_platforms s ON s.value = t.platform
),
missing AS (
  SELECT p.platform, p.mch_id, p.day_on, 'no-bill' AS reason, p.row_count
  FROM paid p
  LEFT JOIN billed b ON b.platform = p.platform AND b.mch_id = p.mch_id AND b.day_on = p.day_on
  WHERE b.day_on IS NULL
    AND CAST(p.day_on + CAST($bill_lag AS INTERVAL) AS DATE) < $as_of_on
  UNION ALL
  SELECT platform, mch_id, day_on, 'no-payments' AS reason, CAST(SUM(CAST(row_count AS DECIMAL(38,0))) AS BIGINT) AS row_count
  FROM (
    SELECT l.platform, l.mch_id, l.day_on, l.row_count
    FROM listed l
    LEFT JOIN paid p ON p.platform = l.platform AND p.mch_id = l.mch_id AND p.day_on = l.day_on
    LEFT JOIN paid q ON q.platform = l.platform AND q.mch_id = l.own_mch_id AND q.day_on = l.day_on
    WHERE p.day_on IS NULL AND q.day_on IS NULL
  ) AS unmatched
  GROUP BY platform, mch_id, day_on
),
numbered AS (
  SELECT day_on, ROW_NUMBER() OVER (ORDER BY day_on) AS day_no FROM calendar_day
),
placed AS (
  SELECT m.platform, m.mch_id, m.day_on, m.reason, m.row_count,
         d.day_no - ROW_NUMBER() OVER (PARTITION BY m.platform, m.mch_id, m.reason ORDER BY m.day_on) AS run_no
  FROM missing m
  JOIN numbered d ON d.day_on = m.day_on
),
runs AS (
  SELECT platform, mch_id, reason, run_no, COUNT(*) AS run_days
  FROM placed
  GROUP BY platform, mch_id, reason, run_no
),
chain AS (
  SELECT chain_seq_no, changed_on, LAG(chain_seq_no) OVER (ORDER BY chain_seq_no, change_ref) AS previous_no
  FROM permission_changes
  WHERE chain_seq_no IS NOT NULL
)
SELECT g.platform || '/' || g.mch_id || '/' || CAST(g.day_on AS VARCHAR) AS finding_ref,
       g.reason AS finding_reason,
       g.day_on AS finding_on,
       g.platform, g.mch_id, g.row_count
FROM placed g
JOIN runs r ON r.platform = g.platform AND r.mch_id = g.mch_id AND r.reason = g.reason AND r.run_no = g.run_no
WHERE r.run_days > $max_gap_days
UNION ALL
SELECT 'permission-log/' || CAST(c.previous_no + 1 AS VARCHAR) AS finding_ref,
       'log-gap' AS finding_reason,
       c.changed_on AS finding_on,
       CAST(NULL AS VARCHAR) AS platform, CAST(NULL AS VARCHAR) AS mch_id,
       c.chain_seq_no - c.previous_no - 1 AS row_count
FROM chain c
WHERE c.chain_seq_no > c.previous_no + 1
ORDER BY finding_ref, finding_reason
