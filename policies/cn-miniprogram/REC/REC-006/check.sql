WITH charged AS (
  SELECT COALESCE(l.channel_trade_no, l.bill_ref || '/' || CAST(l.line_no AS VARCHAR)) AS trade_no, l.bill_on, l.platform,
         COALESCE(l.sub_mch_id, l.mch_id) AS mch_id, l.bill_ref, l.line_no, l.amount_fen, l.fee_e6,
         COALESCE(a.fee_rate, l.fee_rate) AS rate, l.fee_rate AS line_rate, a.fee_rate AS agreed_rate
  FROM bill_lines l
  LEFT JOIN mch_accounts a ON a.mch_id = COALESCE(l.sub_mch_id, l.mch_id)
  WHERE l.bill_kind = 'trade' AND COALESCE(l.state, 'SUCCESS') NOT IN ('REFUND', 'REVOKED')
    AND l.channel_refund_no IS NULL AND l.out_refund_no IS NULL
    AND l.fee_e6 IS NOT NULL AND l.amount_fen IS NOT NULL AND COALESCE(a.fee_rate, l.fee_rate) IS NOT NULL
    AND (l.bill_on IS NULL OR (l.bill_on >= $window_from_on AND l.bill_on < $window_to_on))
),
-- A fen of amount at rate 1 is 10000 millionths of a yuan; nothing is rounded, the tolerance takes the rounding.
hits AS (
  SELECT 'fee-differs' AS reason_code, trade_no, bill_on, platform, mch_id, bill_ref, line_no, amount_fen, fee_e6, rate, line_rate
  FROM charged
  WHERE ABS(CAST(fee_e6 AS DECIMAL(38,8)) - CAST(amount_fen AS DECIMAL(18,0)) * CAST(rate * 10000 AS DECIMAL(18,8)))
        > CAST($tol_fen AS DECIMAL(18,0)) * 10000
  UNION ALL
  SELECT 'rate-differs' AS reason_code, trade_no, bill_on, platform, mch_id, bill_ref, line_no, amount_fen, fee_e6, rate, line_rate
  FROM charged
  WHERE line_rate <> agreed_rate
),
ranked AS (
  SELECT reason_code, trade_no, bill_on, platform, mch_id, bill_ref, line_no, amount_fen, fee_e6, rate, line_rate,
         ROW_NUMBER() OVER (PARTITION BY trade_no, reason_code ORDER BY bill_ref, line_no) AS nth
  FROM hits
)
SELECT k.trade_no AS finding_ref,
       k.reason_code AS finding_reason,
       k.bill_on AS finding_on,
       k.platform, k.mch_id, k.bill_ref, k.line_no, k.amount_fen, k.fee_e6, k.rate, k.line_rate
FROM ranked k
WHERE k.nth = 1
ORDER BY finding_ref, finding_reason
