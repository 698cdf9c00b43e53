SELECT staff_ref AS finding_ref,
       CASE WHEN valid_until_at IS NULL THEN 'no-expiry'
            WHEN created_at IS NULL THEN 'start-unknown'
            ELSE 'too-long' END AS finding_reason,
       created_at AS finding_at,
       created_by_ref, valid_until_at
FROM staff
WHERE is_temporary
  AND (created_at IS NULL OR created_at < $window_to)
  AND (released_at IS NULL OR released_at >= $window_from)
  AND (valid_until_at IS NULL
       OR created_at IS NULL
       OR valid_until_at > created_at + CAST($max_life AS INTERVAL))
ORDER BY finding_ref, finding_reason
