WITH successes AS (
  SELECT e.event_ref, e.object_ref, e.order_ref, e.changed_at, e.evidence_source, e.platform, e.product,
         e.comm_code, e.biz_code, e.trade_state, v.value AS accepted_source
  FROM order_events e
  LEFT JOIN param_evidence v ON v.value = e.evidence_source
  WHERE e.object_kind = 'payment' AND e.to_status = 'succeeded'
    AND (e.from_status IS NULL OR e.from_status <> 'succeeded')
    AND (e.platform IS NULL OR e.platform IN ('wechat', 'alipay', 'unionpay'))
    AND (e.changed_at IS NULL OR (e.changed_at >= $window_from AND e.changed_at < $window_to))
),
judged AS (
  SELECT s.event_ref, s.object_ref, s.order_ref, s.changed_at, s.evidence_source, s.platform, s.product,
         s.comm_code, s.biz_code, s.trade_state,
         CASE WHEN s.accepted_source IS NULL THEN 'weak-evidence'
              WHEN s.trade_state IS NULL THEN 'state-missing'
              WHEN m.platform IS NULL AND g.platform IS NULL THEN 'state-unmapped'
              WHEN COALESCE(m.mapped_state, g.mapped_state, 'none') <> 'succeeded' THEN 'state-not-success'
              ELSE 'fine' END AS reason_code
  FROM successes s
  LEFT JOIN code_map m ON m.platform = s.platform AND m.product = s.product AND m.trade_state = s.trade_state
  LEFT JOIN code_map g ON g.platform = s.platform AND g.trade_state = s.trade_state AND g.product = 'any'
)
SELECT j.event_ref AS finding_ref,
       j.reason_code AS finding_reason,
       j.changed_at AS finding_at,
       j.object_ref, j.order_ref, j.platform, j.product, j.evidence_source, j.comm_code, j.biz_code, j.trade_state
FROM judged j
WHERE j.reason_code <> 'fine'
ORDER BY finding_ref, finding_reason
