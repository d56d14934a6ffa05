-- Time of an answer for each token, of the slowest twentieth. Requests of few tokens are left out:
-- their time is that of the way.
SELECT
  count(*) AS requests,
  coalesce(percentile_approx(execution_duration_ms / tokens, 0.95), 0.0) AS p95_ms_per_token
FROM {requests_table}
WHERE request_date >= date_sub(current_date(), {days_back})
  AND request_time >= current_timestamp() - INTERVAL {hours} HOURS
  AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
  AND status_code = 200
  AND tokens >= {fewest_tokens}
