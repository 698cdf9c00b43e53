-- Reconciliation: every line of the platforms' trade bills, and every payment and refund of ours that belongs into one,
-- in exactly one row. A row of ours meets at most one line and a line at most one row of ours:
--   1. by the platform's own number of the trade or refund;
--   2. what is then left, by merchant number and our own number of the trade or refund.
-- Further rows with a number that was there before are numbered (repeat_no) and shown, never multiplied.
-- A row of ours without a line is judged only when bills exist for every day on which the platform may have booked it.
-- The text takes no parameter, so it gives the same rows for every period under audit.
WITH account AS (
  SELECT mch_id, MIN(provider_mch_id) AS provider_mch_id
  FROM mch_accounts
  WHERE provider_mch_id IS NOT NULL
  GROUP BY mch_id
),
file AS (
  SELECT bill_ref, MIN(mch_id) AS mch_id, MIN(bill_on) AS bill_on, MIN(bill_kind) AS bill_kind,
         MAX(CASE WHEN layout LIKE '%-success-%' THEN 1 ELSE 0 END) AS has_no_refunds,
         MAX(CASE WHEN stated_count <> row_count OR stated_total_fen <> total_fen OR stated_refund_fen <> refund_fen
                    OR stated_fee_e6 <> fee_e6 OR LOWER(TRIM(expected_digest)) <> LOWER(TRIM(actual_digest))
                    OR is_partial OR rejected_count > 0
                  THEN 1 ELSE 0 END) AS is_damaged,
         MAX(CASE WHEN is_partial OR rejected_count > 0 THEN 1 ELSE 0 END) AS is_incomplete
  FROM bills
  WHERE bill_kind IN ('trade', 'refund')
  GROUP BY bill_ref
),
-- Days for which a bill exists, per merchant number: the file's own, and those its lines name. A file that is cut off or
-- has lines nobody could read says nothing about what it does not list.
issued AS (
  SELECT mch_id, bill_on,
         MAX(has_payments) AS has_payments, MAX(has_refunds) AS has_refunds
  FROM (
    SELECT f.mch_id, f.bill_on,
           CASE WHEN f.bill_kind = 'trade' THEN 1 ELSE 0 END AS has_payments, 1 - f.has_no_refunds AS has_refunds
    FROM file f
    WHERE f.is_incomplete = 0
    UNION ALL
    SELECT l.mch_id, l.bill_on,
           CASE WHEN l.bill_kind = 'trade' THEN 1 ELSE 0 END AS has_payments,
           COALESCE(1 - f.has_no_refunds, 1) AS has_refunds
    FROM (
      SELECT bill_ref, bill_kind, mch_id, bill_on
      FROM bill_lines
      WHERE bill_kind IN ('trade', 'refund')
      GROUP BY bill_ref, bill_kind, mch_id, bill_on
    ) AS l
    LEFT JOIN file f ON f.bill_ref = l.bill_ref
    WHERE COALESCE(f.is_incomplete, 0) = 0
  ) AS named
  WHERE mch_id IS NOT NULL AND bill_on IS NOT NULL
  GROUP BY mch_id, bill_on
),
stepped AS (
  SELECT about, mch_id, bill_on,
         LAG(bill_on) OVER (PARTITION BY about, mch_id ORDER BY bill_on) AS previous_on
  FROM (
    SELECT 'payment' AS about, mch_id, bill_on FROM issued WHERE has_payments = 1
    UNION ALL
    SELECT 'refund' AS about, mch_id, bill_on FROM issued WHERE has_refunds = 1
  ) AS either
),
run AS (
  SELECT about, mch_id, bill_on,
         SUM(CAST(CASE WHEN bill_on = CAST(previous_on + INTERVAL '1' DAY AS DATE) THEN 0 ELSE 1 END AS DECIMAL(38,0)))
           OVER (PARTITION BY about, mch_id ORDER BY bill_on ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run_no
  FROM stepped
),
-- Each day with the last day that is reached from it without a missing bill.
covered AS (
  SELECT about, mch_id, bill_on,
         MAX(bill_on) OVER (PARTITION BY about, mch_id, run_no ORDER BY bill_on
                            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS until_on
  FROM run
),
printed AS (
  SELECT l.bill_ref, l.line_no, l.platform, COALESCE(l.mch_id, f.mch_id) AS mch_id,
         COALESCE(l.sub_mch_id, l.mch_id, f.mch_id) AS own_mch_id, l.bill_on, l.occurred_on, l.state, l.refund_state,
         l.order_fen, l.amount_fen, l.refund_fen, l.coupon_fen, l.currency,
         NULLIF(TRIM(l.out_trade_no), '') AS out_trade_no, NULLIF(TRIM(l.channel_trade_no), '') AS channel_trade_no,
         NULLIF(TRIM(l.out_refund_no), '') AS out_refund_no,
         NULLIF(TRIM(l.channel_refund_no), '') AS channel_refund_no,
         COALESCE(f.is_damaged, 0) AS is_damaged,
         CASE WHEN l.bill_kind = 'refund' OR l.state = 'REFUND' OR l.trade_kind IN ('退款', 'S30')
                OR NULLIF(TRIM(l.channel_refund_no), '') IS NOT NULL OR NULLIF(TRIM(l.out_refund_no), '') IS NOT NULL
              THEN 'refund' ELSE 'payment' END AS about,
         -- UnionPay's codes are translated; Alipay's own word stays where it is neither payment nor refund.
         CASE WHEN l.state = 'UNCLASSIFIED' OR (l.platform = 'alipay' AND l.state = l.trade_kind) THEN 1 ELSE 0 END AS is_unclassified
  FROM bill_lines l
  LEFT JOIN file f ON f.bill_ref = l.bill_ref
  WHERE l.bill_kind IN ('trade', 'refund')
),
keyed AS (
  SELECT p.bill_ref, p.line_no, p.platform, p.mch_id, p.own_mch_id, p.bill_on, p.occurred_on, p.about,
         p.out_trade_no, p.channel_trade_no, p.out_refund_no, p.channel_refund_no, p.currency, p.is_damaged, p.is_unclassified,
         CASE WHEN p.about = 'refund' THEN p.out_refund_no ELSE p.out_trade_no END AS out_no,
         CASE WHEN p.about = 'payment' AND p.state = 'REVOKED' THEN 1 ELSE 0 END AS is_revoked,
         CASE WHEN p.about = 'refund' THEN p.refund_fen ELSE COALESCE(p.order_fen, p.amount_fen) END AS platform_fen,
         CASE WHEN p.about = 'refund' THEN p.refund_fen + p.coupon_fen END AS whole_fen,
         -- Only WeChat prints refunds that are still under way; in the other bills a refund line is a finished refund.
         CASE WHEN p.is_unclassified = 1 THEN 'UNCLASSIFIED'
              WHEN p.about = 'payment' THEN 'SUCCESS'
              WHEN p.platform = 'wechat' THEN p.refund_state
              ELSE COALESCE(p.refund_state, 'SUCCESS') END AS platform_status,
         CASE WHEN p.about = 'refund' THEN COALESCE('n:' || p.channel_refund_no, 'o:' || p.mch_id || ':' || p.out_refund_no,
                                                    'l:' || p.bill_ref || '/' || CAST(p.line_no AS VARCHAR))
              ELSE COALESCE('n:' || p.channel_trade_no, 'o:' || p.mch_id || ':' || p.out_trade_no,
                            'l:' || p.bill_ref || '/' || CAST(p.line_no AS VARCHAR)) END AS first_key
  FROM printed p
),
-- A cancelled code payment stands twice in a WeChat bill, as SUCCESS and as REVOKED: the first line stands for both.
-- A line of unknown kind comes after all others of its number, so that it never takes a record from a line that is known.
theirs AS (
  SELECT k.bill_ref, k.line_no, k.platform, k.mch_id, k.own_mch_id, k.bill_on, k.occurred_on, k.about,
         k.out_trade_no, k.channel_trade_no, k.out_refund_no, k.channel_refund_no, k.currency, k.is_damaged, k.out_no,
         k.is_revoked, k.is_unclassified, k.platform_fen, k.whole_fen, k.platform_status, k.first_key,
         LEAD(k.is_revoked) OVER (PARTITION BY k.about, k.first_key
                                  ORDER BY k.is_revoked, k.is_unclassified, k.bill_on NULLS LAST, k.bill_ref, k.line_no) AS next_is_revoked,
         ROW_NUMBER() OVER (PARTITION BY k.about, k.first_key
                            ORDER BY k.is_revoked, k.is_unclassified, k.bill_on NULLS LAST, k.bill_ref, k.line_no) AS repeat_no
  FROM keyed k
),
-- Our payments, one row per flow through a platform; a payment without such a flow counts by itself.
tender AS (
  SELECT f.flow_ref, f.payment_ref, f.tender, f.amount_fen, f.status, f.succeeded_on, f.succeeded_at, f.submitted_on,
         NULLIF(TRIM(f.channel_trade_no), '') AS channel_no, NULLIF(TRIM(f.channel_mch_id), '') AS channel_mch_id
  FROM payment_flows f
  WHERE f.tender IN ('wechat', 'alipay', 'unionpay')
     OR (COALESCE(f.tender, 'other') IN ('bank_card', 'friend_pay', 'other') AND NULLIF(TRIM(f.channel_trade_no), '') IS NOT NULL)
),
paid AS (
  SELECT t.flow_ref, COALESCE(p.payment_ref, t.payment_ref) AS payment_ref, t.channel_no, p.currency,
         NULLIF(TRIM(p.out_trade_no), '') AS out_trade_no,
         COALESCE(CASE WHEN t.tender IN ('wechat', 'alipay', 'unionpay') THEN t.tender END, p.platform) AS platform,
         COALESCE(t.channel_mch_id, p.mch_id) AS asked_mch_id, COALESCE(p.mch_id, t.channel_mch_id) AS own_mch_id,
         CASE WHEN COALESCE(p.is_combined, FALSE) THEN COALESCE(t.amount_fen, p.amount_fen)
              ELSE COALESCE(p.amount_fen, t.amount_fen) END AS local_fen,
         CASE WHEN t.status IN ('failed', 'cancelled', 'closed') THEN t.status
              ELSE COALESCE(p.status, t.status) END AS local_status,
         CASE WHEN COALESCE(p.status, t.status) IN ('succeeded', 'refunded', 'partially_refunded')
               AND COALESCE(t.status, p.status) IN ('succeeded', 'refunded', 'partially_refunded')
              THEN 1 ELSE 0 END AS is_owed,
         COALESCE(t.succeeded_on, p.paid_on, t.submitted_on, p.created_on) AS local_on,
         SUBSTR(CAST(COALESCE(t.succeeded_at, p.paid_at) AS VARCHAR), 12, 5) AS clock_utc
  FROM payments p
  FULL JOIN tender t ON t.payment_ref = p.payment_ref
  WHERE t.flow_ref IS NOT NULL OR p.platform IN ('wechat', 'alipay', 'unionpay')
     OR (COALESCE(p.platform, 'mixed') = 'mixed' AND p.mch_id IS NOT NULL)
),
returned AS (
  SELECT r.refund_ref, r.amount_fen AS local_fen, r.status AS local_status, p.currency,
         NULLIF(TRIM(r.out_refund_no), '') AS out_refund_no, NULLIF(TRIM(r.channel_refund_no), '') AS channel_no,
         NULLIF(TRIM(p.out_trade_no), '') AS out_trade_no,
         COALESCE(r.platform, p.platform) AS platform, COALESCE(r.mch_id, p.mch_id) AS own_mch_id,
         CASE WHEN r.status = 'succeeded' AND COALESCE(r.route, 'unknown') IN ('original', 'unknown')
               AND (COALESCE(r.platform, p.platform) IN ('wechat', 'alipay', 'unionpay')
                    OR (COALESCE(r.platform, p.platform, 'mixed') = 'mixed' AND COALESCE(r.mch_id, p.mch_id) IS NOT NULL))
              THEN 1 ELSE 0 END AS is_owed,
         COALESCE(r.approved_on, r.requested_on, r.succeeded_on) AS from_on, r.succeeded_on,
         SUBSTR(CAST(r.succeeded_at AS VARCHAR), 12, 5) AS clock_utc
  FROM refunds r
  LEFT JOIN payments p ON p.payment_ref = r.payment_ref
  WHERE COALESCE(r.platform, p.platform, 'mixed') IN ('wechat', 'alipay', 'unionpay', 'mixed', 'other')
),
recorded AS (
  SELECT 'payment' AS about, y.payment_ref AS local_ref, y.flow_ref, y.platform, y.asked_mch_id, y.own_mch_id,
         y.channel_no, y.out_trade_no, CAST(NULL AS VARCHAR) AS out_refund_no, y.out_trade_no AS out_no, y.currency,
         y.local_fen, y.local_status, y.is_owed, y.local_on AS from_on,
         CASE WHEN y.is_owed = 1 THEN y.local_on END AS to_on, y.clock_utc,
         COALESCE('flow/' || y.flow_ref, 'payment/' || y.payment_ref) AS own_ref
  FROM paid y
  UNION ALL
  SELECT 'refund' AS about, z.refund_ref AS local_ref, CAST(NULL AS VARCHAR) AS flow_ref, z.platform,
         z.own_mch_id AS asked_mch_id, z.own_mch_id, z.channel_no, z.out_trade_no, z.out_refund_no,
         z.out_refund_no AS out_no, z.currency, z.local_fen, z.local_status, z.is_owed,
         CASE WHEN z.succeeded_on < z.from_on THEN z.succeeded_on ELSE z.from_on END AS from_on,
         z.succeeded_on AS to_on, z.clock_utc,
         'refund/' || z.refund_ref AS own_ref
  FROM returned z
),
-- UnionPay's day ends at about 23:00 in Beijing (15:00 UTC): what comes in from 22:45 on may stand in either day's bill.
ours AS (
  SELECT r.about, r.local_ref, r.flow_ref, r.platform, COALESCE(a.provider_mch_id, r.asked_mch_id) AS mch_id, r.own_mch_id,
         r.channel_no, r.out_trade_no, r.out_refund_no, r.out_no, r.currency, r.local_fen, r.local_status, r.is_owed,
         r.from_on, r.own_ref,
         CASE WHEN r.platform = 'unionpay' AND r.clock_utc >= '14:45' AND r.clock_utc <= '15:59'
              THEN CAST(r.to_on + INTERVAL '1' DAY AS DATE) ELSE r.to_on END AS to_on,
         COALESCE('n:' || r.channel_no, 'x:' || r.own_ref) AS first_key,
         ROW_NUMBER() OVER (PARTITION BY r.about, COALESCE('n:' || r.channel_no, 'x:' || r.own_ref)
                            ORDER BY r.is_owed DESC NULLS LAST, r.from_on NULLS LAST, r.own_ref) AS repeat_no
  FROM recorded r
  LEFT JOIN account a ON a.mch_id = r.asked_mch_id
),
first_pass AS (
  SELECT COALESCE(t.about, o.about) AS about, COALESCE(t.repeat_no, o.repeat_no) AS repeat_no,
         CASE WHEN o.own_ref IS NULL THEN 0 WHEN t.bill_ref IS NULL THEN 1 ELSE 2 END AS side,
         t.bill_ref, t.line_no, t.platform AS bill_platform, t.mch_id AS bill_mch_id, t.own_mch_id AS bill_own_mch_id,
         t.bill_on, t.occurred_on, t.out_trade_no AS bill_out_trade_no, t.channel_trade_no, t.channel_refund_no,
         t.out_refund_no AS bill_out_refund_no, t.out_no AS bill_out_no, t.currency AS platform_currency, t.is_damaged,
         t.platform_fen, t.whole_fen, t.is_revoked, t.is_unclassified,
         CASE WHEN t.is_revoked = 1 OR t.next_is_revoked = 1 THEN 'REVOKED' ELSE t.platform_status END AS platform_status,
         o.own_ref, o.local_ref, o.flow_ref, o.platform AS local_platform, o.mch_id AS local_mch_id,
         o.own_mch_id AS local_own_mch_id, o.channel_no, o.out_no AS local_out_no, o.out_trade_no AS local_out_trade_no,
         o.out_refund_no AS local_out_refund_no, o.currency AS local_currency, o.local_fen, o.local_status, o.is_owed,
         o.from_on, o.to_on
  FROM theirs t
  FULL JOIN ours o ON o.about = t.about AND o.first_key = t.first_key AND o.repeat_no = t.repeat_no
),
-- The second pass: among lines and rows that are left, the first line of a number takes our first row of it, and so on.
left_line AS (
  SELECT f.about, f.bill_mch_id AS mch_id, f.bill_out_no AS out_no, f.bill_ref, f.line_no,
         ROW_NUMBER() OVER (PARTITION BY f.about, f.bill_mch_id, f.bill_out_no
                            ORDER BY f.is_unclassified, f.platform_fen NULLS LAST, f.bill_ref, f.line_no) AS turn
  FROM first_pass f
  WHERE f.side = 0 AND f.repeat_no = 1 AND f.bill_mch_id IS NOT NULL AND f.bill_out_no IS NOT NULL
),
sought AS (
  SELECT about, mch_id, out_no
  FROM left_line
  GROUP BY about, mch_id, out_no
),
left_row AS (
  SELECT f.about, s.mch_id, s.out_no, f.own_ref,
         ROW_NUMBER() OVER (PARTITION BY f.about, s.mch_id, s.out_no
                            ORDER BY f.is_owed DESC NULLS LAST, f.local_fen NULLS LAST, f.own_ref) AS turn
  FROM first_pass f
  JOIN sought s ON s.about = f.about AND s.mch_id = f.local_mch_id AND s.out_no = f.local_out_no
  WHERE f.side = 1
),
taken AS (
  SELECT l.bill_ref, l.line_no, o.own_ref, o.local_ref, o.flow_ref, o.local_own_mch_id, o.local_currency, o.local_fen,
         o.local_status, o.from_on, o.to_on
  FROM left_line l
  JOIN left_row r ON r.about = l.about AND r.mch_id = l.mch_id AND r.out_no = l.out_no AND r.turn = l.turn
  JOIN first_pass o ON o.own_ref = r.own_ref AND o.side = 1
),
-- Lines that the first pass left, with the row of ours that the second pass gave them.
line_item AS (
  SELECT f.about, f.repeat_no, f.bill_ref, f.line_no, f.bill_platform AS platform, f.bill_mch_id AS mch_id,
         COALESCE(CASE WHEN f.bill_own_mch_id <> f.bill_mch_id THEN f.bill_own_mch_id END, t.local_own_mch_id,
                  f.bill_own_mch_id) AS own_mch_id,
         f.bill_on, f.occurred_on, f.bill_out_trade_no AS out_trade_no, f.bill_out_refund_no AS out_refund_no,
         f.channel_trade_no, f.channel_refund_no, f.platform_currency, f.is_damaged, f.platform_fen, f.whole_fen,
         f.is_revoked, f.is_unclassified, f.platform_status, CASE WHEN t.own_ref IS NOT NULL THEN 'out_no' END AS matched_by,
         0 AS is_covered, t.own_ref, t.local_ref, t.flow_ref, t.local_currency, t.local_fen, t.local_status, t.from_on,
         t.to_on
  FROM first_pass f
  LEFT JOIN taken t ON t.bill_ref = f.bill_ref AND t.line_no = f.line_no
  WHERE f.side = 0
),
-- What no line took is an item if a bill should hold it: not an attempt that failed, not a refund by another way.
row_item AS (
  SELECT f.about, f.repeat_no, CAST(NULL AS VARCHAR) AS bill_ref, CAST(NULL AS BIGINT) AS line_no,
         f.local_platform AS platform, f.local_mch_id AS mch_id, f.local_own_mch_id AS own_mch_id,
         CAST(NULL AS DATE) AS bill_on, CAST(NULL AS DATE) AS occurred_on, f.local_out_trade_no AS out_trade_no,
         f.local_out_refund_no AS out_refund_no, CASE WHEN f.about = 'payment' THEN f.channel_no END AS channel_trade_no,
         CASE WHEN f.about = 'refund' THEN f.channel_no END AS channel_refund_no,
         CAST(NULL AS VARCHAR) AS platform_currency, 0 AS is_damaged, CAST(NULL AS BIGINT) AS platform_fen,
         CAST(NULL AS BIGINT) AS whole_fen, 0 AS is_revoked, 0 AS is_unclassified, CAST(NULL AS VARCHAR) AS platform_status,
         CAST(NULL AS VARCHAR) AS matched_by,
         CASE WHEN c.until_on >= COALESCE(f.to_on, f.from_on) THEN 1 ELSE 0 END AS is_covered,
         f.own_ref, f.local_ref, f.flow_ref, f.local_currency, f.local_fen, f.local_status, f.from_on, f.to_on
  FROM first_pass f
  LEFT JOIN taken t ON t.own_ref = f.own_ref
  LEFT JOIN covered c ON c.about = f.about AND c.mch_id = f.local_mch_id AND c.bill_on = f.from_on
  WHERE f.side = 1 AND f.is_owed = 1 AND t.own_ref IS NULL
),
met AS (
  SELECT f.about, f.repeat_no, f.bill_ref, f.line_no, f.bill_platform AS platform, f.bill_mch_id AS mch_id,
         COALESCE(CASE WHEN f.bill_own_mch_id <> f.bill_mch_id THEN f.bill_own_mch_id END, f.local_own_mch_id,
                  f.bill_own_mch_id) AS own_mch_id,
         f.bill_on, f.occurred_on, COALESCE(f.bill_out_trade_no, f.local_out_trade_no) AS out_trade_no,
         COALESCE(f.bill_out_refund_no, f.local_out_refund_no) AS out_refund_no, f.channel_trade_no, f.channel_refund_no,
         f.platform_currency, f.is_damaged, f.platform_fen, f.whole_fen, f.is_revoked, f.is_unclassified, f.platform_status,
         'channel_no' AS matched_by, 0 AS is_covered, f.own_ref, f.local_ref, f.flow_ref, f.local_currency, f.local_fen,
         f.local_status, f.from_on, f.to_on
  FROM first_pass f
  WHERE f.side = 2
  UNION ALL
  SELECT x.about, x.repeat_no, x.bill_ref, x.line_no, x.platform, x.mch_id, x.own_mch_id, x.bill_on, x.occurred_on,
         x.out_trade_no, x.out_refund_no, x.channel_trade_no, x.channel_refund_no, x.platform_currency, x.is_damaged,
         x.platform_fen, x.whole_fen, x.is_revoked, x.is_unclassified, x.platform_status, x.matched_by, x.is_covered, x.own_ref,
         x.local_ref, x.flow_ref, x.local_currency, x.local_fen, x.local_status, x.from_on, x.to_on
  FROM line_item x
  UNION ALL
  SELECT y.about, y.repeat_no, y.bill_ref, y.line_no, y.platform, y.mch_id, y.own_mch_id, y.bill_on, y.occurred_on,
         y.out_trade_no, y.out_refund_no, y.channel_trade_no, y.channel_refund_no, y.platform_currency, y.is_damaged,
         y.platform_fen, y.whole_fen, y.is_revoked, y.is_unclassified, y.platform_status, y.matched_by, y.is_covered, y.own_ref,
         y.local_ref, y.flow_ref, y.local_currency, y.local_fen, y.local_status, y.from_on, y.to_on
  FROM row_item y
),
compared AS (
  SELECT m.about, m.repeat_no, m.bill_ref, m.line_no, m.platform, m.mch_id, m.own_mch_id, m.bill_on, m.occurred_on,
         m.out_trade_no, m.out_refund_no, m.channel_trade_no, m.channel_refund_no, m.platform_currency, m.is_damaged,
         m.platform_status, m.is_revoked, m.is_unclassified, m.matched_by, m.is_covered, m.own_ref, m.local_ref, m.flow_ref,
         m.local_currency, m.local_fen, m.local_status, m.from_on,
         CASE WHEN m.whole_fen = m.local_fen THEN m.whole_fen ELSE m.platform_fen END AS platform_fen,
         CASE WHEN m.bill_ref IS NULL THEN 1 WHEN m.own_ref IS NULL THEN 0 ELSE 2 END AS side,
         CASE WHEN m.bill_ref IS NULL OR m.own_ref IS NULL THEN FALSE
              ELSE UPPER(TRIM(COALESCE(m.local_currency, 'CNY'))) <> UPPER(TRIM(COALESCE(m.platform_currency, 'CNY')))
         END AS is_currency_different,
         CASE WHEN m.bill_ref IS NULL OR m.own_ref IS NULL OR m.platform_status = 'REVOKED' THEN FALSE
              WHEN m.local_fen IS NULL OR m.platform_fen IS NULL THEN TRUE
              ELSE m.local_fen <> m.platform_fen AND COALESCE(m.local_fen <> m.whole_fen, TRUE)
         END AS is_amount_different,
         CASE WHEN m.bill_ref IS NULL OR m.own_ref IS NULL OR m.is_unclassified = 1 THEN FALSE
              WHEN m.about = 'payment' AND m.platform_status = 'REVOKED'
              THEN COALESCE(m.local_status, 'unknown') IN ('succeeded', 'unknown')
              WHEN m.about = 'payment'
              THEN NOT COALESCE(m.local_status, 'unknown') IN ('succeeded', 'refunded', 'partially_refunded')
              WHEN m.platform_status = 'SUCCESS' THEN COALESCE(m.local_status, 'unknown') <> 'succeeded'
              WHEN m.platform_status IN ('FAIL', 'CLOSED', 'ABNORMAL', 'CHANGE') THEN COALESCE(m.local_status, 'unknown') = 'succeeded'
              ELSE FALSE END AS is_status_different,
         CASE WHEN m.bill_ref IS NULL OR m.own_ref IS NULL THEN FALSE
              ELSE COALESCE(m.bill_on < m.from_on, FALSE) OR COALESCE(m.bill_on > m.to_on, FALSE)
         END AS is_day_shifted
  FROM met m
)
SELECT COALESCE('bill/' || i.bill_ref || '/' || CAST(i.line_no AS VARCHAR), i.own_ref) AS item_ref,
       COALESCE(i.bill_on, i.occurred_on, i.from_on) AS recon_on,
       CASE WHEN i.side = 0 AND i.is_unclassified = 1 THEN 'unclassified'
            WHEN i.repeat_no > 1 AND i.is_revoked = 0 THEN 'repeated'
            WHEN i.side = 0 AND i.platform_status = 'REVOKED' THEN 'not_compared'
            WHEN i.side = 0 THEN 'missing_local'
            WHEN i.side = 1 AND i.is_covered = 0 THEN 'not_compared'
            WHEN i.side = 1 THEN 'missing_platform'
            WHEN i.is_currency_different THEN 'currency'
            WHEN i.is_amount_different THEN 'amount'
            WHEN i.is_status_different THEN 'status'
            WHEN i.is_day_shifted THEN 'day_shift'
            WHEN i.is_unclassified = 1 THEN 'unclassified'
            ELSE 'matched' END AS kind,
       i.about, i.platform, i.mch_id, i.own_mch_id, i.local_ref, i.flow_ref, i.bill_ref, i.line_no, i.bill_on,
       i.from_on AS local_on, i.local_fen, i.platform_fen, i.platform_fen - i.local_fen AS difference_fen,
       i.local_status, i.platform_status, i.local_currency, i.platform_currency, i.out_trade_no, i.out_refund_no,
       i.channel_trade_no, i.channel_refund_no,
       i.matched_by, CAST(i.repeat_no AS BIGINT) AS repeat_no, i.is_currency_different, i.is_amount_different, i.is_status_different, i.is_day_shifted,
       i.is_damaged = 1 AS is_bill_damaged
FROM compared i
