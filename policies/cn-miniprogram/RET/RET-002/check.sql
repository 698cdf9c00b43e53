WITH gone AS (
  SELECT r.merchant_ref, r.data_class, r.month_on, r.partition_key, r.deleted_on, m.legal_role,
         COALESCE(r.anchor_on, CAST(CAST(r.month_on + INTERVAL '1' MONTH AS DATE) - INTERVAL '1' DAY AS DATE)) AS counted_from_on
  FROM record_inventory r
  LEFT JOIN merchants m ON m.merchant_ref = r.merchant_ref
  WHERE r.deleted_on <= $as_of_on
     OR (r.deleted_on IS NULL AND r.deletion_ref IS NOT NULL)
),
known AS (
  SELECT data_class FROM retention_schedule GROUP BY data_class
),
terms AS (
  SELECT g.merchant_ref, g.data_class, g.month_on, g.partition_key,
         MAX(CASE WHEN s.is_permanent THEN 1 ELSE 0 END) AS is_kept_forever,
         MAX(CAST(g.counted_from_on + CAST(s.min_period AS INTERVAL) AS DATE)) AS keep_until_on,
         MAX(s.basis_ref) AS basis_ref
  FROM gone g
  JOIN retention_schedule s ON s.data_class = g.data_class
  WHERE s.legal_role = g.legal_role OR g.legal_role IS NULL
  GROUP BY g.merchant_ref, g.data_class, g.month_on, g.partition_key
)
SELECT g.merchant_ref || '/' || g.data_class || '/' || SUBSTR(CAST(g.month_on AS VARCHAR), 1, 7) || '/' || g.partition_key AS finding_ref,
       CASE WHEN k.data_class IS NULL THEN 'no-schedule'
            WHEN g.deleted_on IS NULL THEN 'date-missing'
            WHEN t.is_kept_forever = 1 THEN 'permanent-deleted'
            ELSE 'deleted-early' END AS finding_reason,
       g.month_on AS finding_on,
       g.merchant_ref, g.data_class, g.deleted_on, t.keep_until_on, t.basis_ref
FROM gone g
LEFT JOIN known k ON k.data_class = g.data_class
LEFT JOIN terms t ON t.merchant_ref = g.merchant_ref AND t.data_class = g.data_class
                 AND t.month_on = g.month_on AND t.partition_key = g.partition_key
WHERE k.data_class IS NULL
   OR t.is_kept_forever = 1
   OR (t.keep_until_on IS NOT NULL AND (g.deleted_on IS NULL OR g.deleted_on < t.keep_until_on))
ORDER BY finding_ref, finding_reason
