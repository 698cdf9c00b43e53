WITH removed AS (
  SELECT c.change_ref, c.subject_ref, c.method, c.changed_at
  FROM permission_changes c
  WHERE c.action IN ('account_release', 'account_delete')
    AND COALESCE(c.succeeded, TRUE)
    AND c.changed_at >= $window_from AND c.changed_at < $window_to
),
open_items AS (
  SELECT r.change_ref, r.subject_ref, r.method, r.changed_at,
         'open-complaint' AS reason_code, k.complaint_ref AS item_ref, k.opened_at AS since_at
  FROM removed r
  JOIN complaints k ON k.handler_ref = r.subject_ref
  WHERE (k.opened_at IS NULL OR k.opened_at <= r.changed_at)
    AND (k.closed_at IS NULL OR k.closed_at > r.changed_at)
  UNION ALL
  SELECT r.change_ref, r.subject_ref, r.method, r.changed_at,
         'open-refund' AS reason_code, f.refund_ref AS item_ref, f.requested_at AS since_at
  FROM removed r
  JOIN refunds f ON f.operator_ref = r.subject_ref
  WHERE (f.requested_at IS NULL OR f.requested_at <= r.changed_at)
    AND (f.status IS NULL
         OR f.status IN ('requested', 'approved', 'processing')
         OR (f.status = 'succeeded' AND f.succeeded_at > r.changed_at))
)
SELECT i.change_ref || '/' || i.item_ref AS finding_ref,
       i.reason_code AS finding_reason,
       i.changed_at AS finding_at,
       i.change_ref, i.subject_ref, i.method, i.item_ref, i.since_at
FROM open_items i
ORDER BY finding_ref, finding_reason
