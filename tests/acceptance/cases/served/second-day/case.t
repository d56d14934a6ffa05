Somebody clears the AI Gateway and a tag in the UI. The provider never sees cleared fields, so a
plan stays empty; `scgpt verify` asks the API.

  $ api PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway '{}'
  200
  $ api PATCH /api/2.0/serving-endpoints/scgpt-serving/tags '{"delete_tags": ["project"]}'
  200
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 200
  $ scgpt plan local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 1 change
  <n> s  local-monitoring: 0 changes
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
  digest <digest>
  $ scgpt verify local
  ┏━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┓
  ┃ resource               ┃ field           ┃ declared                           ┃ found  ┃
  ┡━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━┩
  │ endpoint scgpt-serving │ inference_table │ main.scgpt.scgpt_inference_payload │ absent │
  │ endpoint scgpt-serving │ usage_tracking  │ True                               │ False  │
  │ endpoint scgpt-serving │ tags.project    │ scgpt                              │ absent │
  └────────────────────────┴─────────────────┴────────────────────────────────────┴────────┘
  local: the workspace differs from what is declared
  [1]

What the provider cannot send, `scgpt endpoint apply` does. A dry run first:

  $ scgpt endpoint apply local --dry-run
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-serving: 1 change
  would send PATCH tags: tags.project
  would send PUT ai-gateway: inference_table, usage_tracking
  the present plan of the endpoint: 1 change
  $ sent
  $ scgpt endpoint apply local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-serving: 1 change
  <n> s  local: PATCH tags: tags.project
  <n> s  local: PUT ai-gateway: inference_table, usage_tracking
  <n> s  local-serving: databricks_model_serving.endpoint: read anew
  <n> s  local-serving: 0 changes
  sent PATCH tags: tags.project
  sent PUT ai-gateway: inference_table, usage_tracking
  the next plan of the endpoint: 0 changes
  $ sent --bodies
  PATCH /api/2.0/serving-endpoints/scgpt-serving/tags -> 200
  {
   "add_tags": [
    {
     "key": "project",
     "value": "scgpt"
    }
   ],
   "delete_tags": []
  }
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  {
   "inference_table_config": {
    "catalog_name": "main",
    "enabled": true,
    "schema_name": "scgpt",
    "table_name_prefix": "scgpt_inference"
   },
   "usage_tracking_config": {
    "enabled": true
   }
  }
  $ scgpt verify local
  local: as declared
  $ scgpt plan local
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 0 changes
  <n> s  local-monitoring: 0 changes
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
