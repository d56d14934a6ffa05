-- The looks at drift, newest first.
SELECT looked_at, version, cause, finding, alarm, p_value, effect, requests, cells, note
FROM {drift_table}
WHERE looked_at >= current_timestamp() - INTERVAL {hours} HOURS
ORDER BY looked_at DESC, cause
LIMIT {most}
