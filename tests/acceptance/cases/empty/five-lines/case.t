Five lines are enough for a workspace. The plan says what would be made, and sends nothing.

  $ cat local.toml
  catalog = "main"
  [workspace]
  profile = "local"
  [state]
  backend = "local"
  $ scgpt plan local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local: nothing released yet (no local.release.json): no endpoint
  <n> s  local-registry: 5 changes
  <n> s  local-monitoring: 23 changes
  local: 28 changes, by databricks/databricks 1.99.0
    local-registry: create databricks_mlflow_experiment.experiment
  ...
    local-registry: create databricks_registered_model.model
  ...
    local-registry: create databricks_schema.schema
  ...
    local-registry: create databricks_volume.checkpoints_volume
  ...
    local-registry: create databricks_volume.volume
  ...
    local-monitoring: create databricks_alert_v2.alert_device_fallback
  ...
    local-monitoring: create databricks_alert_v2.alert_drift
  ...
    local-monitoring: create databricks_alert_v2.alert_error_rate
  ...
    local-monitoring: create databricks_alert_v2.alert_slow
  ...
    local-monitoring: create databricks_alert_v2.alert_versions
  ...
    local-monitoring: create databricks_alert_v2.alert_volume
  ...
    local-monitoring: create databricks_dashboard.dashboard
  ...
    local-monitoring: create databricks_job.job_daily_error_rate
  ...
    local-monitoring: create databricks_job.job_device
  ...
    local-monitoring: create databricks_job.job_drift
  ...
    local-monitoring: create databricks_job.job_retention
  ...
    local-monitoring: create databricks_job.job_unpack
  ...
    local-monitoring: create databricks_query.query_cost
  ...
    local-monitoring: create databricks_query.query_drift
  ...
    local-monitoring: create databricks_query.query_errors
  ...
    local-monitoring: create databricks_query.query_kpi
  ...
    local-monitoring: create databricks_query.query_per_day
  ...
    local-monitoring: create databricks_query.query_per_hour
  ...
    local-monitoring: create databricks_query.query_recent
  ...
    local-monitoring: create databricks_query.query_refusals
  ...
    local-monitoring: create databricks_query.query_slow
  ...
    local-monitoring: create databricks_query.query_usage
  ...
    local-monitoring: create databricks_sql_endpoint.warehouse
  ...
  digest <digest>
  next: scgpt deploy local
  $ sent

A build needs the schema, which the first deploy makes; it says so before it reads a checkpoint.

  $ scgpt build local --checkpoint nowhere
  > building a version for local
  error: local has no schema main.scgpt yet, in which the version would be registered: `scgpt deploy local` makes it
  [1]

The deploy makes schema, volumes, model and experiment, and what watches the endpoint. The endpoint
itself comes with the first released version.

  $ scgpt deploy local
  ...
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent | sort
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/lakeview/dashboards -> 200
  POST /api/2.0/lakeview/dashboards/<id>/published -> 200
  POST /api/2.0/mlflow/experiments/create -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/queries -> 200
  POST /api/2.0/sql/warehouses -> 200
  POST /api/2.1/unity-catalog/models -> 200
  POST /api/2.1/unity-catalog/schemas -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  PUT /api/2.0/fs/directories/Volumes/main/scgpt/artifacts/wheels/<digest> -> 204
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl -> 204

Nothing is left to do, and the API says what the file says.

  $ scgpt plan local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local: nothing released yet (no local.release.json): no endpoint
  <n> s  local-registry: 0 changes
  <n> s  local-monitoring: 0 changes
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

Without a version there is no endpoint to ask; what is missing is said at once.

  $ scgpt smoke local
  error: there is no endpoint scgpt-serving in local. Nothing is released: scgpt build local --checkpoint DIR, then scgpt deploy local
  [1]
