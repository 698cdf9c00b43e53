WITH chosen AS (
  SELECT b.bill_ref, b.platform, b.bill_kind, b.mch_id, b.bill_on,
         COALESCE(b.row_count, 0) AS row_count, b.stated_count,
         COALESCE(b.total_fen, 0) AS total_fen, b.stated_total_fen,
         COALESCE(b.refund_fen, 0) AS refund_fen, b.stated_refund_fen,
         COALESCE(b.fee_e6, 0) AS fee_e6, b.stated_fee_e6
  FROM bills b
  WHERE b.bill_on IS NULL OR (b.bill_on >= $window_from_on AND b.bill_on < $window_to_on)
),
lines AS (
  SELECT c.bill_ref, COUNT(l.line_no) AS line_count,
         SUM(CASE WHEN c.bill_kind = 'fund' AND (l.direction IS NULL OR l.direction <> 'in') THEN CAST(0 AS DECIMAL(38,0))
                  ELSE CAST(COALESCE(l.amount_fen, 0) AS DECIMAL(38,0)) END) AS line_amount
  FROM chosen c
  JOIN bill_lines l ON l.bill_ref = c.bill_ref
  GROUP BY c.bill_ref
),
compared AS (
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'count-differs' AS reason_code,
         c.stated_count AS stated, c.row_count AS found
  FROM chosen c
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'total-differs' AS reason_code,
         c.stated_total_fen AS stated, c.total_fen AS found
  FROM chosen c
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'refund-differs' AS reason_code,
         c.stated_refund_fen AS stated, c.refund_fen AS found
  FROM chosen c
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'fee-differs' AS reason_code,
         c.stated_fee_e6 AS stated, c.fee_e6 AS found
  FROM chosen c
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'lines-differ' AS reason_code,
         CASE WHEN COALESCE(l.line_count, 0) <> c.row_count THEN c.row_count ELSE c.total_fen END AS stated,
         CASE WHEN COALESCE(l.line_count, 0) <> c.row_count THEN COALESCE(l.line_count, 0)
              WHEN c.bill_kind IN ('trade', 'fund') THEN CAST(COALESCE(l.line_amount, CAST(0 AS DECIMAL(38,0))) AS BIGINT)
              ELSE c.total_fen END AS found
  FROM chosen c
  LEFT JOIN lines l ON l.bill_ref = c.bill_ref
)
SELECT d.bill_ref AS finding_ref,
       d.reason_code AS finding_reason,
       d.bill_on AS finding_on,
       d.platform, d.bill_kind, d.mch_id, d.stated, d.found
FROM compared d
WHERE d.stated <> d.found
ORDER BY finding_ref, finding_reason
