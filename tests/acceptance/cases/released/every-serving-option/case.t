Everything that an endpoint can have, from one file. The creation carries all of it at once;
permissions follow.

  $ release 1:100
  $ quietly scgpt deploy local
  local: 2 changes, by databricks/databricks 1.99.0
    local-serving: create databricks_model_serving.endpoint
  ...
    local-serving: create databricks_permissions.endpoint_permissions
  ...
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ sent --bodies
  POST /api/2.0/serving-endpoints -> 200
  {
   "ai_gateway": {
    "inference_table_config": {
     "catalog_name": "main",
     "enabled": true,
     "schema_name": "scgpt",
     "table_name_prefix": "cell_requests"
    },
    "rate_limits": [
     {
      "calls": 6000,
      "key": "endpoint",
      "renewal_period": "minute"
     },
     {
      "calls": 600,
      "key": "user",
      "renewal_period": "minute"
     },
     {
      "calls": 60,
      "key": "user",
      "principal": "reader@local.test",
      "renewal_period": "minute"
     },
     {
      "calls": 1200,
      "key": "user_group",
      "principal": "scientists",
      "renewal_period": "minute"
     },
     {
      "calls": 3000,
      "key": "service_principal",
      "principal": "<uuid>",
      "renewal_period": "minute"
     }
    ],
    "usage_tracking_config": {
     "enabled": true
    }
   },
   "budget_policy_id": "<uuid>",
   "config": {
    "served_entities": [
     {
      "entity_name": "main.scgpt.scgpt_gene_embeddings",
      "entity_version": "1",
      "environment_vars": {
       "OMP_NUM_THREADS": "4"
      },
      "max_provisioned_concurrency": 8,
      "min_provisioned_concurrency": 4,
      "name": "scgpt_gene_embeddings-1",
      "workload_type": "GPU_MEDIUM"
     }
    ],
    "traffic_config": {
     "routes": [
      {
       "served_model_name": "scgpt_gene_embeddings-1",
       "traffic_percentage": 100
      }
     ]
    }
   },
   "description": "Cell and gene embeddings",
   "email_notifications": {
    "on_update_failure": [
     "ops@example.com"
    ],
    "on_update_success": [
     "team@example.com"
    ]
   },
   "name": "cell-embeddings",
   "route_optimized": true,
   "tags": [
    {
     "key": "cost_center",
     "value": "4711"
    },
    {
     "key": "project",
     "value": "scgpt"
    }
   ]
  }
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  {
   "access_control_list": [
    {
     "permission_level": "CAN_MANAGE",
     "service_principal_name": "<uuid>"
    },
    {
     "permission_level": "CAN_VIEW",
     "user_name": "reader@local.test"
    },
    {
     "group_name": "scientists",
     "permission_level": "CAN_QUERY"
    },
    {
     "permission_level": "CAN_MANAGE",
     "user_name": "admin@local.test"
    }
   ]
  }
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200
  {
   "version_num": 1
  }

The API says the same, field by field, and no plan finds anything left to do.

  $ scgpt verify local
  local: as declared
  next: scgpt status local
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local

A route-optimised endpoint is asked at its own URL, with an OAuth token for it. So a personal token is
refused before anything is sent; a service principal's login reaches the model. (The one here gives
constants for a column of its own, and says so.)

  $ scgpt smoke local
  error: cell-embeddings is route-optimised: such endpoints take OAuth only, and this login is pat. Set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of a service principal that may query it, or log in with `databricks auth login`.
  [1]
  $ sed -i 's/^profile = .*/profile = "local-oauth"/' local.toml
  $ scgpt smoke local 2>&1 | grep -o '^error: .*answered 400: Failed to predict'
  error: cell-embeddings answered 400: Failed to predict

What two keys would say twice is refused.

  $ sed -i 's/^provisioned/workload_size = "Small"\nprovisioned/' local.toml
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    endpoint: has both workload_size and provisioned_concurrency: give one of them
  [2]
