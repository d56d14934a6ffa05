A profile is one way to log in. A pipeline has none: two variables are enough for Terraform. Nothing
of them is in what is synthesised.

  $ cat login
  # For `. ./login`: logged in by two variables; there is no profile.
  eval "$(scgpt env local)"
  DATABRICKS_HOST=$(sed -n 's/^host *= *//p' databrickscfg | head -1)
  DATABRICKS_TOKEN=$(sed -n 's/^token *= *//p' databrickscfg | head -1)
  export DATABRICKS_HOST DATABRICKS_TOKEN DATABRICKS_CONFIG_FILE=/dev/null
  unset DATABRICKS_CONFIG_PROFILE
  cd deploy/local-*/stacks/local-serving || exit
  $ . ./login; terraform plan -no-color | grep ^No
  No changes. Your infrastructure matches the configuration.
  $ grep -A 6 '"provider": {' deploy/local-*/stacks/local-serving/cdk.tf.json
    "provider": {
      "databricks": [
        {
          "retry_timeout_seconds": 60
        }
      ]
    },

A change is applied the same way. The token is in no plan and in no state.

  $ settings 'gateway.rate_limits = [{calls = 600, key = "user"}]'
  $ scgpt plan local 2>/dev/null | grep -v digest
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      + ai_gateway[0].rate_limits[0].calls = 600
      + ai_gateway[0].rate_limits[0].key = "user"
      + ai_gateway[0].rate_limits[0].renewal_period = "minute"
  next: scgpt deploy local
  $ . ./login; terraform apply -auto-approve -no-color | grep ^Apply
  Apply complete! Resources: 0 added, 1 changed, 0 destroyed.
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/ai-gateway -> 200
  $ . ./login; terraform plan -out=plan >/dev/null; terraform show -json plan > plan.json; grep -rlF "$DATABRICKS_TOKEN" . ../../../../state
  [1]
  $ scgpt verify local
  local: as declared
  next: scgpt status local

A wrong token is refused by the workspace, and not repeated.

  $ . ./login; DATABRICKS_TOKEN=dapi-0123-wrong terraform plan -no-color 2>&1 | grep ^Error
  Error: cannot read model serving: Invalid access token. Take the profile of this instance's Databricks configuration file.
