Somebody clears the tags in the UI. The provider does not see what is cleared altogether, so the plan
is empty. `scgpt verify` asks the API.

  $ api PATCH /api/2.0/serving-endpoints/scgpt-serving/tags '{"delete_tags": ["project", "environment"]}'
  200
  $ sent
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 200
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local
  $ scgpt verify local
  ┏━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━┓
  ┃ resource               ┃ field            ┃ declared ┃ found  ┃
  ┡━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━┩
  │ endpoint scgpt-serving │ tags.environment │ local    │ absent │
  │ endpoint scgpt-serving │ tags.project     │ scgpt    │ absent │
  └────────────────────────┴──────────────────┴──────────┴────────┘
  local: the workspace differs from what is declared
  to put it back: `scgpt deploy local`; what its plan does not see is sent by `scgpt endpoint apply local`. To keep it: declare it in local.toml
  next: scgpt plan local
  [1]

A deploy has nothing to apply, and fails: an empty plan is no proof.

  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 0 changes
  <n> s  local-monitoring: 0 changes
  error: local: the plan is empty, but the workspace differs:
    endpoint scgpt-serving: tags.environment is 'absent', declared is 'local'
    endpoint scgpt-serving: tags.project is 'absent', declared is 'scgpt'
    What a plan does not see, `scgpt endpoint apply local` sends
  [1]

What the provider does not send, `scgpt endpoint apply` does. A dry run first.

  $ scgpt endpoint apply local --dry-run
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-serving: 0 changes
  would send PATCH tags: tags.environment, tags.project
  the present plan: 0 changes
  next: the same without --dry-run
  $ sent
  $ scgpt endpoint apply local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-serving: 0 changes
  <n> s  local: PATCH tags: tags.environment, tags.project
  <n> s  local-serving: databricks_model_serving.endpoint: read anew
  <n> s  local-serving: 0 changes
  sent PATCH tags: tags.environment, tags.project
  the next plan: 0 changes
  next: scgpt verify local
  $ sent --bodies
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 200
  {
   "add_tags": [
    {
     "key": "environment",
     "value": "local"
    },
    {
     "key": "project",
     "value": "scgpt"
    }
   ],
   "delete_tags": []
  }
  $ scgpt verify local
  local: as declared
  next: scgpt status local
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local

An AI Gateway that is emptied answers with an empty object, which the provider does see.

  $ api PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway '{}'
  200
  $ quietly scgpt deploy local
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      + ai_gateway[0].inference_table_config[0].catalog_name = "main"
      + ai_gateway[0].inference_table_config[0].enabled = true
      + ai_gateway[0].inference_table_config[0].schema_name = "scgpt"
      + ai_gateway[0].inference_table_config[0].table_name_prefix = "scgpt_inference"
      + ai_gateway[0].usage_tracking_config[0].enabled = true
      + timeouts.create = "30m"
      + timeouts.update = "30m"
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ scgpt verify local
  local: as declared
  next: scgpt status local

Who is told of an update: the provider has no call for it, and would report success. The guard
names the command that has.

  $ settings 'endpoint.email_notifications = {on_update_failure = ["ops@example.com"]}'
  $ scgpt deploy local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 1 change
  <n> s  local-monitoring: 0 changes
  error: local: refused, nothing was changed:
    databricks_model_serving.endpoint: email_notifications would change, which the provider never sends to an endpoint that exists: Terraform would report success (no-call). Change it through the API with `scgpt endpoint apply`.
  [3]
  $ scgpt endpoint apply local 2>/dev/null
  sent PATCH notifications: email_notifications.on_update_failure
  the next plan: 0 changes
  next: scgpt verify local
  $ sent --bodies
  PATCH /api/2.0/serving-endpoints/scgpt-serving/notifications -> 200
  {
   "email_notifications": {
    "on_update_failure": [
     "ops@example.com"
    ]
   }
  }
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local

And nobody any more:

  $ settings
  $ scgpt endpoint apply local 2>/dev/null
  sent PATCH notifications: email_notifications.on_update_failure
  the next plan: 0 changes
  next: scgpt verify local
  $ sent --bodies
  PATCH /api/2.0/serving-endpoints/scgpt-serving/notifications -> 200
  {
   "email_notifications": {}
  }
  $ scgpt plan local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local

The description is taken at creation only. Neither command changes it; both say the way out.

  $ settings 'endpoint.description = "Cell embeddings"'
  $ scgpt deploy local 2>&1 | tail -2
  error: local: refused, nothing was changed:
    databricks_model_serving.endpoint: description would change, which the provider never sends to an endpoint that exists: Terraform would report success (no-call). Undo it: no API changes it after creation. Where it must change, deploy another endpoint beside this one, move its callers, and destroy this one.
  $ scgpt endpoint apply local 2>&1 | tail -2
  error: local: refused, nothing was changed:
    endpoint scgpt-serving: description is 'absent', declared is 'Cell embeddings'. The platform's API takes it at creation only. Undo it, or deploy an endpoint of another name beside this one and move its callers.
  $ sent
