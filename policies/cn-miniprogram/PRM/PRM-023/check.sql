WITH examined AS (
  SELECT change_ref, changed_at, action, operator_ref, subject_ref
  FROM permission_changes
  WHERE COALESCE(is_money_related, TRUE)
    AND COALESCE(succeeded, TRUE)
    AND action IN ('grant', 'revoke', 'role_update', 'account_update')
    AND changed_at >= $window_from AND changed_at < $window_to
),
verified AS (
  SELECT c.change_ref,
         MAX(CASE WHEN a.value IS NOT NULL THEN 1 ELSE 0 END) AS has_first,
         MAX(CASE WHEN b.value IS NOT NULL THEN 1 ELSE 0 END) AS has_second
  FROM examined c
  JOIN verifications v ON v.change_ref = c.change_ref
  LEFT JOIN param_first_factors a ON a.value = v.method
  LEFT JOIN param_second_factors b ON b.value = v.method
  WHERE v.passed
    AND v.verified_at <= c.changed_at
    AND v.verified_at + CAST($max_age AS INTERVAL) >= c.changed_at
  GROUP BY c.change_ref
)
SELECT c.change_ref AS finding_ref,
       CASE WHEN v.change_ref IS NULL THEN 'no-verification'
            WHEN v.has_first = 0 THEN 'first-factor-missing'
            ELSE 'second-factor-missing' END AS finding_reason,
       c.changed_at AS finding_at,
       c.action, c.operator_ref, c.subject_ref
FROM examined c
LEFT JOIN verified v ON v.change_ref = c.change_ref
WHERE v.change_ref IS NULL OR v.has_first = 0 OR v.has_second = 0
ORDER BY finding_ref, finding_reason
