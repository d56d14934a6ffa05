-- Requests as the platform counts them for the account.
SELECT
  CAST(u.request_time AS DATE) AS day,
  e.entity_version AS version,
  count(*) AS requests
FROM system.serving.endpoint_usage AS u
JOIN system.serving.served_entities AS e ON u.served_entity_id = e.served_entity_id
WHERE e.endpoint_name = '{endpoint}'
  AND u.request_time >= current_timestamp() - INTERVAL {hours} HOURS
GROUP BY 1, 2
ORDER BY 1 DESC, 2
