The same endpoint by databricks-sdk, by MLflow's deployments client and by REST. Each takes sizes,
versions, gateway, tags and permissions from the environment's files.

  $ release 1:100
  $ cat describe
  # What the API says of an endpoint and of who may use it, without ids and times.
  id=$(show "/api/2.0/serving-endpoints/$1" id | tr -d '"')
  {
      show "/api/2.0/serving-endpoints/$1"
      show "/api/2.0/permissions/serving-endpoints/$id" access_control_list
  } | grep -v -e '"id"' -e _timestamp | sed 's/by[-_][a-z]*/NAME/'
  $ for way in sdk mlflow rest; do (eval "$(scgpt env local)"; python -m examples.endpoint.with_$way local --name by-$way); done
  {"name": "by-sdk", "id": "<id>"}
  {"name": "by-mlflow", "id": "<id>"}
  {"name": "by-rest", "id": "<id>"}
  $ sent
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  POST /api/2.0/serving-endpoints/ -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200

Nothing but their names is different.

  $ diff <(sh describe by-sdk) <(sh describe by-rest)
  $ diff <(sh describe by-mlflow) <(sh describe by-rest)

Nor is Terraform's.

  $ settings 'endpoint.name = "by-terraform"' 'gateway.inference_table_prefix = "by_terraform"'
  $ quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ diff <(sh describe by-rest) <(sh describe by-terraform)

What each needs is in its help.

  $ for way in sdk mlflow rest; do python -m examples.endpoint.with_$way --help | grep eval; done
  eval "$(scgpt env local)"
      eval "$(scgpt env local)"
      eval "$(scgpt env local)"
