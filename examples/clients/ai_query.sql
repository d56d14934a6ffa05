-- Embed the cells of a Delta table in SQL. The table is that of `scgpt spark convert`: one cell a row,
-- in the packed form. It needs a serverless or pro warehouse, and CAN QUERY on the endpoint.
--
-- ai_query has no place for a model's params. The packed form needs none: its task is cell_embeddings.
-- Name the type: without it, Databricks gives all columns that an answer of any task may have.
CREATE TABLE IF NOT EXISTS main.scgpt.vectors (
  cell_id STRING, embedding ARRAY<FLOAT>, model_digest STRING, error STRING
);

INSERT INTO main.scgpt.vectors
SELECT
  cell_id,
  answer.result.embedding,
  answer.result.model_digest,
  answer.errorMessage
FROM (
  SELECT
    cell_id,
    ai_query(
      'scgpt-serving',
      named_struct('packed', packed),
      returnType => 'STRUCT<embedding: ARRAY<FLOAT>, model_digest: STRING>',
      failOnError => false
    ) AS answer
  FROM main.scgpt.cells
);

-- A cell that failed has its reason beside it; the embeddings of two digests are never to be mixed.
SELECT count(*) AS cells, count(error) AS failed, count(DISTINCT model_digest) AS models
FROM main.scgpt.vectors;
