Every key of the registry and of what watches the endpoint is set, and taken away again. Two of them
the provider cannot take away: it sends blanks for e-mail addresses of a job and tags of a warehouse.
The deploy then sends what is declared, and plan, comparison and API agree.

  $ cp local.toml few.toml && cp every.toml local.toml
  $ quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings email_notifications on_failure
  [
   "ops@example.com",
   "oncall@example.com"
  ]
  $ show /api/2.0/sql/warehouses warehouses 1 tags
  {
   "custom_tags": [
    {
     "key": "project",
     "value": "scgpt"
    },
    {
     "key": "team",
     "value": "platform"
    }
   ]
  }
  $ sent | wc -l
  69
  $ cp few.toml local.toml
  $ scgpt deploy local 2>&1 | grep -E 'taken away|anew|verified|mail|custom_tags|deployed'
  <n> s  local-monitoring: databricks_job.job_daily_error_rate: email_notifications taken away through the API
  <n> s  local-monitoring: databricks_job.job_device: email_notifications taken away through the API
  <n> s  local-monitoring: databricks_job.job_drift: email_notifications taken away through the API
  <n> s  local-monitoring: databricks_job.job_retention: email_notifications taken away through the API
  <n> s  local-monitoring: databricks_job.job_unpack: email_notifications taken away through the API
  <n> s  local-monitoring: databricks_sql_endpoint.warehouse: tags taken away through the API
  <n> s  local-monitoring: databricks_job.job_daily_error_rate: read anew
  <n> s  local-monitoring: databricks_job.job_device: read anew
  <n> s  local-monitoring: databricks_job.job_drift: read anew
  <n> s  local-monitoring: databricks_job.job_retention: read anew
  <n> s  local-monitoring: databricks_job.job_unpack: read anew
  <n> s  local-monitoring: databricks_sql_endpoint.warehouse: read anew
  <n> s  local: verified by API
      - email_notifications[0].on_failure[0] = "ops@example.com"
      - email_notifications[0].on_failure[1] = "oncall@example.com"
      - email_notifications[0].on_failure[0] = "ops@example.com"
      - email_notifications[0].on_failure[1] = "oncall@example.com"
      - email_notifications[0].on_failure[0] = "ops@example.com"
      - email_notifications[0].on_failure[1] = "oncall@example.com"
      - email_notifications[0].on_failure[0] = "ops@example.com"
      - email_notifications[0].on_failure[1] = "oncall@example.com"
      - email_notifications[0].on_failure[0] = "ops@example.com"
      - email_notifications[0].on_failure[1] = "oncall@example.com"
      - tags[0].custom_tags[project].key = "project"
      - tags[0].custom_tags[project].value = "scgpt"
      - tags[0].custom_tags[team].key = "team"
      - tags[0].custom_tags[team].value = "platform"
  deployed in <n> s
  $ sent --bodies | grep -E -A3 '"(custom_tags|on_failure|fields_to_remove)"'
    "custom_tags": [
     {},
     {}
    ]
  --
     "on_failure": [
      "",
      ""
     ]
  --
     "on_failure": [
      "",
      ""
     ]
  --
     "on_failure": [
      "",
      ""
     ]
  --
     "on_failure": [
      "",
      ""
     ]
  --
     "on_failure": [
      "",
      ""
     ]
  --
   "fields_to_remove": [
    "email_notifications"
   ],
   "job_id": <number>
  --
   "fields_to_remove": [
    "email_notifications"
   ],
   "job_id": <number>
  --
   "fields_to_remove": [
    "email_notifications"
   ],
   "job_id": <number>
  --
   "fields_to_remove": [
    "email_notifications"
   ],
   "job_id": <number>
  --
   "fields_to_remove": [
    "email_notifications"
   ],
   "job_id": <number>
  --
    "custom_tags": []
   },
   "warehouse_type": "PRO"
  }
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ show '/api/2.2/jobs/list?expand_tasks=true&name=scgpt-serving:%20daily%20error%20rate' jobs 0 settings email_notifications
  {}
  $ show /api/2.0/sql/warehouses warehouses 1 tags
  {
   "custom_tags": []
  }

What somebody adds or clears beside it, the provider sees or not. The comparison sees all of it, and
one command puts right what no plan shows.

  $ api POST "/api/2.0/sql/warehouses/$(show /api/2.0/sql/warehouses warehouses 1 id | tr -d '"')/edit" '{"tags": {"custom_tags": [{"key": "cost", "value": "x"}]}}'
  200
  $ api PATCH /api/2.1/unity-catalog/schemas/main.scgpt '{"comment": ""}'
  200
  $ scgpt deploy local 2>&1 | tail -4
  <n> s  local-monitoring: databricks_sql_endpoint.warehouse: read anew
  error: local: deployed, but the workspace differs:
    schema main.scgpt: comment is 'absent', declared is 'scGPT: model, artifacts and inference tables'
    Deploy again; what a plan does not see, `scgpt endpoint apply local` sends
  $ scgpt endpoint apply local --dry-run 2>/dev/null
  would send update databricks_schema.schema: comment
  the present plan: 0 changes
  next: the same without --dry-run
  $ scgpt endpoint apply local 2>/dev/null
  sent update databricks_schema.schema: comment
  the next plan: 0 changes
  next: scgpt verify local
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
