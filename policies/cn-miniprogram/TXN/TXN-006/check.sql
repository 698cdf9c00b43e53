WITH ends AS (
  SELECT t.object_kind, t.from_status AS status_word, t.from_rank AS status_rank,
         CASE WHEN COALESCE(t.is_from_terminal, FALSE) THEN 0 ELSE 1 END AS is_left_normally
  FROM transitions t
  UNION ALL
  SELECT t.object_kind, t.to_status AS status_word, t.to_rank AS status_rank, 0 AS is_left_normally
  FROM transitions t
),
ranked AS (
  SELECT e.object_kind, e.status_word, e.status_rank, e.is_left_normally,
         ROW_NUMBER() OVER (PARTITION BY e.object_kind, e.status_word
                            ORDER BY e.is_left_normally DESC NULLS LAST, e.status_rank DESC NULLS LAST) AS nth
  FROM ends e
),
states AS (
  SELECT r.object_kind, r.status_word, r.status_rank, r.is_left_normally
  FROM ranked r
  WHERE r.nth = 1
),
verdicts AS (
  SELECT a.object_kind, a.status_word AS from_status, b.status_word AS to_status,
         CASE WHEN t.object_kind IS NOT NULL THEN 'allowed'
              WHEN a.is_left_normally = 0 THEN 'after-terminal'
              WHEN b.status_rank < a.status_rank THEN 'rank-back'
              ELSE 'unknown-transition' END AS verdict
  FROM states a
  JOIN states b ON b.object_kind = a.object_kind
  LEFT JOIN transitions t ON t.object_kind = a.object_kind AND t.from_status = a.status_word AND t.to_status = b.status_word
),
history AS (
  SELECT e.event_ref, e.object_kind, e.object_ref, e.order_ref, e.seq_no, e.changed_at, e.from_status, e.to_status,
         LAG(e.to_status) OVER (PARTITION BY e.object_kind, e.object_ref
                                ORDER BY e.seq_no NULLS LAST, e.changed_at NULLS LAST, e.event_ref NULLS LAST) AS previous_status
  FROM order_events e
),
moves AS (
  SELECT h.event_ref, h.object_kind, h.object_ref, h.order_ref, h.seq_no, h.changed_at, h.to_status,
         CASE WHEN h.object_ref IS NULL OR h.object_kind IS NULL THEN h.from_status
              ELSE COALESCE(h.previous_status, h.from_status) END AS left_status
  FROM history h
  WHERE h.changed_at IS NULL OR (h.changed_at >= $window_from AND h.changed_at < $window_to)
)
SELECT m.event_ref AS finding_ref,
       COALESCE(v.verdict, 'unknown-transition') AS finding_reason,
       m.changed_at AS finding_at,
       m.object_kind, m.object_ref, m.order_ref, m.seq_no, m.left_status, m.to_status
FROM moves m
LEFT JOIN verdicts v ON v.object_kind = m.object_kind AND v.from_status = m.left_status AND v.to_status = m.to_status
WHERE (v.verdict IS NULL OR v.verdict <> 'allowed')
  AND (m.to_status IS NULL
       OR m.object_kind IS NULL
       OR (m.left_status IS NOT NULL AND m.left_status <> m.to_status))
ORDER BY finding_ref, finding_reason
