WITH projects AS (
  SELECT COALESCE(d.merchant_ref, 'unknown') AS merchant_ref, COALESCE(d.submitted_on, $as_of_on) AS until_on
  FROM dereg_projects d
),
closing AS (
  SELECT d.merchant_ref, m.opened_on, MAX(d.until_on) AS until_on
  FROM projects d
  LEFT JOIN merchants m ON m.merchant_ref = d.merchant_ref
  GROUP BY d.merchant_ref, m.opened_on
),
due_months AS (
  SELECT p.merchant_ref, c.month_on, k.value AS archive_class
  FROM closing p
  CROSS JOIN calendar_month c
  CROSS JOIN param_monthly_classes k
  WHERE CAST(c.month_on + INTERVAL '1' MONTH AS DATE) <= p.until_on
    AND ((p.opened_on IS NOT NULL AND CAST(c.month_on + INTERVAL '1' MONTH AS DATE) > p.opened_on)
         OR (p.opened_on IS NULL AND CAST(c.month_on + CAST($lookback AS INTERVAL) AS DATE) >= p.until_on))
),
due_whole AS (
  SELECT p.merchant_ref, k.value AS archive_class
  FROM closing p
  CROSS JOIN param_whole_classes k
),
kept AS (
  SELECT a.merchant_ref, a.archive_class, a.month_on,
         MAX(CASE WHEN a.sha256 IS NOT NULL THEN 1 ELSE 0 END) AS has_digest
  FROM archive_items a
  GROUP BY a.merchant_ref, a.archive_class, a.month_on
),
kept_ever AS (
  SELECT k.merchant_ref, k.archive_class, MAX(k.has_digest) AS has_digest, MAX(k.month_on) AS month_on
  FROM kept k
  GROUP BY k.merchant_ref, k.archive_class
),
judged AS (
  SELECT d.merchant_ref || '/' || d.archive_class || '/' || SUBSTR(CAST(d.month_on AS VARCHAR), 1, 7) AS subject_ref,
         d.merchant_ref, d.archive_class, d.month_on, k.has_digest
  FROM due_months d
  LEFT JOIN kept k ON k.merchant_ref = d.merchant_ref AND k.archive_class = d.archive_class AND k.month_on = d.month_on
  UNION ALL
  SELECT d.merchant_ref || '/' || d.archive_class AS subject_ref,
         d.merchant_ref, d.archive_class, e.month_on, e.has_digest
  FROM due_whole d
  LEFT JOIN kept_ever e ON e.merchant_ref = d.merchant_ref AND e.archive_class = d.archive_class
)
SELECT j.subject_ref AS finding_ref,
       CASE WHEN j.has_digest IS NULL THEN 'missing' ELSE 'no-digest' END AS finding_reason,
       j.merchant_ref, j.archive_class, j.month_on
FROM judged j
WHERE j.has_digest IS NULL OR j.has_digest = 0
ORDER BY finding_ref, finding_reason
