The guards judge any Terraform plan, not only those of this repository. Somebody has an endpoint in
a module of their own.

  $ cat main.tf
  terraform {
    required_providers {
      databricks = {
        source = "databricks/databricks"
      }
    }
  }
  resource "databricks_model_serving" "ours" {
    name = "embeddings"
    config {
      served_entities {
        name                  = "current"
        entity_name           = "main.scgpt.scgpt_gene_embeddings"
        entity_version        = "9"
        workload_type         = "GPU_LARGE"
        workload_size         = "Small"
        scale_to_zero_enabled = true
      }
      traffic_config {
        routes {
          served_model_name  = "current"
          traffic_percentage = 90
        }
      }
    }
    ai_gateway {
      inference_table_config {
        enabled = false
      }
    }
  }
  $ mkdir module && mv main.tf module
  $ eval "$(scgpt env local)"; cd module; terraform init -no-color >/dev/null; terraform plan -out=plan -no-color | grep Plan:; terraform show -json plan > plan.json
  Plan: 1 to add, 0 to change, 0 to destroy.

Offline, what needs settings or a workspace is skipped, and said to be.

  $ scgpt guard --plan module/plan.json
  refuse: databricks_model_serving.ours: routes add up to 90 % (traffic). Configure a route for every served entity, 100 % in all.
  refuse: databricks_model_serving.ours: ai_gateway.inference_table_config has enabled = false, which the provider never sends (disabled-is-not-sent). Leave the whole block out to turn it off.
  refuse: databricks_model_serving.ours: create timeout 45m: <n> s before that the provider deletes an endpoint that is not ready (short-timeout). Give it 91m or more (endpoint.timeout_minutes).
  skipped: production-without-table: needs the environment's settings (ENV)
  skipped: production-scale-to-zero: needs the environment's settings (ENV)
  skipped: workload-type: needs the environment's settings (ENV)
  skipped: destroy-production: needs the environment's settings (ENV)
  skipped: waiver-expired: needs the environment's settings (ENV)
  skipped: waiver-unknown: needs the environment's settings (ENV)
  skipped: deploy-by-person: needs the workspace (ENV)
  skipped: version-missing: needs the workspace (ENV)
  skipped: version-not-validated: needs the workspace (ENV)
  skipped: version-rolled-back: needs the workspace (ENV)
  skipped: manifest-missing: needs the workspace (ENV)
  skipped: exists-already: needs the workspace (ENV)
  skipped: reference-missing: needs the workspace (ENV)
  skipped: endpoint-updating: needs the workspace (ENV)
  refused
  next: mend what is refused, and plan anew
  [3]

With an environment, these checks are made too.

  $ scgpt guard local --plan module/plan.json
  refuse: databricks_model_serving.ours: routes add up to 90 % (traffic). Configure a route for every served entity, 100 % in all.
  refuse: databricks_model_serving.ours: version 9 of main.scgpt.scgpt_gene_embeddings does not exist in Unity Catalog, or is not ready (version-missing). Build it, or let the release manifest name one that exists.
  refuse: databricks_model_serving.ours: ai_gateway.inference_table_config has enabled = false, which the provider never sends (disabled-is-not-sent). Leave the whole block out to turn it off.
  refuse: databricks_model_serving.ours: GPU_LARGE: aws has no such workload type (workload-type). Choose endpoint.size, or one of CPU, GPU_SMALL, GPU_MEDIUM, MULTIGPU_MEDIUM, GPU_MEDIUM_8.
  refused
  next: mend what is refused, and plan anew
  [3]

A team that still logs to a legacy table edits its endpoint: the gateway is taken out, and the entity
loses its name. Terraform shows this plan as one update; each of the three would go wrong.

  $ scgpt guard --plan plan-of-others.json | grep -v ^skipped
  refuse: databricks_model_serving.theirs: serves nothing, or an entity without a name (unnamed-entity). Name every served entity: without one, a new version is sent under the old name.
  refuse: databricks_model_serving.theirs: uses auto_capture_config, which the platform no longer supports (legacy-table). Log payloads through the AI Gateway's inference table.
  refuse: databricks_model_serving.theirs: ai_gateway would be removed: the provider fails and then believes it was done (gateway-removed). Keep the block, and leave out the parts that are to be off.
  refused
  next: mend what is refused, and plan anew

From stdin, for programs:

  $ scgpt guard --plan - --json < module/plan.json | head -8
  {
    "findings": [
      {
        "address": "databricks_model_serving.ours",
        "check": "traffic",
        "message": "routes add up to 90 %",
        "remedy": "Configure a route for every served entity, 100 % in all.",
        "severity": "refuse",

What is no plan is wrong usage.

  $ scgpt guard --plan module/main.tf
  error: module/main.tf: no JSON: give what `terraform show -json PLANFILE` prints
  [2]
