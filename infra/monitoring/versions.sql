-- Served entities that answered requests: embeddings of two versions must not be mixed.
SELECT count(DISTINCT served_entity_id) AS versions
FROM (
  {requests}
) AS once
WHERE status_code < 400
