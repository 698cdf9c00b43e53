-- Removals and openings are made to alternate, as in PRM-020; a removal lasts until the account is opened again.
-- Nothing before the window can follow a removal inside it, so the large tables are read from its start only.
WITH marks AS (
  SELECT subject_ref, changed_at, change_ref, CASE WHEN action = 'account_create' THEN 0 ELSE 1 END AS is_removal
  FROM permission_changes
  WHERE COALESCE(succeeded, TRUE)
    AND COALESCE(subject_kind, 'staff') = 'staff'
    AND action IN ('account_create', 'account_release', 'account_delete')
    AND changed_at >= $window_from AND changed_at <= $as_of
),
turns AS (
  SELECT subject_ref, changed_at, change_ref, is_removal,
         LAG(is_removal) OVER (PARTITION BY subject_ref ORDER BY changed_at, change_ref) AS was_removal
  FROM marks
),
lives AS (
  SELECT subject_ref, changed_at, is_removal,
         LEAD(changed_at) OVER (PARTITION BY subject_ref ORDER BY changed_at, change_ref) AS back_at
  FROM turns
  WHERE was_removal IS NULL OR was_removal <> is_removal
),
removed AS (
  SELECT subject_ref, changed_at AS removed_at, back_at
  FROM lives
  WHERE is_removal = 1
    AND changed_at < $window_to
),
acts AS (
  SELECT r.subject_ref, r.removed_at, r.back_at, 'login' AS reason, l.logged_in_at AS acted_at
  FROM removed r
  JOIN logins l ON l.actor_ref = r.subject_ref
  WHERE COALESCE(l.actor_type, 'staff') = 'staff'
    AND l.event IN ('login', 'token_refresh')
    AND COALESCE(l.succeeded, TRUE)
    AND l.logged_in_at >= $window_from
  UNION ALL
  SELECT r.subject_ref, r.removed_at, r.back_at, 'refund' AS reason, f.requested_at AS acted_at
  FROM removed r
  JOIN refunds f ON f.operator_ref = r.subject_ref
  WHERE f.requested_at >= $window_from
  UNION ALL
  SELECT r.subject_ref, r.removed_at, r.back_at, 'order' AS reason, o.created_at AS acted_at
  FROM removed r
  JOIN trade_orders o ON o.cashier_ref = r.subject_ref
  WHERE o.created_at >= $window_from
  UNION ALL
  SELECT r.subject_ref, r.removed_at, r.back_at, 'permission-change' AS reason, COALESCE(c.changed_at, c.requested_at) AS acted_at
  FROM removed r
  JOIN permission_changes c ON c.operator_ref = r.subject_ref
)
SELECT subject_ref AS finding_ref,
       reason AS finding_reason,
       MIN(acted_at) AS finding_at,
       MIN(removed_at) AS removed_at, COUNT(*) AS activity_count, MAX(acted_at) AS last_at
FROM acts
WHERE acted_at > removed_at + CAST($grace AS INTERVAL)
  AND acted_at <= $as_of
  AND (back_at IS NULL OR acted_at < back_at)
GROUP BY subject_ref, reason
ORDER BY finding_ref, finding_reason
