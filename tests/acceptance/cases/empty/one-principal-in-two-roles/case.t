The service principal that builds also deploys, and no `deployer` is declared. The provider never
lowers the rights of whoever runs it: what a builder needs of the experiment would be refused for ever.

  $ settings 'builder = "00000000-0000-4000-8000-0000000000b1"' 'workspace.profile = "local-builder"' 'grants = []' 'permissions.groups = {}'
  $ quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ show "/api/2.0/permissions/experiments/$(show '/api/2.0/mlflow/experiments/get-by-name?experiment_name=/Shared/main.scgpt.scgpt_gene_embeddings' experiment experiment_id | tr -d '"')" access_control_list
  [
   {
    "all_permissions": [
     {
      "inherited": false,
      "permission_level": "CAN_MANAGE"
     }
    ],
    "display_name": "<uuid>",
    "service_principal_name": "<uuid>"
   },
   {
    "all_permissions": [
     {
      "inherited": true,
      "permission_level": "CAN_MANAGE"
     }
    ],
    "display_name": "admins",
    "group_name": "admins"
   }
  ]
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

Somebody else who deploys gives the builder what a builder needs, and stays in charge.

  $ settings 'builder = "00000000-0000-4000-8000-0000000000b1"' 'grants = []' 'permissions.groups = {}'
  $ quietly scgpt deploy local | tail -7
    local-registry: update databricks_permissions.experiment_permissions
      ~ access_control[<uuid>].permission_level = "CAN_MANAGE" -> "CAN_EDIT"
      + access_control[admin@local.test].permission_level = "CAN_MANAGE"
      + access_control[admin@local.test].user_name = "admin@local.test"
  digest <digest>
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ scgpt verify local
  local: as declared
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

Principals and catalogs that nobody has made are refused before anything is changed.

  $ settings 'readers = ["nobody-here"]' 'planner = "gone@example.com"' 'monitoring = {enabled = true, warehouse_id = "0123456789abcdef"}'
  $ scgpt deploy local 2>&1 | grep -v ' s  '
  error: local: refused, nothing was changed:
    databricks_grant.checkpoints_volume_grant_gone_example_com_c1ab2e55: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_grant.model_grant_gone_example_com_c1ab2e55: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_grant.model_grant_nobody_here_1d60cf23: the group nobody-here: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_grant.schema_grant_gone_example_com_c1ab2e55: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_grant.schema_grant_nobody_here_1d60cf23: the group nobody-here: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_grant.volume_grant_gone_example_com_c1ab2e55: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_grant.volume_grant_nobody_here_1d60cf23: the group nobody-here: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.experiment_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.alert_device_fallback_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.alert_drift_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.alert_error_rate_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.alert_slow_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.alert_versions_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.alert_volume_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.dashboard_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.job_daily_error_rate_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.job_device_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.job_drift_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.job_retention_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.job_unpack_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_cost_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_drift_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_errors_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_kpi_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_per_day_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_per_hour_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_recent_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_refusals_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_slow_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
    databricks_permissions.query_usage_permissions: the user gone@example.com: not in the workspace (reference-missing). Make it first, or correct the name.
  $ settings 'catalog = "nowhere"'
  $ scgpt plan local 2>&1 | grep -v ' s  '
  local: 13 changes, by databricks/databricks 1.99.0
    local-registry: delete databricks_grant.checkpoints_volume_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
    local-registry: delete databricks_grant.model_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
    local-registry: create databricks_grant.model_grant_scientists
  ...
    local-registry: delete databricks_grant.schema_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
    local-registry: create databricks_grant.schema_grant_scientists
  ...
    local-registry: delete databricks_grant.volume_grant_00000000_0000_4000_8000_0000000000b1_7e1ae7ae
    local-registry: create databricks_grant.volume_grant_scientists
  ...
    local-registry: update databricks_mlflow_experiment.experiment
      ~ name = "/Shared/main.scgpt.scgpt_gene_embeddings" -> "/Shared/nowhere.scgpt.scgpt_gene_embeddings"
    local-registry: delete databricks_permissions.experiment_permissions
    local-registry: delete+create databricks_registered_model.model
      - browse_only = false
      ~ catalog_name = "main" -> "nowhere"
      known after the deploy: 9 values
    local-registry: delete+create databricks_schema.schema
      ~ catalog_name = "main" -> "nowhere"
      known after the deploy: 5 values
    local-registry: delete+create databricks_volume.checkpoints_volume
      ~ catalog_name = "main" -> "nowhere"
      - storage_location = "dbfs:/Volumes/main/scgpt/checkpoints"
      known after the deploy: id, owner, volume_path
    local-registry: delete+create databricks_volume.volume
      ~ catalog_name = "main" -> "nowhere"
      - storage_location = "dbfs:/Volumes/main/scgpt/artifacts"
      known after the deploy: id, owner, volume_path
  refuse: local-registry: databricks_registered_model.model: would be deleted and made anew because of catalog_name, losing all its versions (replacement). Undo the change; where it is meant, run `scgpt destroy local` with the old settings first.
  refuse: local-registry: databricks_schema.schema: would be deleted and made anew because of catalog_name, losing everything in it (replacement). Undo the change; where it is meant, run `scgpt destroy local` with the old settings first.
  refuse: local-registry: databricks_schema.schema: the catalog nowhere: not in the workspace (reference-missing). Make it first, or correct the name.
  refuse: local-registry: databricks_volume.checkpoints_volume: would be deleted and made anew because of catalog_name, losing the files in it (replacement). Undo the change; where it is meant, run `scgpt destroy local` with the old settings first.
  refuse: local-registry: databricks_volume.volume: would be deleted and made anew because of catalog_name, losing the files in it (replacement). Undo the change; where it is meant, run `scgpt destroy local` with the old settings first.
  next: mend what is refused, then scgpt plan local
