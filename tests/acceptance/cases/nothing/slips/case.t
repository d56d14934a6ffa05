All mistakes of a file are told at once, before anything is done: unknown keys with the nearest one
that exists, wrong types, names that Databricks would refuse.

  $ cat dev.toml
  catalog = "dev"
  schema = "scGPT"
  tgas = { project = "scgpt" }
  [workspace]
  host = "https://dbc-00000000-0001.cloud.databricks.com/login"
  [endpoint]
  name = "databricks-scgpt"
  size = "huge"
  scale_to_zero = "yes"
  timeout_minutes = 30
  [gateway]
  rate_limits = [{ calls = 60, key = "user_group" }]
  [[grants]]
  principal = "scientists"
  model = ["EXECUTE", "SELECT"]
  [state]
  backend = "s3"
  bucket = "states"
  $ scgpt plan dev
  error: <folder>/dev.toml: 10 problems
    schema: must be 'scgpt': Unity Catalog stores lower case (got 'scGPT')
    workspace.host: must be https://<workspace> in lower case, without a path (got 'https://dbc-00000000-0001.cloud.databricks.com/login')
    endpoint.name: must be 1-63 letters, digits, - and _, not starting with 'databricks-' (the platform's own) (got 'databricks-scgpt')
    endpoint.size: must be 'cpu', 'small', 'medium', 'large' or 'xlarge' (got 'huge')
    endpoint.scale_to_zero: must be a valid boolean (got 'yes')
    endpoint.timeout_minutes: must be 91 or more: building the image alone may take an hour, and an endpoint that is late is deleted (got 30)
    gateway.rate_limits.0: key 'user_group' needs a principal
    grants.0.model.1: must be 'ALL_PRIVILEGES', 'APPLY_TAG', 'CREATE_MODEL_VERSION', 'EXECUTE' or 'MANAGE' (got 'SELECT')
    state.region: missing
    tgas: unknown key; did you mean 'tags'?
  [2]

Size and concurrency say the same thing in two ways.

  $ scgpt plan staging
  error: <folder>/staging.toml: 1 problem
    endpoint: has both workload_size and provisioned_concurrency: give one of them
  [2]

Without that, staging still claims the names that prod has on the same workspace.

  $ mv corrected.toml staging.toml
  $ scgpt plan staging
  error: staging and prod are on one workspace (https://dbc-00000000-0003.cloud.databricks.com) and both claim schema main.scgpt and endpoint scgpt-serving: give each environment names of its own, or a workspace of its own
  [2]

An environment that does not exist, and a file that is no TOML:

  $ scgpt plan produ
  error: unknown environment 'produ': known in <folder> are dev, local, prod, staging
  [2]
  $ echo 'catalog = ' > dev.toml
  $ scgpt plan dev
  error: <folder>/dev.toml: no TOML: Invalid value (at line 1, column 11)
  [2]

None of this is a concern of `local`: it fails only because there is no workspace here.

  $ scgpt plan local
  error: <folder>/databrickscfg has no profile 'local': start the local workspace with `scgpt workspace start`
  [1]
