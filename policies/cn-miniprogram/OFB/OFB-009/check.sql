WITH acknowledged AS (
  SELECT r.departure_ref,
         COUNT(r.receipt_ref) AS receipt_count,
         MAX(CASE WHEN r.signed_at <= $as_of AND r.content_sha256 IS NOT NULL THEN 1 ELSE 0 END) AS has_signed,
         MAX(CASE WHEN r.signed_at <= $as_of AND r.content_sha256 IS NOT NULL
                       AND COALESCE(r.signature_valid, FALSE) THEN 1 ELSE 0 END) AS has_valid
  FROM receipts r
  WHERE r.kind = 'removal-ack'
  GROUP BY r.departure_ref
)
SELECT d.departure_ref AS finding_ref,
       CASE WHEN a.departure_ref IS NULL THEN 'no-receipt'
            WHEN a.has_signed = 0 THEN 'unsigned'
            ELSE 'invalid-signature' END AS finding_reason,
       d.access_removed_at AS finding_at,
       d.staff_ref, d.access_removed_at, COALESCE(a.receipt_count, 0) AS receipt_count
FROM departures d
LEFT JOIN acknowledged a ON a.departure_ref = d.departure_ref
WHERE d.access_removed_at >= $window_from AND d.access_removed_at < $window_to
  AND (a.departure_ref IS NULL OR a.has_valid = 0)
ORDER BY finding_ref, finding_reason
