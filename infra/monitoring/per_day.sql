-- Requests of each day: how many, how fast, how many failed, by which versions, for whom.
SELECT
  days.day,
  requests,
  mean_ms,
  ms[0] AS p50_ms,
  ms[1] AS p95_ms,
  ms[2] AS p99_ms,
  errors,
  error_rate_percent,
  served_entities,
  requesters
FROM (
  SELECT
    CAST(request_time AS DATE) AS day,
    count(*) AS requests,
    round(avg(execution_duration_ms), 1) AS mean_ms,
    percentile_approx(execution_duration_ms, array(0.5, 0.95, 0.99)) AS ms,
    sum(CASE WHEN status_code >= 400 THEN 1 ELSE 0 END) AS errors,
    round(100 * avg(CASE WHEN status_code >= 400 THEN 1.0 ELSE 0.0 END), 2) AS error_rate_percent
  FROM (
    {requests}
  ) AS once
  GROUP BY 1
) AS days
JOIN (
  -- A row that was delivered twice changes neither: these names need not be carried through above.
  SELECT
    CAST(request_time AS DATE) AS day,
    count(DISTINCT served_entity_id) AS served_entities,
    count(DISTINCT requester) AS requesters
  FROM {table}
  WHERE request_date >= date_sub(current_date(), {days_back})
    AND request_time >= current_timestamp() - INTERVAL {hours} HOURS
    AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
  GROUP BY 1
) AS callers ON days.day = callers.day
ORDER BY 1 DESC
