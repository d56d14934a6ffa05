-- The newest requests of users, to be sent again. A row may be delivered twice.
SELECT min(request) AS request
FROM {table}
WHERE request_time >= current_timestamp() - INTERVAL {hours} HOURS
  AND request IS NOT NULL
  AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
GROUP BY databricks_request_id
ORDER BY max(request_time) DESC
LIMIT {most}
