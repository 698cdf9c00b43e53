WITH closing AS (
  SELECT d.project_ref, COALESCE(d.closed_on, d.planned_close_on, $as_of_on) AS close_on
  FROM dereg_projects d
),
shown AS (
  SELECT n.notice_ref, n.published_on, n.withdrawn_on
  FROM notices n
  WHERE n.notice_channel = 'home-page' AND n.published_at <= $as_of
),
summary AS (
  SELECT c.project_ref, COUNT(s.notice_ref) AS notice_count, MIN(s.published_on) AS first_published_on,
         MAX(CASE WHEN CAST(s.published_on + CAST($lead AS INTERVAL) AS DATE) <= c.close_on THEN 1 ELSE 0 END) AS is_in_time,
         MAX(CASE WHEN CAST(s.published_on + CAST($lead AS INTERVAL) AS DATE) <= c.close_on
                       AND (s.withdrawn_on IS NULL OR s.withdrawn_on >= c.close_on) THEN 1 ELSE 0 END) AS is_standing
  FROM closing c
  CROSS JOIN shown s
  GROUP BY c.project_ref
)
SELECT c.project_ref AS finding_ref,
       CASE WHEN s.project_ref IS NULL THEN 'no-notice'
            WHEN s.is_in_time = 1 THEN 'withdrawn'
            ELSE 'too-short' END AS finding_reason,
       c.close_on AS finding_on,
       c.close_on, s.first_published_on, COALESCE(s.notice_count, 0) AS notice_count
FROM closing c
LEFT JOIN summary s ON s.project_ref = c.project_ref
WHERE s.project_ref IS NULL OR s.is_standing = 0
ORDER BY finding_ref, finding_reason
