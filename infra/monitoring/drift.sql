-- Causes of drift that the newest look at each version found.
SELECT coalesce(sum(CASE WHEN alarm THEN 1 ELSE 0 END), 0) AS alarms
FROM (
  SELECT
    alarm,
    rank() OVER (PARTITION BY served_entity ORDER BY looked_at DESC) AS newest
  FROM {drift_table}
  WHERE looked_at >= current_timestamp() - INTERVAL {hours} HOURS
) AS looks
WHERE newest = 1
