WITH months AS (
  SELECT c.month_on, CAST(c.month_on + INTERVAL '1' MONTH AS DATE) AS next_on
  FROM calendar_month c
),
required AS (
  SELECT m.merchant_ref, c.month_on
  FROM months c
  CROSS JOIN merchants m
  WHERE (m.opened_on IS NULL OR c.next_on > m.opened_on)
    AND (m.dissolved_on IS NULL OR c.month_on <= m.dissolved_on)
    AND c.next_on <= $as_of_on
    AND CAST(CAST(c.next_on - INTERVAL '1' DAY AS DATE) + CAST($min_period AS INTERVAL) AS DATE) > $as_of_on
),
listed AS (
  SELECT merchant_ref, month_on,
         MAX(CASE WHEN deleted_on IS NULL OR deleted_on > $as_of_on THEN 1 ELSE 0 END) AS is_present,
         MAX(deleted_on) AS deleted_on
  FROM record_inventory
  WHERE data_class = 'permission-log'
  GROUP BY merchant_ref, month_on
)
SELECT r.merchant_ref || '/' || SUBSTR(CAST(r.month_on AS VARCHAR), 1, 7) AS finding_ref,
       CASE WHEN l.month_on IS NULL THEN 'never-archived' ELSE 'deleted-early' END AS finding_reason,
       r.month_on AS finding_on,
       r.merchant_ref, l.deleted_on
FROM required r
LEFT JOIN listed l ON l.merchant_ref = r.merchant_ref AND l.month_on = r.month_on
WHERE l.month_on IS NULL OR l.is_present = 0
ORDER BY finding_ref, finding_reason
