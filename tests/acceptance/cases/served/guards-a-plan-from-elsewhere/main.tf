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
