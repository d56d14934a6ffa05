Three roles get what they need: the owner everything, the builder's service principal what
registering a version takes, the readers what asking the model takes. Further grants are listed.

  $ quietly scgpt deploy local
  local: 16 changes, by databricks/databricks 1.99.0
    local-registry: create databricks_grant.checkpoints_volume_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
  ...
    local-registry: create databricks_grant.model_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
  ...
    local-registry: create databricks_grant.model_grant_scientists
  ...
    local-registry: create databricks_grant.schema_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
  ...
    local-registry: create databricks_grant.schema_grant_admins
  ...
    local-registry: create databricks_grant.schema_grant_scientists
  ...
    local-registry: create databricks_grant.schema_grant_users
  ...
    local-registry: create databricks_grant.volume_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
  ...
    local-registry: create databricks_grant.volume_grant_scientists
  ...
    local-registry: create databricks_grant.volume_grant_users
  ...
    local-registry: create databricks_mlflow_experiment.experiment
  ...
    local-registry: create databricks_permissions.experiment_permissions
  ...
    local-registry: create databricks_registered_model.model
  ...
    local-registry: create databricks_schema.schema
  ...
    local-registry: create databricks_volume.checkpoints_volume
  ...
    local-registry: create databricks_volume.volume
  ...
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ grants schema main.cells
  <uuid>: USE_SCHEMA
  admins: ALL_PRIVILEGES, MANAGE
  scientists: USE_SCHEMA
  users: USE_SCHEMA
  $ grants function main.cells.embeddings
  <uuid>: APPLY_TAG, CREATE_MODEL_VERSION, EXECUTE
  scientists: EXECUTE
  $ grants volume main.cells.reports
  <uuid>: READ_VOLUME, WRITE_VOLUME
  scientists: READ_VOLUME
  users: READ_VOLUME
  $ grants volume main.cells.weights
  <uuid>: READ_VOLUME

Grants are made one by one, so what somebody else granted stays, and is no drift.

  $ sent | sort -u
  PATCH /api/2.1/unity-catalog/permissions/function/main.cells.embeddings -> 200
  PATCH /api/2.1/unity-catalog/permissions/schema/main.cells -> 200
  PATCH /api/2.1/unity-catalog/permissions/volume/main.cells.reports -> 200
  PATCH /api/2.1/unity-catalog/permissions/volume/main.cells.weights -> 200
  POST /api/2.0/mlflow/experiments/create -> 200
  POST /api/2.1/unity-catalog/models -> 200
  POST /api/2.1/unity-catalog/schemas -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  PUT /api/2.0/fs/files/Volumes/main/cells/reports/last_deploy.json -> 204
  PUT /api/2.0/permissions/experiments/1 -> 200
  $ api PATCH /api/2.1/unity-catalog/permissions/schema/main.cells '{"changes": [{"principal": "reader@local.test", "add": ["SELECT"]}]}'
  200
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent
  PATCH /api/2.1/unity-catalog/permissions/schema/main.cells -> 200

Without readers in the file, only theirs are taken back.

  $ diff local.toml without-readers.toml
  9c9
  < readers = ["scientists"]
  ---
  > readers = []
  [1]
  $ cp without-readers.toml local.toml
  $ quietly scgpt deploy local
  local: 3 changes, by databricks/databricks 1.99.0
    local-registry: delete databricks_grant.model_grant_scientists
    local-registry: delete databricks_grant.schema_grant_scientists
    local-registry: delete databricks_grant.volume_grant_scientists
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent | sort
  PATCH /api/2.1/unity-catalog/permissions/function/main.cells.embeddings -> 200
  PATCH /api/2.1/unity-catalog/permissions/schema/main.cells -> 200
  PATCH /api/2.1/unity-catalog/permissions/volume/main.cells.reports -> 200
  PUT /api/2.0/fs/files/Volumes/main/cells/reports/last_deploy.json -> 204
  $ grants schema main.cells
  <uuid>: USE_SCHEMA
  admins: ALL_PRIVILEGES, MANAGE
  reader@local.test: SELECT
  users: USE_SCHEMA
