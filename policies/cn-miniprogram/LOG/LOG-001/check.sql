WITH examined AS (
  SELECT change_ref, COALESCE(changed_at, requested_at) AS seen_at, changed_at, action, operator_ref, ip, device, method,
         result, succeeded
  FROM permission_changes
  WHERE COALESCE(changed_at, requested_at) IS NULL
     OR (COALESCE(changed_at, requested_at) >= $window_from AND COALESCE(changed_at, requested_at) < $window_to)
)
SELECT change_ref AS finding_ref, 'ip-missing' AS finding_reason, seen_at AS finding_at, action, operator_ref
FROM examined
WHERE COALESCE(TRIM(ip), '') = ''
UNION ALL
SELECT change_ref AS finding_ref, 'device-missing' AS finding_reason, seen_at AS finding_at, action, operator_ref
FROM examined
WHERE COALESCE(TRIM(device), '') = ''
  AND NOT ($system_ok AND COALESCE(method, '') = 'system')
UNION ALL
SELECT change_ref AS finding_ref, 'time-missing' AS finding_reason, seen_at AS finding_at, action, operator_ref
FROM examined
WHERE changed_at IS NULL
  AND COALESCE(result, 'ok') = 'ok'
  AND COALESCE(succeeded, TRUE)
ORDER BY finding_ref, finding_reason
