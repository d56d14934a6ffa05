The state lies on a server that asks for a password. The file has the address, the environment has
the password; without it nothing is done.

  $ sed -i "s|STATES|$STATES|" local.toml
  $ quietly scgpt plan local
  error: local-registry: terraform init failed:
  Error: Error refreshing state: HTTP remote state endpoint requires auth
  Set TF_HTTP_USERNAME and TF_HTTP_PASSWORD
  [1]
  $ . ./login; quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt build local --checkpoint DIR, then scgpt deploy local
  $ sent | sort
  POST /api/2.0/mlflow/experiments/create -> 200
  POST /api/2.1/unity-catalog/models -> 200
  POST /api/2.1/unity-catalog/schemas -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  POST /api/2.1/unity-catalog/volumes -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  $ state local-registry | grep '"type"' | sort -u
        "type": "databricks_mlflow_experiment",
        "type": "databricks_registered_model",
        "type": "databricks_schema",
        "type": "databricks_volume",
  $ ls | grep state
  [1]

The password is in no state and in nothing else that was written.

  $ state local-registry | grep -c state-password
  0
  [1]
  $ grep -rlF state-password . --exclude=login
  [1]

While somebody else deploys, Terraform says so, and the command says what to do.

  $ lock local-registry ann@builder-7
  $ . ./login; quietly scgpt deploy local | grep locked
    Error acquiring the state lock: Error message: HTTP remote state already locked: ID=<uuid>
  Another run has locked the state: wait until it is done. Where its process no longer exists, run `terraform force-unlock <uuid>` in <folder>/deploy/local/stacks/local-registry
  $ unlock local-registry
  $ . ./login; quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt build local --checkpoint DIR, then scgpt deploy local

Destroyed, the state is empty, on the server as well.

  $ . ./login; quietly scgpt destroy local --yes | tail -2
  destroyed in <n> s
  next: scgpt deploy local
  $ state local-registry | grep -c '"type"'
  0
  [1]
