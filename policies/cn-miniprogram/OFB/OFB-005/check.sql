WITH removed AS (
  SELECT c.subject_ref, MIN(c.changed_at) AS removed_at
  FROM permission_changes c
  WHERE c.action IN ('account_release', 'account_delete')
    AND COALESCE(c.succeeded, TRUE)
    AND c.changed_at >= $window_from AND c.changed_at < $window_to
  GROUP BY c.subject_ref
)
SELECT d.device_ref AS finding_ref,
       CASE WHEN d.unbound_at IS NULL THEN 'still-bound' ELSE 'unbound-late' END AS finding_reason,
       r.removed_at AS finding_at,
       d.bound_staff_ref, d.store_ref, d.kind, d.state, d.unbound_at
FROM devices d
JOIN removed r ON r.subject_ref = d.bound_staff_ref
WHERE d.unbound_at IS NULL
   OR d.unbound_at > r.removed_at + CAST($grace AS INTERVAL)
ORDER BY finding_ref, finding_reason
