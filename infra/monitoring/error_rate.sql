-- Share of requests that failed on the endpoint's side. A row may be delivered
-- twice. Requests that a canary repeats are none of the users'.
SELECT
  count(*) AS requests,
  coalesce(sum(failed), 0) AS failed,
  coalesce(avg(failed), 0.0) AS error_rate
FROM (
  SELECT
    databricks_request_id,
    max(CASE WHEN status_code >= 500 THEN 1 ELSE 0 END) AS failed
  FROM {table}
  WHERE request_time >= current_timestamp() - INTERVAL {hours} HOURS
    AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
  GROUP BY databricks_request_id
) AS by_request
