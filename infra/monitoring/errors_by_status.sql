-- Errors by status code: since when, whom they hit, and some of them to look at.
SELECT
  status_code,
  count(*) AS requests,
  min(request_time) AS first_seen,
  max(request_time) AS last_seen,
  count(DISTINCT requester) AS requesters,
  slice(array_sort(collect_set(databricks_request_id)), 1, 5) AS sample_request_ids,
  array_sort(collect_set(served_entity_id)) AS served_entity_ids
FROM (
  {requests}
) AS once
WHERE status_code >= 400
GROUP BY status_code
ORDER BY requests DESC
