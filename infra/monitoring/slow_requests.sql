-- The slowest requests.
SELECT
  request_time,
  databricks_request_id,
  requester,
  served_entity_id,
  status_code,
  execution_duration_ms,
  request_characters
FROM (
  {requests}
) AS once
WHERE execution_duration_ms > {above_ms}
ORDER BY execution_duration_ms DESC
LIMIT {most}
