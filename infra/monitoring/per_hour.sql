-- Requests of each hour, how long they took, and how many of them failed.
SELECT hour, requests, refused, failed, error_rate, ms[0] AS p50_ms, ms[1] AS p95_ms, ms[2] AS p99_ms
FROM (
  SELECT
    date_trunc('HOUR', request_time) AS hour,
    count(*) AS requests,
    sum(CASE WHEN status_code BETWEEN 400 AND 499 THEN 1 ELSE 0 END) AS refused,
    sum(CASE WHEN status_code >= 500 THEN 1 ELSE 0 END) AS failed,
    avg(CASE WHEN status_code >= 500 THEN 1.0 ELSE 0.0 END) AS error_rate,
    percentile_approx(execution_duration_ms, array(0.5, 0.95, 0.99)) AS ms
  FROM (
    {requests}
  ) AS once
  GROUP BY 1
) AS hours
ORDER BY 1
