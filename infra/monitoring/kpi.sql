-- Cells of each hour, version and requester. A payload that was not logged counts as a request, and
-- its cells are not known.
SELECT
  date_trunc('HOUR', request_time) AS hour,
  version,
  requester,
  count(*) AS requests,
  sum(CASE WHEN status_code BETWEEN 400 AND 499 THEN 1 ELSE 0 END) AS refused,
  sum(CASE WHEN status_code >= 500 THEN 1 ELSE 0 END) AS failed,
  sum(CASE WHEN status_code < 400 AND cells IS NULL THEN 1 ELSE 0 END) AS not_known,
  coalesce(sum(cells), 0) AS cells,
  coalesce(sum(tokens), 0) AS tokens,
  coalesce(sum(truncated_cells), 0) AS truncated_cells,
  sum(matched_genes) / nullif(sum(matched_genes + unknown_genes), 0) AS coverage,
  coalesce(sum(request_bytes), 0) AS request_bytes,
  coalesce(sum(response_bytes), 0) AS response_bytes,
  percentile_approx(execution_duration_ms, 0.95) AS p95_ms
FROM {requests_table}
WHERE request_date >= date_sub(current_date(), {days_back})
  AND request_time >= current_timestamp() - INTERVAL {hours} HOURS
  AND coalesce(client_request_id, '') NOT LIKE 'scgpt-replay-%'
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
