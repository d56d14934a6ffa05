The endpoint is made, but the answer is lost on its way. The provider asks once more and is told
that the endpoint exists.

  $ release 1:100
  $ api POST /_local/faults '{"method": "POST", "path": "/api/2.0/serving-endpoints", "status": 503, "when": "after"}'
  200
  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-monitoring: 0 changes
  <n> s  local-serving: databricks_model_serving.endpoint: create
  error: local-serving: terraform apply failed:
    databricks_model_serving.endpoint: cannot create model serving: Endpoint with name 'scgpt-serving' already exists.
    Run it again, to go on from here.
    The workspace differs:
  ...
    endpoint scgpt-serving: permission of scientists is 'absent', declared is 'CAN_QUERY'
  [1]
  $ sent
  POST /api/2.0/serving-endpoints -> 503
  POST /api/2.0/serving-endpoints -> 400

Run again, it takes over what the same deployer made. There is one endpoint, and it is in the state.

  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-monitoring: 0 changes
  <n> s  local: warn: databricks_model_serving.endpoint: exists in the workspace, made by an earlier deploy that was cut off (exists-already). A deploy takes it over instead of creating it.
  <n> s  local-serving: databricks_permissions.endpoint_permissions: create
  <n> s  local-serving: databricks_permissions.endpoint_permissions: done in <n> s
  <n> s  local-serving: databricks_model_serving.endpoint: taken over
  <n> s  local: verified by API
  local: 2 changes, by databricks/databricks 1.99.0
    local-serving: import databricks_model_serving.endpoint
    local-serving: create databricks_permissions.endpoint_permissions
  ...
  warn: local-serving: databricks_model_serving.endpoint: exists in the workspace, made by an earlier deploy that was cut off (exists-already). A deploy takes it over instead of creating it.
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ sent
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local

A workspace that is busy is asked again, which nobody notices but in the requests.

  $ settings 'gateway = {inference_table_prefix = "", usage_tracking = false}'
  $ release 2:100
  $ api POST /_local/faults '{"method": "PUT", "path": "*/config", "status": 429}'
  200
  $ api POST /_local/faults '{"method": "PUT", "path": "*/config", "status": 503}'
  200
  $ scgpt deploy local 2>/dev/null | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/config -> 429
  PUT /api/2.0/serving-endpoints/scgpt-serving/config -> 503
  PUT /api/2.0/serving-endpoints/scgpt-serving/config -> 200
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/previous -> 200
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200

A conflict is not tried again, but the endpoint answers with its empty gateway: the next plan has what
was not sent.

  $ settings 'gateway.rate_limits = [{calls = 600, key = "user"}]'
  $ api POST /_local/faults '{"method": "PUT", "path": "*/ai-gateway", "status": 409}'
  200
  $ scgpt deploy local 2>&1 >/dev/null | grep -v ' s  '
  error: local-serving: terraform apply failed:
    databricks_model_serving.endpoint: cannot update model serving: Fault set by a control route: 409
    Run it again, to go on from here.
    The workspace differs:
    endpoint scgpt-serving: inference_table is 'absent', declared is 'main.scgpt.scgpt_inference_payload'
    endpoint scgpt-serving: usage_tracking is False, declared is True
    endpoint scgpt-serving: rate_limits.user is 'absent', declared is 600
  $ scgpt deploy local 2>/dev/null | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 409
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204

Of tags, Terraform's state now claims what was never sent, where the endpoint has none. No later plan
shows it. Comparing with the API does, and says what sends it.

  $ api PATCH /api/2.0/serving-endpoints/scgpt-serving/tags '{"delete_tags": ["project", "environment"]}'
  200
  $ settings 'gateway.rate_limits = [{calls = 600, key = "user"}]' 'tags.team = "bio"'
  $ api POST /_local/faults '{"method": "PATCH", "path": "*/tags", "status": 409}'
  200
  $ scgpt deploy local 2>&1 >/dev/null | grep -v ' s  '
  error: local-serving: terraform apply failed:
    databricks_model_serving.endpoint: cannot update model serving: Fault set by a control route: 409
    Run it again, to go on from here.
    The workspace differs:
    endpoint scgpt-serving: tags.environment is 'absent', declared is 'local'
    endpoint scgpt-serving: tags.project is 'absent', declared is 'scgpt'
    endpoint scgpt-serving: tags.team is 'absent', declared is 'bio'
  $ scgpt deploy local 2>&1 >/dev/null | grep -v ' s  '
  error: local: the plan is empty, but the workspace differs:
    endpoint scgpt-serving: tags.environment is 'absent', declared is 'local'
    endpoint scgpt-serving: tags.project is 'absent', declared is 'scgpt'
    endpoint scgpt-serving: tags.team is 'absent', declared is 'bio'
    What a plan does not see, `scgpt endpoint apply local` sends
  $ scgpt endpoint apply local 2>/dev/null
  sent PATCH tags: tags.environment, tags.project, tags.team
  the next plan: 0 changes
  next: scgpt verify local
  $ scgpt deploy local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  nothing was changed in <n> s
  next: scgpt smoke local
  $ sent
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 200
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 409
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 200
