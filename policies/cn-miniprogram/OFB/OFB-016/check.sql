WITH judged AS (
  SELECT f.form_ref, f.system_name, f.field_name, f.form_kind, f.hash_algorithm, f.checked_on,
         CASE WHEN f.form_kind IS NULL THEN 'unknown-form'
              WHEN f.form_kind = 'plain-hash' THEN 'plain-hash'
              WHEN f.form_kind <> 'keyed-hash' THEN 'fine'
              WHEN f.hash_algorithm IS NULL OR w.value IS NOT NULL THEN 'weak-algorithm'
              WHEN f.key_id IS NULL THEN 'no-key'
              WHEN COALESCE(f.key_beside_data, TRUE) THEN 'key-beside-data'
              ELSE 'fine' END AS reason_code
  FROM staff_pii_forms f
  LEFT JOIN param_weak_algorithms w ON w.value = LOWER(f.hash_algorithm)
  WHERE f.checked_on IS NULL OR f.checked_on <= $as_of_on
)
SELECT j.form_ref AS finding_ref,
       j.reason_code AS finding_reason,
       j.checked_on AS finding_on,
       j.system_name, j.field_name, j.form_kind, j.hash_algorithm
FROM judged j
WHERE j.reason_code <> 'fine'
ORDER BY finding_ref, finding_reason
