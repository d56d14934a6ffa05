Where only the pipeline reaches Terraform's state, `--blocks` writes import blocks and leaves the
state alone.

  $ rm -r local.toml state
  $ api POST /api/2.0/serving-endpoints "$(cat made.json)"
  200
  $ until show /api/2.0/serving-endpoints/by-hand state config_update | grep -q NOT; do sleep 0.3; done
  $ quietly scgpt adopt local --endpoint by-hand --profile local --blocks | grep -e adopted -e written
  by-hand adopted as local: 9 resources
    written: <folder>/local.toml
    written: <folder>/local.release.json
    written: <folder>/local-registry.imports.tf.json
    written: <folder>/local-serving.imports.tf.json
    written: <folder>/local-monitoring.imports.tf.json
  $ ls | grep state
  [1]
  $ grep '"to"' local-serving.imports.tf.json
        "to": "databricks_model_serving.endpoint",

The next plan shows what is imported and changes nothing; its deploy imports it. The endpoint stays
the same one.

  $ show /api/2.0/serving-endpoints/by-hand id > before
  $ quietly scgpt plan local
  local: 9 changes, by databricks/databricks 1.99.0
    local-registry: import databricks_grant.model_grant_scientists
    local-registry: import databricks_grant.schema_grant_scientists
    local-registry: import databricks_grant.volume_grant_scientists
    local-registry: import databricks_mlflow_experiment.experiment
    local-registry: import databricks_registered_model.model
    local-registry: import databricks_schema.schema
    local-registry: import databricks_volume.checkpoints_volume
    local-registry: import databricks_volume.volume
    local-serving: import databricks_model_serving.endpoint
  digest <digest>
  next: scgpt deploy local
  $ quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ show /api/2.0/serving-endpoints/by-hand id | cmp - before && echo the same
  the same
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local
