WITH held AS (
  SELECT r.merchant_ref, r.data_class, r.month_on, r.partition_key, m.legal_role,
         COALESCE(r.purpose_ended_on, r.anchor_on,
                  CAST(CAST(r.month_on + INTERVAL '1' MONTH AS DATE) - INTERVAL '1' DAY AS DATE)) AS counted_from_on
  FROM record_inventory r
  LEFT JOIN merchants m ON m.merchant_ref = r.merchant_ref
  LEFT JOIN param_skip_partitions k ON k.value = r.partition_key
  WHERE k.value IS NULL
    AND COALESCE(r.contains_pi, TRUE)
    AND COALESCE(r.record_count, 1) > 0
    AND NOT COALESCE(r.is_restricted, FALSE)
    AND (r.deleted_on IS NULL OR r.deleted_on > $as_of_on)
),
known AS (
  SELECT data_class FROM retention_schedule GROUP BY data_class
),
terms AS (
  SELECT h.merchant_ref, h.data_class, h.month_on, h.partition_key,
         MIN(CAST(h.counted_from_on + CAST(s.pi_max_period AS INTERVAL) AS DATE)) AS keep_until_on,
         MIN(s.basis_ref) AS basis_ref
  FROM held h
  JOIN retention_schedule s ON s.data_class = h.data_class
  WHERE s.legal_role = h.legal_role OR h.legal_role IS NULL
  GROUP BY h.merchant_ref, h.data_class, h.month_on, h.partition_key
)
SELECT h.merchant_ref || '/' || h.data_class || '/' || SUBSTR(CAST(h.month_on AS VARCHAR), 1, 7) || '/' || h.partition_key AS finding_ref,
       CASE WHEN k.data_class IS NULL THEN 'no-schedule' ELSE 'kept-too-long' END AS finding_reason,
       h.month_on AS finding_on,
       h.merchant_ref, h.data_class, t.keep_until_on, t.basis_ref
FROM held h
LEFT JOIN known k ON k.data_class = h.data_class
LEFT JOIN terms t ON t.merchant_ref = h.merchant_ref AND t.data_class = h.data_class
                 AND t.month_on = h.month_on AND t.partition_key = h.partition_key
WHERE (k.data_class IS NULL OR t.keep_until_on < $as_of_on)
  AND NOT EXISTS (
    SELECT 1 FROM legal_holds g
    WHERE g.data_class = h.data_class
      AND (g.subject_ref IS NULL OR g.subject_ref = h.merchant_ref OR g.subject_ref = h.partition_key)
      AND g.placed_at <= $as_of
      AND (g.released_at IS NULL OR g.released_at > $as_of)
  )
ORDER BY finding_ref, finding_reason
