The daily job runs from a wheel that the deploy put into the volume.

  $ settings 'monitoring.enabled = true'
  $ quietly scgpt deploy local | grep databricks_job
    local-monitoring: create databricks_job.job_daily_error_rate
    local-monitoring: create databricks_job.job_device
    local-monitoring: create databricks_job.job_drift
    local-monitoring: create databricks_job.job_retention
    local-monitoring: create databricks_job.job_unpack
  $ show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings tasks 0 python_wheel_task entry_point
  "scgpt-monitor"
  $ show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings environments 0 spec dependencies
  [
   "/Volumes/main/scgpt/artifacts/wheels/<digest>/scgpt_jobs-0.1.0-py3-none-any.whl"
  ]

The workspace runs it as a process. It asks the inference table through the warehouse, and its output
is one line. Before the first request, the table is empty.

  $ run-job
  SUCCESS
  {"table": "main.scgpt.scgpt_inference_payload", "hours": 24, "requests": 0, "failed": 0, "error_rate": 0.0}
  $ api POST /serving-endpoints/scgpt-serving/invocations '{"dataframe_records": [{"cell": "a"}]}'
  200
  $ api POST /serving-endpoints/scgpt-serving/invocations '{"dataframe_records": [{"cell": "b"}]}'
  200
  $ run-job
  SUCCESS
  {"table": "main.scgpt.scgpt_inference_payload", "hours": 24, "requests": 2, "failed": 0, "error_rate": 0.0}

Somebody points the job to a table that does not exist. The run fails and says why; the next deploy
puts it back.

  $ api POST /api/2.2/jobs/update "{\"job_id\": $(show '/api/2.2/jobs/list?name=scgpt-serving:%20daily%20error%20rate' jobs 0 job_id), \"new_settings\": {\"tasks\": $(show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings tasks | sed s/_payload/_elsewhere/)}}"
  200
  $ run-job
  FAILED
  scgpt_databricks.infra.errors.DeployError: asking main.scgpt.scgpt_inference_elsewhere failed: [TABLE_OR_VIEW_NOT_FOUND] Table 'main.scgpt.scgpt_inference_elsewhere' does not exist.
  $ quietly scgpt deploy local | grep job
    local-monitoring: update databricks_job.job_daily_error_rate
  $ run-job
  SUCCESS
  {"table": "main.scgpt.scgpt_inference_payload", "hours": 24, "requests": 2, "failed": 0, "error_rate": 0.0}
