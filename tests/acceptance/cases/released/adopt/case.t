Somebody made an endpoint in the UI. No file describes it, and Terraform knows nothing of this
workspace.

  $ rm -r local.toml state
  $ api POST /api/2.0/serving-endpoints "$(cat made.json)"
  200
  $ until show /api/2.0/serving-endpoints/by-hand state config_update | grep -q NOT; do sleep 0.3; done
  $ api PUT "/api/2.0/permissions/serving-endpoints/$(show /api/2.0/serving-endpoints/by-hand id | tr -d '"')" '{"access_control_list": [{"user_name": "reader@local.test", "permission_level": "CAN_VIEW"}, {"user_name": "admin@local.test", "permission_level": "CAN_MANAGE"}]}'
  200

A dry run says what would be taken over. The first deploy would change nothing: even the served
entity keeps its name.

  $ sent
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  $ quietly scgpt adopt adopted --endpoint by-hand --profile local --dry-run
  by-hand would be adopted as adopted: 10 resources
    would be written: <folder>/adopted.toml
    would be written: <folder>/adopted.release.json
    note: served entity 'current' keeps its name as long as its version serves
    note: version 2 was not built and validated here: the manifest has zeros for its digests, and every change of the endpoint warns of it until a build of yours serves
  the first deploy will change nothing
  next: the same without --dry-run
  $ ls | grep toml
  [1]

Adopting writes the settings, the manifest and Terraform's state; the workspace is only read. The
plan is empty at once.

  $ quietly scgpt adopt adopted --endpoint by-hand --profile local
  by-hand adopted as adopted: 10 resources
    written: <folder>/adopted.toml
    written: <folder>/adopted.release.json
    note: served entity 'current' keeps its name as long as its version serves
    note: version 2 was not built and validated here: the manifest has zeros for its digests, and every change of the endpoint warns of it until a build of yours serves
  the first deploy will change nothing
  next: scgpt plan adopted
  $ cat adopted.toml
  # Written by `scgpt adopt adopted --endpoint by-hand`; dev.toml explains every key.
  catalog = "main"
  schema = "scgpt"
  model = "scgpt_gene_embeddings"
  deletion_protection = true
  [workspace]
  local = true
  profile = "local"
  [endpoint]
  name = "by-hand"
  workload_type = "CPU"
  workload_size = "Small"
  scale_to_zero = true
  [endpoint.environment]
  MODE = "trial"
  [gateway]
  declared = false
  inference_table_prefix = ""
  usage_tracking = false
  [monitoring]
  enabled = false
  [permissions.users]
  "admin@local.test" = "CAN_MANAGE"
  "reader@local.test" = "CAN_VIEW"
  [[grants]]
  principal = "scientists"
  schema = ["USE_SCHEMA"]
  model = ["EXECUTE"]
  volume = ["READ_VOLUME"]
  [tags]
  made = "by hand"
  [state]
  backend = "local"
  $ sent
  $ quietly scgpt plan adopted
  adopted: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify adopted

A file that says something else by now is not overwritten.

  $ sed 's/^workload_size.*/workload_size = "Medium"/' -i.kept adopted.toml
  $ quietly scgpt adopt adopted --endpoint by-hand --profile local
  error: <folder>/adopted.toml exists and says something else: choose another name, or another folder with --environments
  [3]
  $ mv adopted.toml.kept adopted.toml

A deploy of it has nothing to send.

  $ quietly scgpt deploy adopted | tail -2
  nothing was changed in <n> s
  next: scgpt smoke adopted
  $ sent
  $ show /api/2.0/serving-endpoints/by-hand config served_entities 0 environment_vars
  {
   "MODE": "trial"
  }
  $ quietly scgpt plan adopted
  adopted: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify adopted
