WITH done AS (
  SELECT grant_ref, staff_ref, role_ref, permission, 'grant-unlogged' AS reason, granted_at AS done_at, granted_by_ref AS done_by_ref
  FROM grants
  WHERE granted_at IS NULL OR (granted_at >= $window_from AND granted_at < $window_to)
  UNION ALL
  SELECT grant_ref, staff_ref, role_ref, permission, 'revoke-unlogged' AS reason, revoked_at AS done_at, revoked_by_ref AS done_by_ref
  FROM grants
  WHERE revoked_at >= $window_from AND revoked_at < $window_to
),
logged AS (
  SELECT d.grant_ref, d.reason
  FROM done d
  JOIN permission_changes c ON c.subject_ref = d.staff_ref
  WHERE COALESCE(c.subject_kind, 'staff') = 'staff'
    AND c.succeeded
    AND c.changed_at <= $as_of
    AND (d.done_at IS NULL
         OR (c.changed_at + CAST($match AS INTERVAL) >= d.done_at AND c.changed_at <= d.done_at + CAST($match AS INTERVAL)))
    AND ((d.reason = 'grant-unlogged'
          AND ((c.action = 'grant' AND (c.permission IS NOT DISTINCT FROM d.permission))
               OR c.action IN ('account_create', 'account_update', 'role_update')))
         OR (d.reason = 'revoke-unlogged'
             AND ((c.action = 'revoke' AND (c.permission IS NOT DISTINCT FROM d.permission))
                  OR c.action IN ('account_release', 'account_delete', 'account_disable', 'account_update', 'role_update'))))
  UNION ALL
  SELECT d.grant_ref, d.reason
  FROM done d
  JOIN permission_changes c ON c.subject_ref = d.role_ref
  WHERE c.subject_kind = 'role'
    AND c.succeeded
    AND c.changed_at <= $as_of
    AND (d.done_at IS NULL
         OR (c.changed_at + CAST($match AS INTERVAL) >= d.done_at AND c.changed_at <= d.done_at + CAST($match AS INTERVAL)))
    AND ((d.reason = 'grant-unlogged' AND c.action IN ('role_create', 'role_update'))
         OR (d.reason = 'revoke-unlogged' AND c.action IN ('role_update', 'role_delete')))
),
matched AS (
  SELECT grant_ref, reason FROM logged GROUP BY grant_ref, reason
)
SELECT d.grant_ref AS finding_ref,
       d.reason AS finding_reason,
       d.done_at AS finding_at,
       d.staff_ref, d.permission, d.done_by_ref
FROM done d
LEFT JOIN matched l ON l.grant_ref = d.grant_ref AND l.reason = d.reason
WHERE l.grant_ref IS NULL
ORDER BY finding_ref, finding_reason
