WITH acted AS (
  SELECT c.change_ref, c.changed_at, c.action, c.operator_ref, c.subject_ref, c.permission, c.work_order_ref
  FROM permission_changes c
  LEFT JOIN param_exempt_methods e ON e.value = c.method
  WHERE e.value IS NULL
    AND COALESCE(c.succeeded, TRUE)
    AND COALESCE(c.subject_kind, 'staff') = 'staff'
    AND c.action IN ('revoke', 'account_release', 'account_delete')
    AND c.changed_at >= $window_from AND c.changed_at < $window_to
),
entitled AS (
  SELECT a.change_ref, a.changed_at, a.operator_ref, g.granted_by_ref AS granter_ref
  FROM acted a
  JOIN grants g ON g.staff_ref = a.subject_ref
  WHERE a.action = 'revoke'
    AND (g.permission IS NOT DISTINCT FROM a.permission)
    AND g.granted_at <= a.changed_at
    AND (g.revoked_at IS NULL OR g.revoked_at + CAST($match AS INTERVAL) >= a.changed_at)
  UNION ALL
  SELECT a.change_ref, a.changed_at, a.operator_ref, s.created_by_ref AS granter_ref
  FROM acted a
  JOIN staff s ON s.staff_ref = a.subject_ref
  WHERE a.action <> 'revoke'
),
judged AS (
  SELECT e.change_ref,
         MAX(CASE WHEN e.granter_ref IS NOT NULL THEN 1 ELSE 0 END) AS is_known,
         MAX(CASE WHEN e.granter_ref = e.operator_ref THEN 1
                  WHEN s.released_at <= e.changed_at AND s.replaced_by_ref = e.operator_ref THEN 1
                  ELSE 0 END) AS is_entitled
  FROM entitled e
  LEFT JOIN staff s ON s.staff_ref = e.granter_ref
  GROUP BY e.change_ref
),
approved AS (
  SELECT a.change_ref
  FROM acted a
  JOIN work_orders w ON w.work_order_ref = a.work_order_ref AND w.subject_ref = a.subject_ref
  WHERE w.state IN ('approved', 'done') AND w.decided_at <= a.changed_at
  GROUP BY a.change_ref
)
SELECT a.change_ref AS finding_ref,
       CASE WHEN a.work_order_ref IS NOT NULL THEN 'order-not-approved'
            WHEN COALESCE(j.is_known, 0) = 0 THEN 'granter-unknown'
            ELSE 'not-granter' END AS finding_reason,
       a.changed_at AS finding_at,
       a.action, a.operator_ref, a.subject_ref, a.work_order_ref
FROM acted a
LEFT JOIN judged j ON j.change_ref = a.change_ref
LEFT JOIN approved w ON w.change_ref = a.change_ref
WHERE COALESCE(j.is_entitled, 0) = 0
  AND w.change_ref IS NULL
ORDER BY finding_ref, finding_reason
