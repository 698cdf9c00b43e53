-- Both registers are short lists kept by people, so comparing every deletion with every hold is cheap.
WITH hits AS (
  SELECT d.deletion_ref AS ref_text,
         CASE WHEN d.deleted_at IS NULL THEN 'date-missing' ELSE 'deleted-under-hold' END AS reason,
         d.deleted_on AS gone_on, COALESCE(d.data_class, h.data_class) AS data_class, h.hold_ref, h.authority_ref
  FROM deletions d
  CROSS JOIN legal_holds h
  WHERE (d.data_class = h.data_class OR d.data_class IS NULL OR h.data_class IS NULL)
    AND (d.subject_ref = h.subject_ref OR d.subject_ref IS NULL OR h.subject_ref IS NULL)
    AND (d.deleted_at IS NULL
         OR (d.deleted_at <= $as_of
             AND (h.placed_at IS NULL OR d.deleted_at >= h.placed_at)
             AND (h.released_at IS NULL OR d.deleted_at < h.released_at)))
  UNION ALL
  SELECT r.merchant_ref || '/' || r.data_class || '/' || SUBSTR(CAST(r.month_on AS VARCHAR), 1, 7) || '/' || r.partition_key AS ref_text,
         'unregistered-under-hold' AS reason,
         r.deleted_on AS gone_on, r.data_class, h.hold_ref, h.authority_ref
  FROM record_inventory r
  LEFT JOIN deletions d ON d.deletion_ref = r.deletion_ref
  CROSS JOIN legal_holds h
  WHERE d.deletion_ref IS NULL
    AND r.deleted_on <= $as_of_on
    AND (h.data_class = r.data_class OR h.data_class IS NULL)
    AND (h.subject_ref IS NULL OR h.subject_ref = r.merchant_ref OR h.subject_ref = r.partition_key)
    AND (h.placed_on IS NULL OR r.deleted_on >= h.placed_on)
    AND (h.released_on IS NULL OR r.deleted_on <= h.released_on)
)
SELECT ref_text AS finding_ref,
       reason AS finding_reason,
       MIN(gone_on) AS finding_on,
       MIN(data_class) AS data_class, MIN(hold_ref) AS hold_ref, MIN(authority_ref) AS authority_ref
FROM hits
GROUP BY ref_text, reason
ORDER BY finding_ref, finding_reason
