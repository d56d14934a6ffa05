Somebody made an endpoint in the UI. No file describes it, and Terraform knows nothing of this
workspace.

  $ rm -r local.toml state
  $ api POST /api/2.0/serving-endpoints "$(cat made.json)"
  200
  $ until show /api/2.0/serving-endpoints/by-hand state config_update | grep -q NOT; do sleep 0.3; done
  $ api PUT "/api/2.0/permissions/serving-endpoints/$(show /api/2.0/serving-endpoints/by-hand id | tr -d '"')" '{"access_control_list": [{"user_name": "reader@local.test", "permission_level": "CAN_VIEW"}, {"user_name": "admin@local.test", "permission_level": "CAN_MANAGE"}]}'
  200

A dry run says what would be taken over, and what the first deploy would still change.

  $ sent
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  $ quietly scgpt adopt by-hand --profile local --dry-run
  by-hand would be adopted as local: 10 resources
    would be written: <folder>/local.toml
    would be written: <folder>/local.release.json
    note: served entity 'current' is renamed to 'scgpt_gene_embeddings-2' by the first deploy: the version starts anew beside the running one, requests go on
    note: version 2 was not built and validated here: the manifest has zeros for its digests, and every change of the endpoint warns of it until a build of yours serves
  the first deploy will
    local-registry: update databricks_schema.schema
      + force_destroy = true
    local-serving: update databricks_model_serving.endpoint
      ~ config[0].served_entities[0].name = "current" -> "scgpt_gene_embeddings-2"
      + config[0].served_entities[0].workload_type = "CPU"
      - config[0].traffic_config[0].routes[0].served_entity_name = "current"
      ~ config[0].traffic_config[0].routes[0].served_model_name = "current" -> "scgpt_gene_embeddings-2"
      + timeouts.create = "100m"
      + timeouts.update = "100m"
  next: scgpt plan local
  $ ls | grep toml
  [1]

Adopting writes the settings, the manifest and Terraform's state; the workspace is only read.

  $ quietly scgpt adopt by-hand --profile local
  by-hand adopted as local: 10 resources
    written: <folder>/local.toml
    written: <folder>/local.release.json
    note: served entity 'current' is renamed to 'scgpt_gene_embeddings-2' by the first deploy: the version starts anew beside the running one, requests go on
    note: version 2 was not built and validated here: the manifest has zeros for its digests, and every change of the endpoint warns of it until a build of yours serves
  the first deploy will
    local-registry: update databricks_schema.schema
      + force_destroy = true
    local-serving: update databricks_model_serving.endpoint
      ~ config[0].served_entities[0].name = "current" -> "scgpt_gene_embeddings-2"
      + config[0].served_entities[0].workload_type = "CPU"
      - config[0].traffic_config[0].routes[0].served_entity_name = "current"
      ~ config[0].traffic_config[0].routes[0].served_model_name = "current" -> "scgpt_gene_embeddings-2"
      + timeouts.create = "100m"
      + timeouts.update = "100m"
  next: scgpt plan local
  $ cat local.toml
  # Written by `scgpt adopt by-hand`; dev.toml explains every key.
  catalog = "main"
  schema = "scgpt"
  model = "scgpt_gene_embeddings"
  deletion_protection = false
  [workspace]
  profile = "local"
  [endpoint]
  name = "by-hand"
  workload_type = "CPU"
  workload_size = "Small"
  scale_to_zero = true
  [endpoint.environment]
  MODE = "trial"
  [gateway]
  inference_table_prefix = ""
  usage_tracking = false
  [monitoring]
  enabled = false
  [permissions.users]
  "reader@local.test" = "CAN_VIEW"
  [[grants]]
  principal = "scientists"
  schema = ["USE_SCHEMA"]
  model = ["EXECUTE"]
  volume = ["READ_VOLUME"]
  [tags]
  made = "by hand"
  [state]
  backend = "local"
  $ sent
  $ quietly scgpt plan local
  local: 2 changes, by databricks/databricks 1.99.0
    local-registry: update databricks_schema.schema
      + force_destroy = true
    local-serving: update databricks_model_serving.endpoint
      ~ config[0].served_entities[0].name = "current" -> "scgpt_gene_embeddings-2"
      + config[0].served_entities[0].workload_type = "CPU"
      - config[0].traffic_config[0].routes[0].served_entity_name = "current"
      ~ config[0].traffic_config[0].routes[0].served_model_name = "current" -> "scgpt_gene_embeddings-2"
      + timeouts.create = "100m"
      + timeouts.update = "100m"
  digest <digest>

A file that says something else by now is not overwritten.

  $ sed 's/^workload_size.*/workload_size = "Medium"/' -i.kept local.toml
  $ quietly scgpt adopt by-hand --profile local
  error: <folder>/local.toml exists and says something else: choose another name with --environment or another folder with --out
  [3]
  $ mv local.toml.kept local.toml

The first deploy does what was told, and after it the plan is empty.

  $ quietly scgpt deploy local | tail -1
  deployed in <n> s
  $ sent
  PATCH /api/2.1/unity-catalog/schemas/main.scgpt -> 200
  PUT /api/2.0/serving-endpoints/by-hand/config -> 200
  PUT /api/2.0/serving-endpoints/by-hand/ai-gateway -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ show /api/2.0/serving-endpoints/by-hand config served_entities 0 environment_vars
  {
   "MODE": "trial"
  }
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
