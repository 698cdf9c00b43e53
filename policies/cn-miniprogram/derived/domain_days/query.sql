-- Daily totals of two domains that record the same money: orders and payments, payments and their tenders, payments and
-- the ledger. Where all three pairs agree, any two of the four domains do.
--   1. A record counts on the day of the payment it belongs to, whatever its own time, so midnight parts nobody.
--   2. A domain is compared only where it is kept, and from the day on which it is: a system that keeps no tenders of
--      cash has not lost them.
--   3. A record that stands alone counts only where its counterpart would have been loaded.
-- The text takes no parameter, so it gives the same rows for every period under audit.
WITH part AS (
  SELECT order_ref, MIN(parent_order_ref) AS parent_ref
  FROM trade_orders
  WHERE parent_order_ref IS NOT NULL
  GROUP BY order_ref
),
-- What succeeded by tender. Coupons and points are no money and may or may not be part of a payment's amount.
flow AS (
  SELECT f.payment_ref, MIN(COALESCE(f.tender, 'unknown')) AS first_tender, MAX(COALESCE(f.tender, 'unknown')) AS last_tender,
         MIN(f.channel_mch_id) AS mch_id, MIN(COALESCE(f.succeeded_on, f.submitted_on)) AS day_on,
         MIN(COALESCE(f.submitted_on, f.succeeded_on)) AS begun_on,
         SUM(CAST(COALESCE(f.amount_fen, 0) AS DECIMAL(38,0))) AS amount,
         SUM(CASE WHEN f.tender IN ('coupon', 'points') THEN CAST(0 AS DECIMAL(38,0))
                  ELSE CAST(COALESCE(f.amount_fen, 0) AS DECIMAL(38,0)) END) AS money_amount,
         SUM(CASE WHEN f.tender IN ('wechat', 'alipay', 'unionpay', 'bank_card', 'friend_pay')
                  THEN CAST(COALESCE(f.amount_fen, 0) AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS channel_amount,
         SUM(CASE WHEN f.status = 'refunded' THEN CAST(0 AS DECIMAL(38,0))
                  ELSE CAST(COALESCE(f.amount_fen, 0) AS DECIMAL(38,0)) END) AS held_amount
  FROM payment_flows f
  WHERE f.status IN ('succeeded', 'refunded', 'partially_refunded') AND f.payment_ref IS NOT NULL
  GROUP BY f.payment_ref
),
payment AS (
  SELECT p.payment_ref, p.out_trade_no, p.merchant_ref, COALESCE(s.parent_ref, p.order_ref) AS sale_ref,
         COALESCE('o:' || COALESCE(s.parent_ref, p.order_ref), 'p:' || p.payment_ref) AS unit_ref,
         COALESCE(p.mch_id, '-') AS mch_id, COALESCE(p.platform, 'unknown') AS platform,
         UPPER(TRIM(COALESCE(p.currency, 'CNY'))) AS currency_code,
         COALESCE(p.paid_on, p.created_on) AS day_on, COALESCE(p.created_on, p.paid_on) AS begun_on,
         CASE WHEN p.status IN ('succeeded', 'refunded', 'partially_refunded') THEN 1 ELSE 0 END AS is_paid,
         CASE WHEN p.status IN ('succeeded', 'refunded', 'partially_refunded')
              THEN CAST(COALESCE(p.amount_fen, 0) AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END AS amount,
         CASE WHEN p.status IN ('succeeded', 'refunded', 'partially_refunded')
              THEN CAST(COALESCE(p.fee_fen, 0) AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END AS fee_amount,
         CASE WHEN COALESCE(p.is_combined, f.first_tender <> f.last_tender, FALSE) OR p.platform = 'mixed' THEN 1 ELSE 0 END AS is_combined,
         f.payment_ref AS flow_of, COALESCE(f.amount, CAST(0 AS DECIMAL(38,0))) AS flow_amount,
         COALESCE(f.money_amount, CAST(0 AS DECIMAL(38,0))) AS money_amount,
         COALESCE(f.channel_amount, CAST(0 AS DECIMAL(38,0))) AS channel_amount,
         COALESCE(f.held_amount, CAST(0 AS DECIMAL(38,0))) AS held_amount
  FROM payments p
  LEFT JOIN part s ON s.order_ref = p.order_ref
  LEFT JOIN flow f ON f.payment_ref = p.payment_ref
),
first_day AS (
  SELECT MIN(begun_on) AS payments_from_on
  FROM payment
),
-- Orders and payments -----------------------------------------------------------------------------------------------
ordered AS (
  SELECT COALESCE(parent_order_ref, order_ref) AS sale_ref, order_ref, order_no, merchant_ref, kind, source, status, payable_fen,
         paid_fen, currency, created_on, paid_on
  FROM trade_orders
),
sale AS (
  SELECT o.sale_ref, MIN(o.merchant_ref) AS merchant_ref,
         MIN(COALESCE(o.kind, '-') || '/' || COALESCE(o.source, '-')) AS sort_code,
         MIN(COALESCE(o.paid_on, o.created_on)) AS day_on, MIN(COALESCE(o.created_on, o.paid_on)) AS begun_on,
         MIN(UPPER(TRIM(COALESCE(o.currency, 'CNY')))) AS currency_code,
         MAX(CASE WHEN o.status IN ('cancelled_unpaid', 'closed', 'invalid') THEN 1 ELSE 0 END) AS is_closed,
         SUM(CAST(COALESCE(o.paid_fen, 0) AS DECIMAL(38,0))) AS amount,
         SUM(CAST(COALESCE(o.payable_fen, 0) AS DECIMAL(38,0))) AS due_amount
  FROM ordered o
  GROUP BY o.sale_ref
),
received AS (
  SELECT p.sale_ref, MIN(p.merchant_ref) AS merchant_ref, MIN(p.day_on) AS day_on, MIN(p.begun_on) AS begun_on,
         MIN(p.currency_code) AS currency_code, MAX(p.currency_code) AS last_currency_code,
         COUNT(p.payment_ref) AS payment_count, SUM(CAST(p.amount AS DECIMAL(38,0))) AS amount,
         MAX(CASE WHEN p.platform IN ('balance', 'cash', 'mixed', 'other') THEN 1 ELSE 0 END) AS has_own_ways
  FROM payment p
  WHERE p.is_paid = 1 AND p.sale_ref IS NOT NULL
  GROUP BY p.sale_ref
),
sold AS (
  SELECT COALESCE(o.sale_ref, r.sale_ref) AS first_ref, COALESCE(o.merchant_ref, r.merchant_ref, '-') AS merchant_ref,
         COALESCE(r.currency_code, o.currency_code) AS currency_code, COALESCE(r.day_on, o.day_on) AS day_on,
         CASE WHEN r.sale_ref IS NULL THEN o.begun_on ELSE r.begun_on END AS begun_on, o.begun_on AS ordered_on, o.sort_code,
         COALESCE(r.has_own_ways, 0) AS has_own_ways,
         CASE WHEN o.sale_ref IS NULL THEN 'no-order' WHEN r.sale_ref IS NULL THEN 'no-payment' ELSE 'both' END AS side_code,
         COALESCE(o.amount, CAST(0 AS DECIMAL(38,0))) AS left_amount,
         -- What came in beyond the price is TXN-001's matter.
         CASE WHEN r.payment_count > 1 AND o.amount > CAST(0 AS DECIMAL(38,0)) AND r.amount > o.amount
              THEN COALESCE(o.amount, CAST(0 AS DECIMAL(38,0)))
              ELSE COALESCE(r.amount, CAST(0 AS DECIMAL(38,0))) END AS right_amount
  FROM sale o
  FULL JOIN received r ON r.sale_ref = o.sale_ref
  -- Payments of closed orders are TXN-003's; an order that is paid in parts may say so only when all are there.
  WHERE COALESCE(o.is_closed, 0) = 0
    AND NOT (COALESCE(o.amount = CAST(0 AS DECIMAL(38,0)), FALSE) AND COALESCE(r.amount < o.due_amount, FALSE))
    AND COALESCE(r.currency_code = r.last_currency_code, TRUE)
    AND COALESCE(r.currency_code = o.currency_code, TRUE)
),
orders_kept AS (
  SELECT MIN(ordered_on) AS orders_from_on, MAX(has_own_ways) AS has_own_ways
  FROM sold
  WHERE side_code = 'both'
),
-- An order without payment may have been paid in a way that leaves none; so it counts only where payments by other ways
-- than the platforms are kept, and orders of its sort have payments.
sort_kept AS (
  SELECT sort_code, MIN(day_on) AS from_on
  FROM sold
  WHERE side_code = 'both'
  GROUP BY sort_code
),
order_day AS (
  SELECT s.merchant_ref, s.currency_code, s.day_on, COUNT(s.first_ref) AS item_count,
         SUM(CAST(s.left_amount AS DECIMAL(38,0))) AS left_amount, SUM(CAST(s.right_amount AS DECIMAL(38,0))) AS right_amount,
         COUNT(CASE WHEN s.left_amount <> s.right_amount THEN s.first_ref END) AS differing_count,
         MIN(CASE WHEN s.left_amount <> s.right_amount THEN s.first_ref END) AS first_ref
  FROM sold s
  CROSS JOIN orders_kept w
  CROSS JOIN first_day d
  LEFT JOIN sort_kept k ON k.sort_code = s.sort_code
  WHERE s.side_code = 'both'
     OR (s.side_code = 'no-order' AND s.begun_on > w.orders_from_on)
     OR (s.side_code = 'no-payment' AND w.has_own_ways = 1 AND s.day_on >= k.from_on AND s.begun_on >= d.payments_from_on)
  GROUP BY s.merchant_ref, s.currency_code, s.day_on
),
-- Payments and their tenders ----------------------------------------------------------------------------------------
flow_kept AS (
  SELECT platform, mch_id, MIN(day_on) AS from_on
  FROM payment
  WHERE is_paid = 1 AND flow_of IS NOT NULL
  GROUP BY platform, mch_id
),
platform_kept AS (
  SELECT platform
  FROM flow_kept
  GROUP BY platform
),
flow_day AS (
  SELECT q.platform, q.mch_id, q.currency_code, q.day_on, COUNT(q.first_ref) AS item_count,
         SUM(CAST(q.left_amount AS DECIMAL(38,0))) AS left_amount, SUM(CAST(q.right_amount AS DECIMAL(38,0))) AS right_amount,
         COUNT(CASE WHEN q.left_amount <> q.right_amount THEN q.first_ref END) AS differing_count,
         MIN(CASE WHEN q.left_amount <> q.right_amount THEN q.first_ref END) AS first_ref
  FROM (
    SELECT p.payment_ref AS first_ref, p.platform, p.mch_id, p.currency_code, p.day_on, p.amount AS left_amount,
           CASE WHEN p.is_paid = 0 THEN p.held_amount
                WHEN p.amount = p.flow_amount OR p.amount = p.money_amount THEN p.amount
                ELSE p.flow_amount END AS right_amount
    FROM payment p
    JOIN flow_kept k ON k.platform = p.platform AND k.mch_id = p.mch_id
    WHERE p.is_combined = 0 AND p.day_on >= k.from_on AND (p.is_paid = 1 OR p.held_amount > CAST(0 AS DECIMAL(38,0)))
    UNION ALL
    SELECT f.payment_ref AS first_ref, f.first_tender AS platform, COALESCE(f.mch_id, '-') AS mch_id, 'CNY' AS currency_code,
           f.day_on, CAST(0 AS DECIMAL(38,0)) AS left_amount, f.held_amount AS right_amount
    FROM flow f
    JOIN platform_kept k ON k.platform = f.first_tender
    CROSS JOIN first_day d
    LEFT JOIN payments p ON p.payment_ref = f.payment_ref
    WHERE p.payment_ref IS NULL AND f.begun_on > d.payments_from_on
  ) AS q
  GROUP BY q.platform, q.mch_id, q.currency_code, q.day_on
),
-- Payments and the ledger -------------------------------------------------------------------------------------------
-- A payment may be booked on several accounts, in full, without coupons, or less the fee; any of these agrees.
booking AS (
  SELECT l.about_kind, l.about_ref, MIN(COALESCE(l.platform, 'unknown')) AS platform,
         MIN(COALESCE(l.mch_id, '-')) AS mch_id, MIN(l.booked_on) AS day_on,
         SUM(CASE WHEN l.signed_fen > 0 THEN CAST(l.signed_fen AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS credit,
         SUM(CASE WHEN l.account_kind IN ('customer_balance', 'gift_card_liability')
                  THEN CAST(0 AS DECIMAL(38,0)) - CAST(l.signed_fen AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS spent,
         SUM(CAST(l.signed_fen AS DECIMAL(38,0))) AS net
  FROM fund_flows l
  WHERE l.kind = 'payment' AND l.signed_fen IS NOT NULL
  GROUP BY l.about_kind, l.about_ref, l.account_ref
),
unit AS (
  SELECT p.unit_ref, MIN(p.payment_ref) AS first_ref,
         MIN(p.platform) AS platform, MAX(p.platform) AS last_platform, MIN(p.mch_id) AS mch_id,
         MIN(p.currency_code) AS currency_code, MIN(p.day_on) AS day_on, MAX(p.is_paid) AS is_paid,
         SUM(CAST(p.amount AS DECIMAL(38,0))) AS amount, SUM(CAST(p.fee_amount AS DECIMAL(38,0))) AS fee_amount,
         SUM(CASE WHEN p.is_paid = 1 AND p.is_combined = 1 AND p.channel_amount > CAST(0 AS DECIMAL(38,0)) THEN p.channel_amount
                  ELSE p.amount END) AS channel_amount
  FROM payment p
  GROUP BY p.unit_ref
),
-- What a booking is about, by any of the numbers; a number that several orders bear says nothing.
meant AS (
  SELECT b.about_kind, b.about_ref, p.unit_ref
  FROM booking b
  JOIN payment p ON p.payment_ref = b.about_ref
  WHERE b.about_kind = 'payment'
  UNION ALL
  SELECT b.about_kind, b.about_ref, p.unit_ref
  FROM booking b
  JOIN payment p ON p.out_trade_no = b.about_ref
  WHERE b.about_kind IN ('payment', 'order')
  UNION ALL
  SELECT b.about_kind, b.about_ref, 'o:' || o.sale_ref AS unit_ref
  FROM booking b
  JOIN ordered o ON o.order_ref = b.about_ref
  WHERE b.about_kind = 'order'
  UNION ALL
  SELECT b.about_kind, b.about_ref, 'o:' || o.sale_ref AS unit_ref
  FROM booking b
  JOIN ordered o ON o.order_no = b.about_ref
  WHERE b.about_kind = 'order'
),
resolved AS (
  SELECT about_kind, about_ref, MIN(unit_ref) AS unit_ref, MAX(unit_ref) AS last_unit_ref
  FROM meant
  GROUP BY about_kind, about_ref
),
unclear AS (
  SELECT unit_ref
  FROM (
    SELECT r.unit_ref FROM resolved r WHERE r.unit_ref <> r.last_unit_ref
    UNION ALL
    SELECT r.last_unit_ref AS unit_ref FROM resolved r WHERE r.unit_ref <> r.last_unit_ref
  ) AS either
  GROUP BY unit_ref
),
entry AS (
  SELECT r.unit_ref, b.credit, b.spent, b.net
  FROM booking b
  JOIN resolved r ON r.about_kind = b.about_kind AND r.about_ref = b.about_ref
  WHERE r.unit_ref = r.last_unit_ref
),
booked AS (
  SELECT e.unit_ref, SUM(CAST(e.credit AS DECIMAL(38,0))) AS credit, MAX(e.credit) AS most_credit, MAX(e.spent) AS most_spent,
         MAX(e.net) AS most_net,
         MAX(CASE WHEN e.credit IN (u.amount, u.channel_amount, u.amount - u.fee_amount, u.channel_amount - u.fee_amount)
                    OR e.spent IN (u.amount, u.channel_amount) THEN 1 ELSE 0 END) AS has_equal
  FROM entry e
  JOIN unit u ON u.unit_ref = e.unit_ref
  GROUP BY e.unit_ref
),
ledger_kept AS (
  SELECT u.platform, u.mch_id, MIN(u.day_on) AS from_on
  FROM booked b
  JOIN unit u ON u.unit_ref = b.unit_ref
  WHERE u.is_paid = 1
  GROUP BY u.platform, u.mch_id
),
-- Merchant numbers that also book payments in totals, which name nothing, cannot be compared.
in_totals AS (
  SELECT mch_id
  FROM booking
  WHERE (about_ref IS NULL OR about_kind IS NULL OR about_kind NOT IN ('payment', 'order')) AND credit > CAST(0 AS DECIMAL(38,0))
  GROUP BY mch_id
),
against AS (
  SELECT u.first_ref, u.platform, u.mch_id, u.currency_code, u.day_on, u.amount AS left_amount,
         CASE WHEN u.is_paid = 0 THEN b.most_net
              WHEN b.unit_ref IS NULL THEN CAST(0 AS DECIMAL(38,0))
              WHEN b.has_equal = 1 OR b.credit IN (u.amount, u.channel_amount, u.amount - u.fee_amount, u.channel_amount - u.fee_amount)
              THEN u.amount
              WHEN b.most_credit > CAST(0 AS DECIMAL(38,0)) THEN b.most_credit
              ELSE b.most_spent END AS right_amount
  FROM unit u
  JOIN ledger_kept k ON k.platform = u.platform AND k.mch_id = u.mch_id
  LEFT JOIN booked b ON b.unit_ref = u.unit_ref
  LEFT JOIN unclear x ON x.unit_ref = u.unit_ref
  WHERE x.unit_ref IS NULL AND u.platform = u.last_platform AND u.day_on >= k.from_on
    AND (u.is_paid = 1 OR b.most_net > CAST(0 AS DECIMAL(38,0)))
),
-- Bookings about payments and orders that nobody has.
stray AS (
  SELECT b.about_ref AS first_ref, b.platform, b.mch_id, 'CNY' AS currency_code, b.day_on,
         CAST(0 AS DECIMAL(38,0)) AS left_amount, b.net AS right_amount
  FROM booking b
  JOIN ledger_kept k ON k.platform = b.platform AND k.mch_id = b.mch_id
  CROSS JOIN first_day d
  LEFT JOIN resolved r ON r.about_kind = b.about_kind AND r.about_ref = b.about_ref
  WHERE r.about_ref IS NULL AND b.about_ref IS NOT NULL AND b.about_kind IN ('payment', 'order')
    AND b.net > CAST(0 AS DECIMAL(38,0))
    AND b.day_on > CAST(d.payments_from_on + INTERVAL '7' DAY AS DATE)
),
ledger_day AS (
  SELECT q.platform, q.mch_id, q.currency_code, q.day_on, COUNT(q.first_ref) AS item_count,
         SUM(CAST(q.left_amount AS DECIMAL(38,0))) AS left_amount, SUM(CAST(q.right_amount AS DECIMAL(38,0))) AS right_amount,
         COUNT(CASE WHEN q.left_amount <> q.right_amount THEN q.first_ref END) AS differing_count,
         MIN(CASE WHEN q.left_amount <> q.right_amount THEN q.first_ref END) AS first_ref
  FROM (
    SELECT a.first_ref, a.platform, a.mch_id, a.currency_code, a.day_on, a.left_amount, a.right_amount
    FROM against a
    UNION ALL
    SELECT s.first_ref, s.platform, s.mch_id, s.currency_code, s.day_on, s.left_amount, s.right_amount
    FROM stray s
  ) AS q
  LEFT JOIN in_totals t ON t.mch_id = q.mch_id
  WHERE t.mch_id IS NULL
  GROUP BY q.platform, q.mch_id, q.currency_code, q.day_on
),
total AS (
  SELECT 'orders_payments' AS kind, o.merchant_ref AS owner_ref, o.merchant_ref, CAST(NULL AS VARCHAR) AS platform,
         CAST(NULL AS VARCHAR) AS mch_id, o.currency_code, o.day_on, o.item_count, o.left_amount, o.right_amount, o.differing_count,
         o.first_ref
  FROM order_day o
  UNION ALL
  SELECT 'payments_flows' AS kind, f.platform || '/' || f.mch_id AS owner_ref, CAST(NULL AS VARCHAR) AS merchant_ref, f.platform,
         f.mch_id, f.currency_code, f.day_on, f.item_count, f.left_amount, f.right_amount, f.differing_count, f.first_ref
  FROM flow_day f
  UNION ALL
  SELECT 'payments_ledger' AS kind, g.platform || '/' || g.mch_id AS owner_ref, CAST(NULL AS VARCHAR) AS merchant_ref, g.platform,
         g.mch_id, g.currency_code, g.day_on, g.item_count, g.left_amount, g.right_amount, g.differing_count, g.first_ref
  FROM ledger_day g
)
SELECT t.kind || '/' || t.owner_ref || '/' || CAST(t.day_on AS VARCHAR)
         || CASE WHEN t.currency_code = 'CNY' THEN '' ELSE '/' || t.currency_code END AS total_ref,
       t.kind, t.day_on, t.merchant_ref, t.platform, t.mch_id, t.currency_code AS currency, t.item_count,
       CAST(t.left_amount AS BIGINT) AS left_fen, CAST(t.right_amount AS BIGINT) AS right_fen,
       t.differing_count, t.first_ref
FROM total t
WHERE t.day_on IS NOT NULL
