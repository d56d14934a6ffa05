Turning the inference table off is a warning: the endpoint answers as before, and nothing is lost.

  $ settings 'gateway.inference_table_prefix = ""'
  $ scgpt plan local 2>/dev/null
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      - ai_gateway[0].inference_table_config[0].catalog_name = "main"
      - ai_gateway[0].inference_table_config[0].enabled = true
      - ai_gateway[0].inference_table_config[0].schema_name = "scgpt"
      - ai_gateway[0].inference_table_config[0].table_name_prefix = "scgpt_inference"
  warn: local-serving: databricks_model_serving.endpoint: requests and answers will no longer be logged (table-disabled). The table that exists stays.
  digest <digest>
  next: scgpt deploy local

Production must have one.

  $ settings 'production = true' 'gateway.inference_table_prefix = ""'
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: serves production without an inference table: no request can be looked at afterwards (production-without-table). Set gateway.inference_table_prefix.
  refuse: local-serving: databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Set endpoint.scale_to_zero = false.
  next: mend what is refused, then scgpt plan local

Its location cannot be changed while it is on.

  $ settings 'gateway.inference_table_prefix = "requests"'
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: table_name_prefix of the inference table would change, which the platform refuses while it is enabled (table-moved). Take the prefix out and deploy, then deploy with the new one; the old table stays. Monitoring and production need a table: for the time between, turn monitoring off and waive production-without-table. Or give another endpoint the new prefix, in an environment of its own, and move the callers.
  next: mend what is refused, then scgpt plan local

The way that the guard names: off, deployed, on with the new prefix.

  $ settings 'gateway.inference_table_prefix = ""'
  $ scgpt deploy local 2>/dev/null | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ settings 'gateway.inference_table_prefix = "requests"'
  $ scgpt deploy local 2>/dev/null | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ sent --bodies
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  {
   "usage_tracking_config": {
    "enabled": true
   }
  }
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  {
   "inference_table_config": {
    "catalog_name": "main",
    "enabled": true,
    "schema_name": "scgpt",
    "table_name_prefix": "requests"
   },
   "usage_tracking_config": {
    "enabled": true
   }
  }
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ scgpt verify local
  local: as declared
  next: scgpt status local

Everything off: the provider fails when the block of the gateway goes away, so an empty one stays.

  $ settings 'gateway = {inference_table_prefix = "", usage_tracking = false}'
  $ scgpt deploy local 2>/dev/null | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ sent --bodies
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  {}
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ scgpt verify local
  local: as declared
  next: scgpt status local
