Production keeps its capacity: an endpoint that scales to zero is refused, with and without a change.

  $ settings 'production = true'
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  refuse: local-serving: databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Set endpoint.scale_to_zero = false.
  next: mend what is refused, then scgpt plan local
  [3]
  $ release 2:100
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Set endpoint.scale_to_zero = false.
  next: mend what is refused, then scgpt plan local

It is meant to be off, which is also the default of an environment called `prod`, `eu-prod` or `live`.

  $ settings 'production = true' 'endpoint.scale_to_zero = false'
  $ scgpt plan local 2>/dev/null
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      ~ config[0].served_entities[0].entity_version = "1" -> "2"
      ~ config[0].served_entities[0].name = "scgpt_gene_embeddings-1" -> "scgpt_gene_embeddings-2"
      ~ config[0].served_entities[0].scale_to_zero_enabled = true -> false
      - config[0].traffic_config[0].routes[0].served_entity_name = "scgpt_gene_embeddings-1"
      ~ config[0].traffic_config[0].routes[0].served_model_name = "scgpt_gene_embeddings-1" -> "scgpt_gene_embeddings-2"
  digest <digest>
  next: scgpt deploy local

GPU types differ by cloud. One that the cloud lacks would be refused only after the image was built.

  $ settings 'endpoint.workload_type = "GPU_LARGE"'
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: GPU_LARGE: aws has no such workload type (workload-type). Choose endpoint.size, or one of CPU, GPU_SMALL, GPU_MEDIUM, MULTIGPU_MEDIUM, GPU_MEDIUM_8.
  next: mend what is refused, then scgpt plan local
  $ settings 'cloud = "azure"' 'endpoint.workload_type = "GPU_LARGE"'
  $ scgpt plan local 2>/dev/null | head -1
  local: 1 change, by databricks/databricks 1.99.0
