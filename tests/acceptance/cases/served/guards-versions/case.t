The manifest names a version that the registry does not have.

  $ release 7:100
  $ scgpt plan local 2>/dev/null
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      ~ config[0].served_entities[0].entity_version = "1" -> "7"
      ~ config[0].served_entities[0].name = "scgpt_gene_embeddings-1" -> "scgpt_gene_embeddings-7"
      - config[0].traffic_config[0].routes[0].served_entity_name = "scgpt_gene_embeddings-1"
      ~ config[0].traffic_config[0].routes[0].served_model_name = "scgpt_gene_embeddings-1" -> "scgpt_gene_embeddings-7"
  refuse: local-serving: databricks_model_serving.endpoint: version 7 of main.scgpt.scgpt_gene_embeddings does not exist in Unity Catalog, or is not ready (version-missing). Build it, or let the release manifest name one that exists.
  next: mend what is refused, then scgpt plan local
  [3]

A deploy says the same, and changes nothing.

  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 1 change
  <n> s  local-monitoring: 0 changes
  error: local: refused, nothing was changed:
    databricks_model_serving.endpoint: version 7 of main.scgpt.scgpt_gene_embeddings does not exist in Unity Catalog, or is not ready (version-missing). Build it, or let the release manifest name one that exists.
  [3]
  $ sent

Version 2 is there, but no build has validated it.

  $ api DELETE /api/2.0/mlflow/unity-catalog/model-versions/delete-tag '{"name": "main.scgpt.scgpt_gene_embeddings", "version": "2", "key": "validated"}'
  200
  $ release 2:100
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: version 2 of main.scgpt.scgpt_gene_embeddings lacks the tag validated = true: no build has compared its answers (version-not-validated). Register it with `scgpt build`, which validates before it registers.
  next: mend what is refused, then scgpt plan local

Somebody else is updating the endpoint, and the provider would not wait for the end of that.

  $ api PUT /_local/settings/deployments '{"seconds": 600}'
  200
  $ api PUT /api/2.0/serving-endpoints/scgpt-serving/config '{"served_entities": [{"entity_name": "main.scgpt.scgpt_gene_embeddings", "entity_version": "3", "workload_size": "Small", "scale_to_zero_enabled": true}]}'
  200
  $ release 3:100
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: is being updated by somebody else (endpoint-updating). Wait until it is NOT_UPDATING, then plan again.
  next: mend what is refused, then scgpt plan local
