SELECT c.change_ref AS finding_ref,
       CASE WHEN c.requested_at IS NULL THEN 'request-time-missing'
            WHEN c.changed_at IS NULL THEN 'pending-overdue'
            ELSE 'late' END AS finding_reason,
       c.changed_at AS finding_at,
       c.action, c.operator_ref, c.subject_ref, c.requested_at
FROM permission_changes c
JOIN param_methods k ON k.value = c.method
WHERE c.action IN ('account_release', 'account_delete')
  AND COALESCE(c.result, 'ok') NOT IN ('failed', 'abandoned')
  AND ((c.changed_at >= $window_from AND c.changed_at < $window_to)
       OR (c.changed_at IS NULL AND (c.requested_at IS NULL OR c.requested_at < $window_to)))
  AND (c.requested_at IS NULL
       OR (c.changed_at IS NULL AND c.requested_at + CAST($sla AS INTERVAL) < $as_of)
       OR c.changed_at > c.requested_at + CAST($sla AS INTERVAL))
ORDER BY finding_ref, finding_reason
