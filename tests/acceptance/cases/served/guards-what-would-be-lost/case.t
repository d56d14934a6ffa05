A new name for the endpoint would delete it and make another.

  $ settings 'endpoint.name = "scgpt-other"'
  $ scgpt plan local 2>/dev/null
  local: 2 changes, by databricks/databricks 1.99.0
    local-serving: delete+create databricks_model_serving.endpoint
      - config[0].traffic_config[0].routes[0].served_entity_name = "scgpt_gene_embeddings-1"
      ~ name = "scgpt-serving" -> "scgpt-other"
      known after the deploy: endpoint_url, id, serving_endpoint_id
    local-serving: delete+create databricks_permissions.endpoint_permissions
      known after the deploy: id, object_type, serving_endpoint_id
  refuse: local-serving: databricks_model_serving.endpoint: would be deleted and made anew because of name, losing the endpoint, which stops answering (replacement). Undo the change; where it is meant, run `scgpt destroy local` with the old settings first.
  next: mend what is refused, then scgpt plan local
  [3]

Route optimisation is fixed at creation.

  $ settings 'endpoint.route_optimized = true'
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-serving: databricks_model_serving.endpoint: route_optimized would change, which is fixed at creation: the endpoint would be deleted and made anew (route-optimization). Undo the change, or give the endpoint another name in an environment of its own and move its callers: route optimisation also changes the URL and refuses personal tokens.
  next: mend what is refused, then scgpt plan local

The same goes for what the registry holds, such as an experiment that is no longer declared.

  $ settings 'manage_experiment = false'
  $ scgpt plan local 2>/dev/null | grep refuse
  refuse: local-registry: databricks_mlflow_experiment.experiment: would be deleted, losing its runs and their metrics (deletion). Put it back; where it is meant, run `scgpt destroy local`.
  next: mend what is refused, then scgpt plan local

Another schema would be another model: the release manifest does not fit it.

  $ settings 'schema = "embeddings"'
  $ scgpt plan local 2>&1 | grep error
  error: <folder>/local.release.json: is of main.scgpt.scgpt_gene_embeddings, the environment's model is main.embeddings.scgpt_gene_embeddings: correct catalog, schema or model of its TOML file, or remove the manifest and run `scgpt build local --checkpoint DIR`

Without the manifest no stack declares the endpoint any more. That is no way to let go of it: every
command says so.

  $ settings && mv local.release.json kept.json
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  refuse: local: the endpoint scgpt-serving exists, but local.release.json does not: nothing would govern it (manifest-missing). Put the manifest back from git. Where the endpoint is to go, put it back and run `scgpt destroy local`; where it was made elsewhere, take it over: `scgpt adopt local --endpoint scgpt-serving`.
  next: mend what is refused, then scgpt plan local
  [3]
  $ scgpt deploy local 2>&1 | grep -v ' s  '
  error: local: refused, nothing was changed:
    local: the endpoint scgpt-serving exists, but local.release.json does not: nothing would govern it (manifest-missing). Put the manifest back from git. Where the endpoint is to go, put it back and run `scgpt destroy local`; where it was made elsewhere, take it over: `scgpt adopt local --endpoint scgpt-serving`.
  $ scgpt verify local
  ┏━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━┓
  ┃ resource               ┃ field  ┃ declared                                ┃ found ┃
  ┡━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━┩
  │ endpoint scgpt-serving │ exists │ nothing: there is no local.release.json │ True  │
  └────────────────────────┴────────┴─────────────────────────────────────────┴───────┘
  local: the workspace differs from what is declared
  to put it back: `scgpt deploy local`; what its plan does not see is sent by `scgpt endpoint apply local`. To keep it: declare it in local.toml
  next: scgpt plan local
  [1]
  $ scgpt drift local 2>/dev/null | grep exists
  | `endpoint scgpt-serving` | `exists` | `"nothing: there is no local.release.json"` | `true` |
  $ mv kept.json local.release.json

With deletion protection, Terraform itself refuses.

  $ settings 'deletion_protection = true' 'endpoint.name = "scgpt-other"'
  $ scgpt plan local 2>&1 | grep -v ' s  '
  error: local-serving: deletion protection refuses the plan:
    Instance cannot be destroyed: Resource databricks_model_serving.endpoint has lifecycle.prevent_destroy set, but the plan calls for this resource to be destroyed. To avoid this error and continue with the plan, either disable lifecycle.prevent_destroy or reduce the scope of the plan using the -target option.
  Undo the change. Where the loss is meant: turn deletion_protection off, deploy, then destroy.

Nothing was sent by any of these.

  $ sent
