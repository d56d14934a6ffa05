-- Requests and the share of them that failed on the endpoint's side. A row may be delivered
-- twice. Requests that a canary repeats are none of the users'.
SELECT
  hour,
  count(*) AS requests,
  avg(failed) AS error_rate
FROM (
  SELECT
    databricks_request_id,
    date_trunc('HOUR', min(request_time)) AS hour,
    max(CASE WHEN status_code >= 500 THEN 1 ELSE 0 END) AS failed
  FROM {table}
  WHERE request_time >= current_timestamp() - INTERVAL {days} DAYS
    AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
  GROUP BY databricks_request_id
) AS by_request
GROUP BY hour
ORDER BY hour
