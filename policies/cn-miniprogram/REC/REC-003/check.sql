WITH chosen AS (
  SELECT b.bill_ref, b.platform, b.bill_kind, b.mch_id, b.bill_on,
         COALESCE(b.row_count, 0) AS row_count, b.stated_count,
         COALESCE(b.total_fen, 0) AS total_fen, b.stated_total_fen,
         COALESCE(b.refund_fen, 0) AS refund_fen, b.stated_refund_fen,
         COALESCE(b.fee_e6, 0) AS fee_e6, b.stated_fee_e6, b.is_partial, b.repeats_ref, b.overlap_count, b.rejected_count,
         b.merchant_count, b.outside_count, b.differing_totals, b.notes
  FROM bills b
  WHERE b.bill_on IS NULL OR (b.bill_on >= $window_from_on AND b.bill_on < $window_to_on)
),
lines AS (
  SELECT c.bill_ref, COUNT(l.line_no) AS line_count,
         SUM(CASE WHEN c.bill_kind = 'fund' AND (l.direction IS NULL OR l.direction <> 'in') THEN CAST(0 AS DECIMAL(38,0))
                  ELSE CAST(COALESCE(l.amount_fen, 0) AS DECIMAL(38,0)) END) AS line_amount,
         -- UnionPay's codes are translated; Alipay's own word stays where it is neither payment nor refund.
         COUNT(CASE WHEN c.bill_kind = 'trade' AND (l.state = 'UNCLASSIFIED' OR (c.platform = 'alipay' AND l.state = l.trade_kind))
                    THEN l.line_no END) AS unclassified_count
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
),
differing AS (
  SELECT d.bill_ref, d.bill_on, d.platform, d.bill_kind, d.mch_id, d.reason_code, d.stated, d.found
  FROM compared d
  WHERE d.stated <> d.found
),
-- What the reader of the file saw about it, in the order in which it should be looked at.
seen AS (
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'partial' AS reason_code,
         c.stated_count AS stated, c.row_count AS found, c.repeats_ref
  FROM chosen c
  WHERE c.is_partial AND c.repeats_ref IS NULL
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'lines-rejected' AS reason_code,
         CAST(0 AS BIGINT) AS stated, c.rejected_count AS found, c.repeats_ref
  FROM chosen c
  WHERE c.rejected_count > 0
  UNION ALL
  -- Totals without columns of their own; where one with a column differs too, the bill is reported for that.
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'other-total-differs' AS reason_code,
         CAST(NULL AS BIGINT) AS stated, CAST(NULL AS BIGINT) AS found, c.repeats_ref
  FROM chosen c
  LEFT JOIN differing d ON d.bill_ref = c.bill_ref AND d.reason_code <> 'lines-differ'
  WHERE c.differing_totals IS NOT NULL AND d.bill_ref IS NULL
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'foreign-merchant' AS reason_code,
         CAST(1 AS BIGINT) AS stated, c.merchant_count AS found, c.repeats_ref
  FROM chosen c
  WHERE c.merchant_count > 1 OR c.notes LIKE '%other-merchant-than%'
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'outside-days' AS reason_code,
         CAST(0 AS BIGINT) AS stated, c.outside_count AS found, c.repeats_ref
  FROM chosen c
  WHERE c.outside_count > 0
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'overlapping' AS reason_code,
         CAST(0 AS BIGINT) AS stated, c.overlap_count AS found, c.repeats_ref
  FROM chosen c
  WHERE c.overlap_count > 0
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'repeated' AS reason_code,
         CAST(NULL AS BIGINT) AS stated, CAST(NULL AS BIGINT) AS found, c.repeats_ref
  FROM chosen c
  WHERE c.repeats_ref IS NOT NULL
  UNION ALL
  SELECT c.bill_ref, c.bill_on, c.platform, c.bill_kind, c.mch_id, 'lines-unclassified' AS reason_code,
         CAST(0 AS BIGINT) AS stated, l.unclassified_count AS found, c.repeats_ref
  FROM chosen c
  JOIN lines l ON l.bill_ref = c.bill_ref
  WHERE l.unclassified_count > 0
)
SELECT d.bill_ref AS finding_ref,
       d.reason_code AS finding_reason,
       d.bill_on AS finding_on,
       d.platform, d.bill_kind, d.mch_id, d.stated, d.found, CAST(NULL AS VARCHAR) AS repeats_ref
FROM differing d
UNION ALL
SELECT s.bill_ref AS finding_ref,
       s.reason_code AS finding_reason,
       s.bill_on AS finding_on,
       s.platform, s.bill_kind, s.mch_id, s.stated, s.found, s.repeats_ref
FROM seen s
ORDER BY finding_ref, finding_reason
