WITH origins AS (
  SELECT source_ref, MIN(started_on) AS started_on, MIN(system_name) AS system_name
  FROM log_days
  GROUP BY source_ref
),
required AS (
  SELECT s.source_ref, s.system_name, d.day_on
  FROM calendar_day d
  CROSS JOIN origins s
  WHERE d.day_on < $as_of_on
    AND CAST(d.day_on + CAST($min_period AS INTERVAL) AS DATE) > $as_of_on
    AND (s.started_on IS NULL OR d.day_on >= s.started_on)
),
present AS (
  SELECT source_ref, log_on, MAX(CASE WHEN is_present THEN 1 ELSE 0 END) AS is_present
  FROM log_days
  GROUP BY source_ref, log_on
)
SELECT r.source_ref || '/' || CAST(r.day_on AS VARCHAR) AS finding_ref,
       CASE WHEN p.log_on IS NULL THEN 'day-missing' ELSE 'not-present' END AS finding_reason,
       r.day_on AS finding_on,
       r.source_ref, r.system_name
FROM required r
LEFT JOIN present p ON p.source_ref = r.source_ref AND p.log_on = r.day_on
WHERE p.log_on IS NULL OR p.is_present = 0
ORDER BY finding_ref, finding_reason
