WITH forced AS (
  SELECT c.change_ref, c.subject_ref, c.method, c.changed_at
  FROM permission_changes c
  LEFT JOIN param_methods m ON m.value = c.method
  WHERE c.action IN ('account_release', 'account_delete')
    AND COALESCE(c.succeeded, TRUE)
    AND (m.value IS NOT NULL OR c.method IS NULL)
    AND c.changed_at >= $window_from AND c.changed_at < $window_to
)
SELECT f.change_ref || '/' || g.campaign_ref AS finding_ref,
       'campaign-running' AS finding_reason,
       f.changed_at AS finding_at,
       f.change_ref, f.subject_ref, f.method, g.campaign_ref, g.starts_at, g.ends_at
FROM forced f
JOIN campaigns g ON g.created_by_ref = f.subject_ref
WHERE (g.state IS NULL OR g.state <> 'draft')
  AND (g.starts_at IS NULL OR g.starts_at <= f.changed_at)
  AND (g.ends_at IS NULL OR g.ends_at > f.changed_at)
  AND (g.closed_at IS NULL OR g.closed_at > f.changed_at)
  AND (g.transferred_to_ref IS NULL OR g.transferred_to_ref = f.subject_ref)
ORDER BY finding_ref, finding_reason
