-- Errors by status code: since when, whom they hit, and some to look at, of each caller and version
-- one. A row that was delivered twice changes none of it.
SELECT
  status_code,
  sum(requests) AS requests,
  min(first_seen) AS first_seen,
  max(last_seen) AS last_seen,
  count(DISTINCT requester) AS requesters,
  slice(array_sort(collect_list(sample)), 1, 5) AS sample_request_ids,
  array_sort(collect_set(served_entity_id)) AS served_entity_ids
FROM (
  SELECT
    status_code,
    requester,
    served_entity_id,
    count(DISTINCT databricks_request_id) AS requests,
    min(request_time) AS first_seen,
    max(request_time) AS last_seen,
    min(databricks_request_id) AS sample
  FROM {table}
  WHERE request_date >= date_sub(current_date(), {days_back})
    AND request_time >= current_timestamp() - INTERVAL {hours} HOURS
    AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
    AND status_code >= 400
  GROUP BY 1, 2, 3
) AS hit
GROUP BY 1
ORDER BY requests DESC
