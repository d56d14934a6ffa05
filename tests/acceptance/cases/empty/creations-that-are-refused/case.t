The model is refused with 400. What could be made without it stays, and is in the state.

  $ api POST /_local/faults '{"method": "POST", "path": "/api/2.1/unity-catalog/models", "status": 400}'
  200
  $ quietly scgpt deploy local
  error: local-registry: terraform apply failed:
    databricks_registered_model.model: cannot create registered model: Fault set by a control route: 400
    Run it again, to go on from here.
    The workspace differs:
    model main.scgpt.scgpt_gene_embeddings: exists is False, declared is True
  [1]
  $ sent | sort
  PATCH /api/2.1/unity-catalog/permissions/schema/main.scgpt -> 200
  PATCH /api/2.1/unity-catalog/permissions/volume/main.scgpt.artifacts -> 200
  POST /api/2.0/mlflow/experiments/create -> 200
  POST /api/2.1/unity-catalog/models -> 400
  POST /api/2.1/unity-catalog/schemas -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  $ scgpt plan local 2>/dev/null
  local: 2 changes, by databricks/databricks 1.99.0
    local-registry: create databricks_grant.model_grant_scientists
  ...
    local-registry: create databricks_registered_model.model
  ...
  digest <digest>
  next: scgpt deploy local

The same command goes on from there and makes nothing twice. Now the model is made, but for a moment
the workspace does not know it (404) when it is to be granted.

  $ api POST /_local/faults '{"method": "PATCH", "path": "*/permissions/function/*", "status": 404}'
  200
  $ quietly scgpt deploy local
  error: local-registry: terraform apply failed:
    databricks_grant.model_grant_scientists: cannot create grant: Fault set by a control route: 404
    Run it again, to go on from here.
    The workspace differs:
    model main.scgpt.scgpt_gene_embeddings: grant to scientists is 'absent', declared is 'EXECUTE'
  [1]
  $ sent
  POST /api/2.1/unity-catalog/models -> 200
  PATCH /api/2.1/unity-catalog/permissions/function/main.scgpt.scgpt_gene_embeddings -> 404

The third run has one thing left to do. Then all is as declared.

  $ quietly scgpt deploy local
  local: 1 change, by databricks/databricks 1.99.0
    local-registry: create databricks_grant.model_grant_scientists
  ...
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent
  PATCH /api/2.1/unity-catalog/permissions/function/main.scgpt.scgpt_gene_embeddings -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
