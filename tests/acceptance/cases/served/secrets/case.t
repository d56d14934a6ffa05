A plain secret in the settings is refused; its value is not repeated.

  $ settings 'endpoint.environment = {HUB_TOKEN = "hf_0123456789abcdef"}'
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    endpoint.environment: HUB_TOKEN: looks like a secret: write {{secrets/<scope>/<key>}} (what is none can be kept there too)
  [2]
  $ settings 'endpoint.environment = {HUB_URL = "https://ann:s3cret@hub.example.com"}'
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    endpoint.environment: HUB_URL: looks like a secret: write {{secrets/<scope>/<key>}} (what is none can be kept there too)
  [2]

A reference is what the serving process gets its secret by. One to nothing is refused before anything
is changed.

  $ settings 'endpoint.environment = {HUB_TOKEN = "{{secrets/scgpt/hub}}", OMP_NUM_THREADS = "4"}'
  $ scgpt deploy local 2>&1 >/dev/null | grep -v ' s  '
  error: local: refused, nothing was changed:
    databricks_model_serving.endpoint: the secret scope scgpt: not in the workspace (reference-missing). Make it first, or correct the name.
  $ api POST /api/2.0/secrets/scopes/create '{"scope": "scgpt"}'
  200
  $ api POST /api/2.0/secrets/put '{"scope": "scgpt", "key": "hub", "string_value": "hub-0815-token"}'
  200
  $ scgpt deploy local 2>/dev/null
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      + config[0].served_entities[0].environment_vars.HUB_TOKEN = "{{secrets/scgpt/hub}}"
      + config[0].served_entities[0].environment_vars.OMP_NUM_THREADS = (hidden)
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ show /api/2.0/serving-endpoints/scgpt-serving config served_entities 0 environment_vars
  {
   "HUB_TOKEN": "{{secrets/scgpt/hub}}",
   "OMP_NUM_THREADS": "4"
  }

Nothing that was written holds a token of the workspace: only the profiles do. Nor a path of this
machine, which would make every plan and state differ between machines. That holds for a plan file
as well, which a deploy removes at once.

  $ find deploy -name '*.tfplan'
  $ eval "$(scgpt env local)"; cd deploy/local-*/stacks/local-serving; terraform plan -out=plan >/dev/null; terraform show -json plan > plan.json; ls plan.json
  plan.json
  $ grep -rlF "$(sed -n 's/^token *= *//p' databrickscfg | head -1)" --exclude-dir=workspace .
  ./databrickscfg
  $ grep -rlF "$PWD" deploy state
  [1]

The secret itself is known to the workspace alone. The plan and the state hold the reference.

  $ grep -rlF hub-0815-token --exclude-dir=workspace .
  [1]
  $ grep -rlF secrets/scgpt/hub deploy state | xargs -n 1 basename | sort
  cdk.tf.json
  local-serving.tfstate
  plan.json
