-- An account may be removed and opened again. Events of the window that repeat the previous kind are dropped, so that
-- removals and openings alternate; each removal then has the opening before it and the one after it, if any.
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
         ROW_NUMBER() OVER (PARTITION BY subject_ref ORDER BY changed_at, change_ref) AS turn_no,
         LAG(changed_at) OVER (PARTITION BY subject_ref ORDER BY changed_at, change_ref) AS opened_at,
         LEAD(changed_at) OVER (PARTITION BY subject_ref ORDER BY changed_at, change_ref) AS back_at
  FROM turns
  WHERE was_removal IS NULL OR was_removal <> is_removal
),
removed AS (
  SELECT subject_ref, changed_at AS removed_at, back_at,
         CASE WHEN turn_no > 2 THEN opened_at ELSE NULL END AS life_from_at
  FROM lives
  WHERE is_removal = 1
    AND changed_at < $window_to
),
hits AS (
  SELECT t.token_ref, t.kind, t.actor_ref, r.removed_at, t.last_used_at,
         CASE WHEN t.issued_at > r.removed_at THEN 'issued-after'
              WHEN t.last_used_at > r.removed_at THEN 'used-after'
              WHEN t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $as_of) THEN 'not-revoked'
              ELSE 'revoked-late' END AS reason
  FROM removed r
  JOIN tokens t ON t.actor_ref = r.subject_ref
  WHERE COALESCE(t.actor_type, 'staff') = 'staff'
    AND (t.issued_at IS NULL
         OR ((r.back_at IS NULL OR t.issued_at < r.back_at) AND (r.life_from_at IS NULL OR t.issued_at >= r.life_from_at)))
    AND (t.issued_at > r.removed_at
         OR t.last_used_at > r.removed_at
         OR ((t.revoked_at IS NULL OR t.revoked_at > r.removed_at + CAST($grace AS INTERVAL))
             AND (t.expires_at IS NULL OR t.expires_at > r.removed_at + CAST($grace AS INTERVAL))))
)
SELECT token_ref AS finding_ref,
       MIN(reason) AS finding_reason,
       MIN(removed_at) AS finding_at,
       MIN(kind) AS kind, MIN(actor_ref) AS actor_ref, MIN(removed_at) AS removed_at, MAX(last_used_at) AS last_used_at
FROM hits
GROUP BY token_ref
ORDER BY finding_ref, finding_reason
