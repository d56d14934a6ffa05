A dry run first: what would go, in which order.

  $ scgpt destroy local --dry-run
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-monitoring: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-registry: 8 changes
  local: 10 changes, by databricks/databricks 1.99.0
    local-serving: delete databricks_model_serving.endpoint
    local-serving: delete databricks_permissions.endpoint_permissions
    local-registry: delete databricks_grant.model_grant_scientists
    local-registry: delete databricks_grant.schema_grant_scientists
    local-registry: delete databricks_grant.volume_grant_scientists
    local-registry: delete databricks_mlflow_experiment.experiment
    local-registry: delete databricks_registered_model.model
    local-registry: delete databricks_schema.schema
    local-registry: delete databricks_volume.checkpoints_volume
    local-registry: delete databricks_volume.volume
  digest <digest>
  nothing was changed in <n> s
  next: scgpt destroy local --confirm local

It asks for the environment's name. Nobody answers here:

  $ scgpt destroy local
  This destroys endpoint scgpt-serving, main.scgpt.scgpt_gene_embeddings with all its versions, and everything in main.scgpt.
  The environment's name, to go on: not confirmed; nothing was changed
  [1]
  $ scgpt destroy local --confirm prod
  Usage: scgpt destroy [OPTIONS] ENV
  Try 'scgpt destroy --help' for help.
  Error: 'prod' is not 'local': nothing was destroyed
  [2]

It is refused while the environment has deletion protection,

  $ settings 'deletion_protection = true'
  $ scgpt destroy local --confirm local
  error: local has deletion protection; to take it down, set deletion_protection = false in <folder>/local.toml, deploy, then destroy
  [3]

and where it is production, as long as nobody has written down why.

  $ settings 'production = true'
  $ scgpt destroy local --confirm local
  error: local: refused, nothing was changed:
    local: is production, and would be destroyed with its endpoint, its model and all its versions (destroy-production). Where it is meant, waive this check in the environment's TOML file, with a reason and a date, in a reviewed change.
  [3]
  $ sent

With a waiver it goes, the endpoint first.

  $ settings 'production = true' 'waivers = [{check = "destroy-production", reason = "Moved to another workspace", until = '$(date -d '+300 days' +%F)'}]'
  $ scgpt destroy local --confirm local 2>&1 >/dev/null | grep 'warn\|changes'
  <n> s  local: warn: local: is production, and would be destroyed with its endpoint, its model and all its versions (destroy-production). Waived: Moved to another workspace (until <day>).
  <n> s  local-monitoring: 0 changes
  <n> s  local-serving: 2 changes
  <n> s  local-registry: 8 changes
  $ sent | sort
  DELETE /api/2.0/serving-endpoints/scgpt-serving -> 200
  DELETE /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings -> 200
  DELETE /api/2.1/unity-catalog/schemas/main.scgpt -> 200
  DELETE /api/2.1/unity-catalog/volumes/main.scgpt.artifacts -> 200
  DELETE /api/2.1/unity-catalog/volumes/main.scgpt.checkpoints -> 200
  PATCH /api/2.1/unity-catalog/permissions/function/main.scgpt.scgpt_gene_embeddings -> 200
  PATCH /api/2.1/unity-catalog/permissions/schema/main.scgpt -> 200
  PATCH /api/2.1/unity-catalog/permissions/volume/main.scgpt.artifacts -> 200
  POST /api/2.0/mlflow/experiments/delete -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200

Nothing is left, in the workspace or in the state.

  $ show /api/2.0/serving-endpoints
  {
   "endpoints": []
  }
  $ show '/api/2.1/unity-catalog/schemas?catalog_name=main'
  {
   "schemas": []
  }
  $ show '/api/2.0/mlflow/experiments/search?max_results=10' experiments | grep name
  [1]
  $ grep -l '"type"' state/*.tfstate
  [1]
