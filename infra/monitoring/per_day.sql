-- Requests of each day: how many, how fast, how many failed, by which versions, for whom.
SELECT
  CAST(request_time AS DATE) AS day,
  count(*) AS requests,
  round(avg(execution_duration_ms), 1) AS mean_ms,
  percentile_approx(execution_duration_ms, 0.5) AS p50_ms,
  percentile_approx(execution_duration_ms, 0.95) AS p95_ms,
  percentile_approx(execution_duration_ms, 0.99) AS p99_ms,
  sum(CASE WHEN status_code >= 400 THEN 1 ELSE 0 END) AS errors,
  round(100 * avg(CASE WHEN status_code >= 400 THEN 1.0 ELSE 0.0 END), 2) AS error_rate_percent,
  count(DISTINCT served_entity_id) AS served_entities,
  count(DISTINCT requester) AS requesters
FROM (
  {requests}
) AS once
GROUP BY 1
ORDER BY 1 DESC
