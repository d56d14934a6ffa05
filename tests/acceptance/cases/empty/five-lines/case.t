Five lines are enough for a workspace.

  $ cat local.toml
  catalog = "main"
  [workspace]
  host = "http://127.0.0.1:<port>"
  [state]
  backend = "local"
  $ scgpt plan local
  error: <folder>/databrickscfg has no profile 'DEFAULT': start the local workspace with `scgpt workspace start`
  [1]
