What watches the endpoint is there from the first deploy: a warehouse, an alert on the error rate
and whom it tells, a dashboard, and a daily job that runs from a wheel in the volume.

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
    local-monitoring: create databricks_sql_endpoint.warehouse
      + name = "scgpt-serving-monitoring"
  $ sent | grep -v unity-catalog | sort
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/alerts -> 200
  POST /api/2.0/lakeview/dashboards -> 200
  POST /api/2.0/lakeview/dashboards/<id>/published -> 200
  POST /api/2.0/mlflow/experiments/create -> 200
  POST /api/2.0/notification-destinations -> 200
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
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  POST /api/2.2/jobs/create -> 200
  PUT /api/2.0/fs/directories/Volumes/main/scgpt/artifacts/wheels/<digest> -> 204
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl -> 204
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

The alert fires above the threshold, and its query asks the inference table.

  $ show /api/2.0/alerts alerts 'display_name=scgpt-serving: error rate' evaluation threshold
  {
   "value": {
    "double_value": 0.1
   }
  }
  $ show /api/2.0/alerts alerts 'display_name=scgpt-serving: error rate' schedule
  {
   "pause_status": "UNPAUSED",
   "quartz_cron_schedule": "0 0 * * * ?",
   "timezone_id": "Europe/Zurich"
  }
  $ show /api/2.0/alerts alerts 'display_name=scgpt-serving: error rate' query_text | grep -o main[.a-z_]*
  main.scgpt.scgpt_inference_payload
  $ show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings tasks 0 python_wheel_task
  {
   "entry_point": "scgpt-monitor",
   "package_name": "scgpt-jobs",
   "parameters": [
    "--table",
    "main.scgpt.scgpt_inference_payload",
    "--warehouse",
    "<id>",
    "--hours",
    "24"
   ]
  }
  $ show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings environments 0 spec
  {
   "dependencies": [
    "/Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl"
   ],
   "environment_version": "4"
  }

A threshold is one value of the file.

  $ cp threshold.toml local.toml
  $ quietly scgpt deploy local
  local: 1 change, by databricks/databricks 1.99.0
    local-monitoring: update databricks_alert_v2.alert_error_rate
      ~ evaluation.threshold.value.double_value = 0.1 -> 0.2
      known after the deploy: 9 values
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent
  PATCH /api/2.0/alerts/<uuid> -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

Somebody clears optional fields of the job, and removes the wheel that it runs from. A plan shows two
of the three; `verify` finds each, and a deploy puts them back.

  $ api POST /api/2.2/jobs/update "{\"job_id\": $(show '/api/2.2/jobs/list?name=scgpt-serving:%20daily%20error%20rate' jobs 0 job_id), \"fields_to_remove\": [\"email_notifications\", \"timeout_seconds\"]}"
  200
  $ api DELETE "/api/2.0/fs/files$(show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings environments 0 spec dependencies 0 | tr -d '"')"
  204
  $ scgpt verify local 2>/dev/null | grep │ | tr -s ' '
  │ job scgpt-serving: daily error rate │ emails.on_failure │ ['ops@example.com'] │ [] │
  │ job scgpt-serving: daily error rate │ timeout_seconds │ 3600 │ absent │
  │ file /Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl │ exists │ True │ False │
  $ quietly scgpt deploy local
  local: 1 change, by databricks/databricks 1.99.0
    local-monitoring: update databricks_job.job_daily_error_rate
      + email_notifications[0].on_failure[0] = "ops@example.com"
      ~ timeout_seconds = 0 -> 3600
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent
  POST /api/2.2/jobs/update -> 200
  DELETE /api/2.0/fs/files/Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl -> 204
  PUT /api/2.0/fs/directories/Volumes/main/scgpt/artifacts/wheels/<digest> -> 204
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl -> 204
  POST /api/2.2/jobs/reset -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204

Turned off, all of it is removed.

  $ cp off.toml local.toml
  $ quietly scgpt deploy local
  local: 24 changes, by databricks/databricks 1.99.0
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
    local-monitoring: delete databricks_sql_endpoint.warehouse
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent | sort
  DELETE /api/2.0/alerts/<uuid> -> 200
  DELETE /api/2.0/alerts/<uuid> -> 200
  DELETE /api/2.0/alerts/<uuid> -> 200
  DELETE /api/2.0/alerts/<uuid> -> 200
  DELETE /api/2.0/alerts/<uuid> -> 200
  DELETE /api/2.0/alerts/<uuid> -> 200
  DELETE /api/2.0/lakeview/dashboards/<id> -> 200
  DELETE /api/2.0/notification-destinations/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/queries/<uuid> -> 200
  DELETE /api/2.0/sql/warehouses/<id> -> 200
  POST /api/2.2/jobs/delete -> 200
  POST /api/2.2/jobs/delete -> 200
  POST /api/2.2/jobs/delete -> 200
  POST /api/2.2/jobs/delete -> 200
  POST /api/2.2/jobs/delete -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
