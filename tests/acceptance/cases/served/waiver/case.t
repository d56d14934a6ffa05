A new version for production that scales to zero: refused.

  $ settings 'production = true'
  $ release 2:100
  $ scgpt deploy local 2>&1 >/dev/null | grep -v ' s  '
  error: local: refused, nothing was changed:
    databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Set endpoint.scale_to_zero = false.

A waiver has a reason and a last day. The refusal becomes a warning that names both, here and in the
comment that reviewers see; then the deploy goes through.

  $ settings 'production = true' 'waivers = [{check = "production-scale-to-zero", reason = "No requests before the launch", until = '$(date -d '+300 days' +%F)'}]'
  $ scgpt plan local 2>/dev/null | grep warn
  warn: local-serving: databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Waived: No requests before the launch (until <day>).
  $ scgpt review local 2>/dev/null | grep warn
  - **warn**: databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Waived: No requests before the launch (until <day>).
  $ scgpt deploy local 2>&1 >/dev/null
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local-registry: 0 changes
  <n> s  local-serving: 1 change
  <n> s  local-monitoring: 0 changes
  <n> s  local: warn: databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Waived: No requests before the launch (until <day>).
  <n> s  local-serving: databricks_model_serving.endpoint: update
  <n> s  local-serving: databricks_model_serving.endpoint: done in <n> s
  <n> s  local: verified by API
  $ sent
  PUT /api/2.0/serving-endpoints/scgpt-serving/config -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/previous -> 200
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200

After that day it refuses the next change again, and says why.

  $ settings 'production = true' 'waivers = [{check = "production-scale-to-zero", reason = "No requests before the launch", until = 2026-01-31}]'
  $ release 3:100
  $ scgpt deploy local 2>&1 >/dev/null | grep -v ' s  '
  error: local: refused, nothing was changed:
    databricks_model_serving.endpoint: scales production to zero: capacity is not guaranteed to come back, and the first request waits for minutes (production-scale-to-zero). Set endpoint.scale_to_zero = false. The waiver (No requests before the launch) expired on 2026-01-31.

A waiver without a reason or a date, and one of a check that does not exist:

  $ settings 'waivers = [{check = "production-scale-to-zero", reason = ""}]'
  $ scgpt plan local
  error: <folder>/local.toml: 2 problems
    waivers.0.reason: must have at least 10 characters (got '')
    waivers.0.until: missing
  [2]
  $ settings 'waivers = [{check = "scale-to-zero", reason = "No requests yet", until = '$(date -d '+300 days' +%F)'}]'
  $ scgpt plan local 2>/dev/null | grep warn
  warn: local.toml: waivers.0: waives 'scale-to-zero', which is no check (waiver-unknown). Did you mean 'production-scale-to-zero'?
