WITH numbered AS (
  SELECT f.flow_ref, f.booked_on, f.account_ref, f.account_kind, f.mch_id, f.about_ref, f.signed_fen,
         ROW_NUMBER() OVER (PARTITION BY f.about_ref, f.about_kind, f.account_ref, f.kind, f.signed_fen
                            ORDER BY f.booked_at NULLS LAST, f.flow_ref) AS nth,
         MIN(f.flow_ref) OVER (PARTITION BY f.about_ref, f.about_kind, f.account_ref, f.kind, f.signed_fen
                               ORDER BY f.booked_at NULLS LAST, f.flow_ref
                               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS first_flow_ref
  FROM fund_flows f
  WHERE f.about_ref IS NOT NULL
)
SELECT n.flow_ref AS finding_ref,
       'booked-again' AS finding_reason,
       n.booked_on AS finding_on,
       n.account_ref, n.account_kind, n.mch_id, n.about_ref, n.signed_fen, n.first_flow_ref, CAST(n.nth AS BIGINT) AS nth
FROM numbered n
WHERE n.nth > 1
  AND (n.booked_on IS NULL OR (n.booked_on >= $window_from_on AND n.booked_on < $window_to_on))
ORDER BY finding_ref, finding_reason
