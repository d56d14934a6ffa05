Where the file names a SQL warehouse that exists, monitoring asks that one and makes none.

  $ api POST /api/2.0/sql/warehouses '{"name": "shared", "cluster_size": "Small"}'
  200
  $ sed -i "s/WAREHOUSE/$(show /api/2.0/sql/warehouses warehouses 1 id | tr -d '"')/" local.toml
  $ quietly scgpt deploy local | grep monitoring
    local-monitoring: create databricks_alert_v2.alert_error_rate
    local-monitoring: create databricks_dashboard.dashboard
    local-monitoring: create databricks_job.job_daily_error_rate
    local-monitoring: create databricks_job.job_drift
    local-monitoring: create databricks_job.job_unpack
    local-monitoring: create databricks_notification_destination.destination
  $ show /api/2.0/sql/warehouses warehouses | grep '"name"'
    "name": "Serverless Starter Warehouse",
    "name": "shared",
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

Turned off again, the others' warehouse stays.

  $ cp off.toml local.toml
  $ quietly scgpt deploy local
  local: 6 changes, by databricks/databricks 1.99.0
    local-monitoring: delete databricks_alert_v2.alert_error_rate
    local-monitoring: delete databricks_dashboard.dashboard
    local-monitoring: delete databricks_job.job_daily_error_rate
    local-monitoring: delete databricks_job.job_drift
    local-monitoring: delete databricks_job.job_unpack
    local-monitoring: delete databricks_notification_destination.destination
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ show /api/2.0/sql/warehouses warehouses | grep '"name"'
    "name": "Serverless Starter Warehouse",
    "name": "shared",
