SELECT f.file_ref AS finding_ref,
       CASE WHEN COALESCE(TRIM(f.sha256), '') = '' THEN 'digest-unknown' ELSE 'digest-differs' END AS finding_reason,
       f.dataset_name, f.sha256, f.expected_sha256
FROM loaded_files f
WHERE TRIM(f.expected_sha256) <> ''
  AND LOWER(TRIM(COALESCE(f.sha256, ''))) <> LOWER(TRIM(f.expected_sha256))
ORDER BY finding_ref, finding_reason
