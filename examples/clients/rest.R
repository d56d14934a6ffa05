# Ask an endpoint from R, over REST (httr2). Untried.
#
#   DATABRICKS_HOST=... DATABRICKS_TOKEN=... Rscript examples/clients/rest.R scgpt-serving
library(httr2)

# counts: cells x genes, with names; of a Seurat object: t(LayerData(object, layer = "counts"))
embed_cells <- function(counts, endpoint,
                        host = Sys.getenv("DATABRICKS_HOST"),
                        token = Sys.getenv("DATABRICKS_TOKEN")) {
  split <- function(names) {
    frame <- list(columns = list(), index = as.list(names), data = lapply(names, \(name) list()))
    as.character(jsonlite::toJSON(frame, auto_unbox = TRUE))
  }
  rows <- lapply(seq_len(nrow(counts)), \(cell) as.list(unname(as.numeric(counts[cell, ]))))
  body <- list(
    dataframe_split = list(
      columns = c("adata_sparsematrix", "adata_obs", "adata_var"),
      data = list(list(rows, split(rownames(counts)), split(colnames(counts))))
    ),
    params = list(task = "cell_embeddings")
  )
  answer <- request(sub("/$", "", host)) |>
    req_url_path_append("serving-endpoints", endpoint, "invocations") |>
    req_auth_bearer_token(token) |>
    req_body_json(body) |>
    req_timeout(300) |>
    req_retry(max_tries = 5) |> # busy, or starting: 429 and 503, Retry-After is honoured
    req_error(body = \(answer) resp_body_string(answer)) |>
    req_perform() |>
    resp_body_json()
  lines <- answer$predictions
  vectors <- do.call(rbind, lapply(lines, \(line) unlist(line$embedding)))
  rownames(vectors) <- vapply(lines, \(line) line$id, "")
  attr(vectors, "model_digest") <- lines[[1]]$model_digest # never mix two of them
  vectors
}

# Dense JSON reaches the platform's 16 MB after some hundred cells of 2,000 genes: ask in parts.
if (!interactive()) {
  genes <- c("CD3D", "CD3E", "NKG7", "GNLY", "CD79A", "MS4A1", "LYZ", "S100A8")
  counts <- matrix(c(6, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 18, 11), 2, byrow = TRUE,
                   dimnames = list(c("T", "monocyte"), genes))
  print(dim(embed_cells(counts, commandArgs(TRUE)[1])))
}
