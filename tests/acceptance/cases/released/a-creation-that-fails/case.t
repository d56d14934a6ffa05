Version 1 does not come up. The provider removes the endpoint, which has never answered.

  $ release 1:100
  $ api PUT /_local/settings/deployments '{"fail": ["scgpt_gene_embeddings-1"]}'
  200
  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-monitoring: 0 changes
  <n> s  local-serving: databricks_model_serving.endpoint: create
  error: local-serving: terraform apply failed:
    databricks_model_serving.endpoint: cannot create model serving: failed to reach NOT_UPDATING, got UPDATE_FAILED. The endpoint was deleted
    Run it again, to go on from here.
    The workspace differs:
    endpoint scgpt-serving: exists is False, declared is True
  [1]
  $ sent
  POST /api/2.0/serving-endpoints -> 200
  DELETE /api/2.0/serving-endpoints/scgpt-serving -> 200
  $ show /api/2.0/serving-endpoints
  {
   "endpoints": []
  }

This time the removal fails as well. The state says nothing of what is left over in the workspace.

  $ api POST /_local/faults '{"method": "DELETE", "path": "/api/2.0/serving-endpoints/*", "status": 403}'
  200
  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-monitoring: 0 changes
  <n> s  local-serving: databricks_model_serving.endpoint: create
  error: local-serving: terraform apply failed:
    databricks_model_serving.endpoint: cannot create model serving: failed to reach NOT_UPDATING, got UPDATE_FAILED. The endpoint could not be deleted: Fault set by a control route: 403
    Run it again, to go on from here.
    The workspace differs:
    endpoint scgpt-serving: state is 'NOT_READY', declared is 'READY'
    endpoint scgpt-serving: permission of scientists is 'absent', declared is 'CAN_QUERY'
  [1]
  $ sent
  POST /api/2.0/serving-endpoints -> 200
  DELETE /api/2.0/serving-endpoints/scgpt-serving -> 403
  $ grep '"status"' state/local-serving.tfstate
  [1]

The cause is put right. The same command finds what is left over, removes it, and makes the endpoint
anew.

  $ api PUT /_local/settings/deployments '{}'
  200
  $ scgpt deploy local 2>&1 >/dev/null
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-monitoring: 0 changes
  <n> s  local: warn: databricks_model_serving.endpoint: exists in the workspace, made by an earlier deploy that was cut off (exists-already). A deploy removes it, since it never worked, and makes it anew.
  <n> s  local-serving: databricks_model_serving.endpoint: never worked, is removed
  <n> s  local-serving: databricks_model_serving.endpoint: create
  <n> s  local-serving: databricks_model_serving.endpoint: done in <n> s
  <n> s  local-serving: databricks_permissions.endpoint_permissions: create
  <n> s  local-serving: databricks_permissions.endpoint_permissions: done in <n> s
  <n> s  local: verified by API
  $ sent
  DELETE /api/2.0/serving-endpoints/scgpt-serving -> 200
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local
