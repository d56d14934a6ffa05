-- Share of requests that failed on the endpoint's side.
SELECT
  count(*) AS requests,
  coalesce(sum(CASE WHEN status_code >= 500 THEN 1 ELSE 0 END), 0) AS failed,
  coalesce(avg(CASE WHEN status_code >= 500 THEN 1.0 ELSE 0.0 END), 0.0) AS error_rate
FROM (
  {requests}
) AS once
