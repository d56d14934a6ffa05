-- Served entities that have a GPU and computed on their CPU when they were looked at last.
SELECT coalesce(sum(CASE WHEN is_fallback THEN 1 ELSE 0 END), 0) AS on_cpu
FROM (
  SELECT
    is_fallback,
    row_number() OVER (PARTITION BY served_entity ORDER BY looked_at DESC) AS newest
  FROM {status_table}
  WHERE looked_at >= current_timestamp() - INTERVAL {hours} HOURS
) AS looks
WHERE newest = 1
