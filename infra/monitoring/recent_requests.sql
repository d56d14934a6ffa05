-- The newest requests.
SELECT
  request_time,
  databricks_request_id,
  client_request_id,
  requester,
  served_entity_id,
  status_code,
  execution_duration_ms,
  request_characters,
  response_characters,
  logging_errors
FROM (
  {requests}
) AS once
ORDER BY request_time DESC
LIMIT {most}
