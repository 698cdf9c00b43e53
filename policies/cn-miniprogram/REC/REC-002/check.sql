SELECT b.bill_ref AS finding_ref,
       CASE WHEN b.actual_digest IS NULL THEN 'digest-unknown' ELSE 'digest-differs' END AS finding_reason,
       b.bill_on AS finding_on,
       b.platform, b.bill_kind, b.mch_id, b.digest_algorithm, b.expected_digest, b.actual_digest
FROM bills b
WHERE b.expected_digest IS NOT NULL
  AND (b.bill_on IS NULL OR (b.bill_on >= $window_from_on AND b.bill_on < $window_to_on))
  AND (b.actual_digest IS NULL OR LOWER(TRIM(b.actual_digest)) <> LOWER(TRIM(b.expected_digest)))
ORDER BY finding_ref, finding_reason
