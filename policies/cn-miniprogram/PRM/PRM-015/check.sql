WITH employed AS (
  SELECT person_ref,
         MIN(departed_on) AS departed_on,
         MAX(CASE WHEN employment_status = 'active' THEN 0 ELSE 1 END) AS is_not_employed
  FROM people
  GROUP BY person_ref
)
SELECT s.staff_ref AS finding_ref,
       CASE WHEN p.person_ref IS NULL THEN 'not-in-register'
            WHEN p.departed_on < $as_of_on THEN 'departed'
            ELSE 'not-employed' END AS finding_reason,
       s.role_hint, s.belongs_to_ref, p.departed_on
FROM staff s
LEFT JOIN employed p ON p.person_ref = s.person_ref
WHERE COALESCE(s.state, 'active') = 'active'
  AND (p.person_ref IS NULL
       OR p.departed_on < $as_of_on
       OR p.is_not_employed = 1)
ORDER BY finding_ref, finding_reason
