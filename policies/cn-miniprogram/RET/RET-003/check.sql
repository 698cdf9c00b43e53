WITH months AS (
  SELECT c.month_on, CAST(c.month_on + INTERVAL '1' MONTH AS DATE) AS next_on
  FROM calendar_month c
),
required AS (
  SELECT m.merchant_ref, k.value AS data_class, c.month_on
  FROM months c
  CROSS JOIN merchants m
  CROSS JOIN param_classes k
  JOIN retention_schedule s ON s.data_class = k.value
  WHERE (s.legal_role = m.legal_role OR m.legal_role IS NULL)
    AND (m.opened_on IS NULL OR c.next_on > m.opened_on)
    AND (m.dissolved_on IS NULL OR c.month_on <= m.dissolved_on)
    AND c.next_on <= $as_of_on
    AND (s.is_permanent
         OR CAST(CAST(c.next_on - INTERVAL '1' DAY AS DATE) + CAST(s.min_period AS INTERVAL) AS DATE) > $as_of_on)
  GROUP BY m.merchant_ref, k.value, c.month_on
),
present AS (
  SELECT merchant_ref, data_class, month_on, SUM(CAST(COALESCE(record_count, 0) AS DECIMAL(38,0))) AS record_count
  FROM record_inventory
  GROUP BY merchant_ref, data_class, month_on
),
activity AS (
  SELECT r.merchant_ref, r.month_on, MAX(p.record_count) AS busiest_count
  FROM required r
  JOIN present p ON p.merchant_ref = r.merchant_ref AND p.data_class = r.data_class AND p.month_on = r.month_on
  GROUP BY r.merchant_ref, r.month_on
)
SELECT r.merchant_ref || '/' || r.data_class || '/' || SUBSTR(CAST(r.month_on AS VARCHAR), 1, 7) AS finding_ref,
       CASE WHEN p.month_on IS NULL THEN 'never-archived' ELSE 'empty-beside-activity' END AS finding_reason,
       r.month_on AS finding_on,
       r.merchant_ref, r.data_class,
       CAST(a.busiest_count AS BIGINT) AS busiest_count
FROM required r
LEFT JOIN present p ON p.merchant_ref = r.merchant_ref AND p.data_class = r.data_class AND p.month_on = r.month_on
LEFT JOIN activity a ON a.merchant_ref = r.merchant_ref AND a.month_on = r.month_on
LEFT JOIN param_busy_classes b ON b.value = r.data_class
WHERE p.month_on IS NULL
   OR (b.value IS NOT NULL AND p.record_count = 0 AND a.busiest_count >= $activity_min)
UNION ALL
SELECT m.merchant_ref || '/' || k.value AS finding_ref,
       'no-schedule' AS finding_reason,
       CAST(NULL AS DATE) AS finding_on,
       m.merchant_ref, k.value AS data_class, CAST(NULL AS BIGINT) AS busiest_count
FROM merchants m
CROSS JOIN param_classes k
WHERE NOT EXISTS (SELECT 1 FROM retention_schedule s WHERE s.data_class = k.value)
ORDER BY finding_ref, finding_reason
