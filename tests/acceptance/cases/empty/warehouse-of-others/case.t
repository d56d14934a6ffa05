Where the file names a SQL warehouse that exists, monitoring asks that one and makes none.

  $ api POST /api/2.0/sql/warehouses '{"name": "shared", "cluster_size": "Small"}'
  200
  $ sed -i "s/WAREHOUSE/$(show /api/2.0/sql/warehouses warehouses 1 id | tr -d '"')/" local.toml
  $ quietly scgpt deploy local | grep monitoring
    local-monitoring: create databricks_alert_v2.alert_device_fallback
    local-monitoring: create databricks_alert_v2.alert_drift
    local-monitoring: create databricks_alert_v2.alert_error_rate
    local-monitoring: create databricks_alert_v2.alert_slow
    local-monitoring: create databricks_alert_v2.alert_versions
    local-monitoring: create databricks_alert_v2.alert_volume
    local-monitoring: create databricks_dashboard.dashboard
    local-monitoring: create databricks_job.job_daily_error_rate
    local-monitoring: create databricks_job.job_device
    local-monitoring: create databricks_job.job_drift
    local-monitoring: create databricks_job.job_retention
    local-monitoring: create databricks_job.job_unpack
    local-monitoring: create databricks_notification_destination.destination
    local-monitoring: create databricks_query.query_cost
    local-monitoring: create databricks_query.query_drift
    local-monitoring: create databricks_query.query_errors
    local-monitoring: create databricks_query.query_kpi
    local-monitoring: create databricks_query.query_per_day
    local-monitoring: create databricks_query.query_per_hour
    local-monitoring: create databricks_query.query_recent
    local-monitoring: create databricks_query.query_refusals
    local-monitoring: create databricks_query.query_slow
    local-monitoring: create databricks_query.query_usage
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
  local: 23 changes, by databricks/databricks 1.99.0
    local-monitoring: delete databricks_alert_v2.alert_device_fallback
    local-monitoring: delete databricks_alert_v2.alert_drift
    local-monitoring: delete databricks_alert_v2.alert_error_rate
    local-monitoring: delete databricks_alert_v2.alert_slow
    local-monitoring: delete databricks_alert_v2.alert_versions
    local-monitoring: delete databricks_alert_v2.alert_volume
    local-monitoring: delete databricks_dashboard.dashboard
    local-monitoring: delete databricks_job.job_daily_error_rate
    local-monitoring: delete databricks_job.job_device
    local-monitoring: delete databricks_job.job_drift
    local-monitoring: delete databricks_job.job_retention
    local-monitoring: delete databricks_job.job_unpack
    local-monitoring: delete databricks_notification_destination.destination
    local-monitoring: delete databricks_query.query_cost
    local-monitoring: delete databricks_query.query_drift
    local-monitoring: delete databricks_query.query_errors
    local-monitoring: delete databricks_query.query_kpi
    local-monitoring: delete databricks_query.query_per_day
    local-monitoring: delete databricks_query.query_per_hour
    local-monitoring: delete databricks_query.query_recent
    local-monitoring: delete databricks_query.query_refusals
    local-monitoring: delete databricks_query.query_slow
    local-monitoring: delete databricks_query.query_usage
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ show /api/2.0/sql/warehouses warehouses | grep '"name"'
    "name": "Serverless Starter Warehouse",
    "name": "shared",
