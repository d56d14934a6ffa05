-- Requests of two hours against the mean of two hours in the week before. Rows arrive up to an hour
-- late, so the hour that has just passed does not count.
SELECT
  recent,
  usual,
  CASE WHEN recent >= {fewest} OR usual >= {fewest} THEN
    greatest((recent + 1) / (usual + 1), (usual + 1) / (recent + 1))
  ELSE 1.0 END AS times_usual
FROM (
  SELECT
    sum(CASE
      WHEN request_time >= current_timestamp() - INTERVAL 3 HOURS
        AND request_time < current_timestamp() - INTERVAL 1 HOUR THEN 1.0
      ELSE 0.0
    END) AS recent,
    sum(CASE
      WHEN request_time < current_timestamp() - INTERVAL 3 HOURS THEN 1.0 ELSE 0.0
    END) * 2 / ({hours} - 3) AS usual
  FROM (
    {requests}
  ) AS once
) AS counted
