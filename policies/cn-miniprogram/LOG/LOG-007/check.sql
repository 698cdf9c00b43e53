WITH chain AS (
  SELECT change_ref, changed_at, chain_seq_no, chain_hash, chain_prev_hash, chain_ok,
         LAG(chain_seq_no) OVER (ORDER BY chain_seq_no, change_ref) AS previous_no,
         LAG(chain_hash) OVER (ORDER BY chain_seq_no, change_ref) AS previous_hash
  FROM permission_changes
  WHERE chain_seq_no IS NOT NULL
),
begun AS (
  SELECT MIN(changed_at) AS first_at FROM chain
),
judged AS (
  SELECT change_ref, changed_at, chain_seq_no, previous_no,
         CASE WHEN chain_hash IS NULL THEN 'hash-missing'
              WHEN chain_seq_no = previous_no THEN 'seq-duplicate'
              WHEN chain_seq_no > previous_no + 1 THEN 'seq-gap'
              WHEN previous_hash IS NOT NULL AND chain_prev_hash IS DISTINCT FROM previous_hash THEN 'link-broken'
              WHEN NOT chain_ok THEN 'hash-mismatch'
              WHEN chain_ok IS NULL AND $recompute_required THEN 'not-recomputed'
              ELSE 'fine' END AS reason
  FROM chain
  UNION ALL
  SELECT c.change_ref, c.changed_at, c.chain_seq_no, CAST(NULL AS BIGINT) AS previous_no,
         CASE WHEN c.chain_hash IS NOT NULL THEN 'hash-missing' ELSE 'not-chained' END AS reason
  FROM permission_changes c
  CROSS JOIN begun b
  WHERE c.chain_seq_no IS NULL
    AND (c.chain_hash IS NOT NULL
         OR $chain_required
         OR (b.first_at IS NOT NULL AND COALESCE(c.changed_at, c.requested_at) IS NULL)
         OR COALESCE(c.changed_at, c.requested_at) >= b.first_at)
)
SELECT change_ref AS finding_ref,
       reason AS finding_reason,
       changed_at AS finding_at,
       chain_seq_no, previous_no
FROM judged
WHERE reason <> 'fine'
ORDER BY finding_ref, finding_reason
