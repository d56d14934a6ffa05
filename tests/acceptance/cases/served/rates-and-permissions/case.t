Limits for the endpoint, each user, one group and one service principal; and who may use it.

  $ settings 'gateway.rate_limits = [{calls = 6000, key = "endpoint"}, {calls = 600}, {calls = 60, key = "user_group", principal = "users"}, {calls = 1200, key = "service_principal", principal = "00000000-0000-4000-8000-0000000000b1"}]' 'permissions.users = {"reader@local.test" = "CAN_VIEW"}'
  $ quietly scgpt deploy local
  local: 2 changes, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      + ai_gateway[0].rate_limits[0].calls = 6000
      + ai_gateway[0].rate_limits[0].key = "endpoint"
      + ai_gateway[0].rate_limits[0].renewal_period = "minute"
      + ai_gateway[0].rate_limits[1].calls = 600
      + ai_gateway[0].rate_limits[1].key = "user"
      + ai_gateway[0].rate_limits[1].renewal_period = "minute"
      + ai_gateway[0].rate_limits[2].calls = 60
      + ai_gateway[0].rate_limits[2].key = "user_group"
      + ai_gateway[0].rate_limits[2].principal = "users"
      + ai_gateway[0].rate_limits[2].renewal_period = "minute"
      + ai_gateway[0].rate_limits[3].calls = 1200
      + ai_gateway[0].rate_limits[3].key = "service_principal"
      + ai_gateway[0].rate_limits[3].principal = "<uuid>"
      + ai_gateway[0].rate_limits[3].renewal_period = "minute"
    local-serving: update databricks_permissions.endpoint_permissions
      + access_control[reader@local.test].permission_level = "CAN_VIEW"
      + access_control[reader@local.test].user_name = "reader@local.test"
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ sent --bodies
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  {
   "inference_table_config": {
    "catalog_name": "main",
    "enabled": true,
    "schema_name": "scgpt",
    "table_name_prefix": "scgpt_inference"
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
     "key": "user_group",
     "principal": "users",
     "renewal_period": "minute"
    },
    {
     "calls": 1200,
     "key": "service_principal",
     "principal": "<uuid>",
     "renewal_period": "minute"
    }
   ],
   "usage_tracking_config": {
    "enabled": true
   }
  }
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  {
   "access_control_list": [
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
  $ show /api/2.0/serving-endpoints/scgpt-serving ai_gateway rate_limits
  [
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
    "key": "user_group",
    "principal": "users",
    "renewal_period": "minute"
   },
   {
    "calls": 1200,
    "key": "service_principal",
    "principal": "<uuid>",
    "renewal_period": "minute"
   }
  ]
  $ scgpt verify local
  local: as declared
  next: scgpt status local

One limit is changed, and nobody's permissions: one request.

  $ sed -i 's/600}/900}/' local.toml
  $ quietly scgpt deploy local
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      ~ ai_gateway[0].rate_limits[1].calls = 600 -> 900
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local

The limits hold: the second request within a minute is refused.

  $ settings 'gateway.rate_limits = [{calls = 1, key = "endpoint"}]'
  $ quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ api POST /serving-endpoints/scgpt-serving/invocations '{"dataframe_records": [{"cell": "a"}]}'
  200
  $ api POST /serving-endpoints/scgpt-serving/invocations '{"dataframe_records": [{"cell": "a"}]}'
  429 Rate limit of endpoint 'scgpt-serving' exceeded: 1 calls per minute for the endpoint. Wait and retry.
