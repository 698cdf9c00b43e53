WITH gone AS (
  SELECT d.departure_ref, d.staff_ref, d.access_removed_at,
         d.device_recovered_at, d.password_reset_at, d.funds_checked_at,
         CASE WHEN $order_mode = 'remove-first' THEN d.access_removed_at + CAST($sla AS INTERVAL)
              ELSE d.access_removed_at END AS due_at
  FROM departures d
  WHERE d.access_removed_at >= $window_from AND d.access_removed_at < $window_to
),
steps AS (
  SELECT g.departure_ref, g.staff_ref, g.access_removed_at, g.due_at,
         g.device_recovered_at AS done_at, 'device-missing' AS missing_code, 'device-late' AS late_code
  FROM gone g
  UNION ALL
  SELECT g.departure_ref, g.staff_ref, g.access_removed_at, g.due_at,
         g.password_reset_at AS done_at, 'password-missing' AS missing_code, 'password-late' AS late_code
  FROM gone g
  UNION ALL
  SELECT g.departure_ref, g.staff_ref, g.access_removed_at, g.due_at,
         g.funds_checked_at AS done_at, 'funds-missing' AS missing_code, 'funds-late' AS late_code
  FROM gone g
)
SELECT s.departure_ref AS finding_ref,
       CASE WHEN s.done_at IS NULL THEN s.missing_code ELSE s.late_code END AS finding_reason,
       s.access_removed_at AS finding_at,
       s.staff_ref, s.access_removed_at, s.done_at
FROM steps s
WHERE s.done_at > s.due_at
   OR (s.done_at IS NULL AND s.due_at < $as_of)
ORDER BY finding_ref, finding_reason
