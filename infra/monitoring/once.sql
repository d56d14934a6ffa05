SELECT
    databricks_request_id,
    min(request_time) AS request_time,
    max(status_code) AS status_code,
    max(execution_duration_ms) AS execution_duration_ms,
    max(served_entity_id) AS served_entity_id,
    max(requester) AS requester,
    max(client_request_id) AS client_request_id,
    max(length(request)) AS request_characters,
    max(length(response)) AS response_characters,
    max(array_join(logging_error_codes, ', ')) AS logging_errors
  FROM {table}
  WHERE request_date >= date_sub(current_date(), {days_back})
    AND request_time >= current_timestamp() - INTERVAL {hours} HOURS
    AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
  GROUP BY databricks_request_id
