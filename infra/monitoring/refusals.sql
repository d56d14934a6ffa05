-- Requests that were refused or that failed, by the reason that the answer gives.
SELECT
  coalesce(reason, concat('http_', status_code)) AS reason,
  version,
  count(*) AS requests,
  count(DISTINCT requester) AS requesters,
  min(request_time) AS first_seen,
  max(request_time) AS last_seen
FROM {requests_table}
WHERE request_date >= date_sub(current_date(), {days_back})
  AND request_time >= current_timestamp() - INTERVAL {hours} HOURS
  AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
  AND status_code >= 400
GROUP BY 1, 2
ORDER BY requests DESC
