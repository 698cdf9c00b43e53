SELECT c.dataset_name || '/' || c.partition_key AS finding_ref,
       CASE WHEN c.source_count IS NULL OR c.target_count IS NULL THEN 'not-counted' ELSE 'count-differs' END AS finding_reason,
       c.dataset_name, c.partition_key, c.source_count, c.target_count
FROM migration_counts c
WHERE c.source_count IS NULL OR c.target_count IS NULL
   OR ABS(c.source_count - c.target_count) > $tolerance
ORDER BY finding_ref, finding_reason
