-- Per order: what its invoices say after red ones, against what the customer paid and did not get back.
WITH named AS (
  SELECT i.invoice_ref, i.order_ref, NULLIF(TRIM(i.invoice_no), '') AS invoice_no, i.status, i.issued_on, i.reverses_ref,
         CASE WHEN i.reverses_ref IS NOT NULL OR i.amount_fen < 0 THEN 1 ELSE 0 END AS is_red,
         ABS(CAST(COALESCE(i.amount_fen, 0) AS DECIMAL(38,0))) AS amount
  FROM invoices i
  WHERE i.status IN ('issued', 'red_issued')
),
-- A red invoice may name only the invoice it takes back.
invoice AS (
  SELECT n.invoice_ref, COALESCE(n.order_ref, b.order_ref) AS order_ref, n.invoice_no, n.status, n.issued_on, n.is_red, n.amount
  FROM named n
  LEFT JOIN named b ON b.invoice_ref = n.reverses_ref
),
taken_back AS (
  SELECT reverses_ref
  FROM named
  WHERE reverses_ref IS NOT NULL
  GROUP BY reverses_ref
),
part AS (
  SELECT order_ref, COALESCE(parent_order_ref, order_ref) AS sale_ref, merchant_ref, status, paid_fen, currency
  FROM trade_orders
),
invoiced AS (
  SELECT p.sale_ref, MAX(v.issued_on) AS last_on, MIN(v.invoice_no) AS invoice_no,
         -- An invoice that was taken back by a row of its own counts as issued, and that row as red; else it is both.
         SUM(CASE WHEN v.is_red = 0 THEN CAST(v.amount AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS blue_amount,
         SUM(CASE WHEN v.is_red = 1 OR (v.status = 'red_issued' AND t.reverses_ref IS NULL)
                  THEN CAST(v.amount AS DECIMAL(38,0)) ELSE CAST(0 AS DECIMAL(38,0)) END) AS red_amount
  FROM invoice v
  JOIN part p ON p.order_ref = v.order_ref
  LEFT JOIN taken_back t ON t.reverses_ref = v.invoice_ref
  GROUP BY p.sale_ref
),
-- One invoice over several orders says nothing about any of them.
shared_no AS (
  SELECT v.invoice_no
  FROM invoice v
  JOIN part p ON p.order_ref = v.order_ref
  WHERE v.invoice_no IS NOT NULL AND v.is_red = 0
  GROUP BY v.invoice_no
  HAVING MIN(p.sale_ref) <> MAX(p.sale_ref)
),
collective AS (
  SELECT p.sale_ref
  FROM invoice v
  JOIN shared_no n ON n.invoice_no = v.invoice_no
  JOIN part p ON p.order_ref = v.order_ref
  GROUP BY p.sale_ref
),
sale AS (
  SELECT sale_ref, MIN(merchant_ref) AS merchant_ref, MIN(status) AS status, MIN(UPPER(TRIM(COALESCE(currency, 'CNY')))) AS currency_code,
         SUM(CAST(COALESCE(paid_fen, 0) AS DECIMAL(38,0))) AS paid_amount
  FROM part
  GROUP BY sale_ref
),
-- What went back to the customer, by any way.
returned AS (
  SELECT p.sale_ref, MAX(r.succeeded_on) AS last_on, SUM(CAST(COALESCE(r.amount_fen, 0) AS DECIMAL(38,0))) AS refunded_amount
  FROM refunds r
  LEFT JOIN payments y ON y.payment_ref = r.payment_ref
  JOIN part p ON p.order_ref = COALESCE(r.order_ref, y.order_ref)
  WHERE r.status = 'succeeded'
  GROUP BY p.sale_ref
),
-- Of an order that was paid twice, the second payment going back is no refund of the order.
received AS (
  SELECT p.sale_ref, SUM(CAST(COALESCE(y.amount_fen, 0) AS DECIMAL(38,0))) AS received_amount
  FROM payments y
  JOIN part p ON p.order_ref = y.order_ref
  WHERE y.status IN ('succeeded', 'refunded', 'partially_refunded')
  GROUP BY p.sale_ref
),
judged AS (
  SELECT s.sale_ref, s.merchant_ref, s.paid_amount, v.invoice_no, v.blue_amount, v.red_amount,
         CASE WHEN b.last_on > v.last_on THEN b.last_on ELSE COALESCE(v.last_on, b.last_on) END AS last_on,
         CASE WHEN s.paid_amount = CAST(0 AS DECIMAL(38,0)) THEN CAST(0 AS DECIMAL(38,0))
              WHEN COALESCE(g.received_amount > s.paid_amount, FALSE)
              THEN COALESCE(b.refunded_amount, CAST(0 AS DECIMAL(38,0))) - (g.received_amount - s.paid_amount)
              ELSE COALESCE(b.refunded_amount, CAST(0 AS DECIMAL(38,0))) END AS refunded_amount
  FROM invoiced v
  JOIN sale s ON s.sale_ref = v.sale_ref
  LEFT JOIN returned b ON b.sale_ref = v.sale_ref
  LEFT JOIN received g ON g.sale_ref = v.sale_ref
  LEFT JOIN collective c ON c.sale_ref = v.sale_ref
  WHERE c.sale_ref IS NULL AND s.currency_code = 'CNY'
),
due AS (
  SELECT sale_ref, merchant_ref, paid_amount, invoice_no, blue_amount, red_amount, last_on,
         -- What went back beyond the price is TXN-014's matter.
         CASE WHEN refunded_amount < CAST(0 AS DECIMAL(38,0)) THEN CAST(0 AS DECIMAL(38,0))
              WHEN refunded_amount > paid_amount THEN paid_amount
              ELSE refunded_amount END AS refunded_amount
  FROM judged
  WHERE last_on IS NULL
     OR (CAST(last_on + CAST($within AS INTERVAL) AS DATE) >= $window_from_on
         AND CAST(last_on + CAST($within AS INTERVAL) AS DATE) < $window_to_on
         AND CAST(last_on + CAST($within AS INTERVAL) AS DATE) < $as_of_on)
)
SELECT d.sale_ref AS finding_ref,
       CASE WHEN d.paid_amount = CAST(0 AS DECIMAL(38,0)) THEN 'invoiced-unpaid'
            WHEN d.red_amount = CAST(0 AS DECIMAL(38,0)) AND d.refunded_amount >= d.paid_amount THEN 'no-red-invoice'
            ELSE 'invoiced-over' END AS finding_reason,
       d.last_on AS finding_on,
       d.merchant_ref, d.invoice_no, CAST(d.blue_amount AS BIGINT) AS blue_fen, CAST(d.red_amount AS BIGINT) AS red_fen,
       CAST(d.paid_amount AS BIGINT) AS paid_fen, CAST(d.refunded_amount AS BIGINT) AS refunded_fen,
       CAST(d.blue_amount - d.red_amount - d.paid_amount + d.refunded_amount AS BIGINT) AS excess_fen
FROM due d
WHERE d.blue_amount - d.red_amount - d.paid_amount + d.refunded_amount > CAST($tolerance_fen AS DECIMAL(38,0))
ORDER BY finding_ref, finding_reason
