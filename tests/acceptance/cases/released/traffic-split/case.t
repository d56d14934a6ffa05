The release manifest says which versions are live, and how much of the traffic each gets: here a
tenth goes to version 2 for a trial.

  $ release 1:90 2:10
  $ quietly scgpt deploy local
  local: 2 changes, by databricks/databricks 1.99.0
    local-serving: create databricks_model_serving.endpoint
  ...
    local-serving: create databricks_permissions.endpoint_permissions
  ...
  digest <digest>
  deployed in <n> s
  next: scgpt smoke local
  $ sent
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200
  $ show /api/2.0/serving-endpoints/scgpt-serving config traffic_config routes
  [
   {
    "served_entity_name": "scgpt_gene_embeddings-1",
    "served_model_name": "scgpt_gene_embeddings-1",
    "traffic_percentage": 90
   },
   {
    "served_entity_name": "scgpt_gene_embeddings-2",
    "served_model_name": "scgpt_gene_embeddings-2",
    "traffic_percentage": 10
   }
  ]

Then all of it goes to version 2, and the endpoint gets larger.

  $ release 2:100
  $ settings 'endpoint.workload_size = "Medium"'
  $ quietly scgpt plan local
  local: 1 change, by databricks/databricks 1.99.0
    local-serving: update databricks_model_serving.endpoint
      ~ config[0].served_entities[0].entity_version = "1" -> "2"
      ~ config[0].served_entities[0].name = "scgpt_gene_embeddings-1" -> "scgpt_gene_embeddings-2"
      ~ config[0].served_entities[0].workload_size = "Small" -> "Medium"
      - config[0].served_entities[1].entity_name = "main.scgpt.scgpt_gene_embeddings"
      - config[0].served_entities[1].entity_version = "2"
      - config[0].served_entities[1].name = "scgpt_gene_embeddings-2"
      - config[0].served_entities[1].scale_to_zero_enabled = true
      - config[0].served_entities[1].workload_size = "Small"
      - config[0].served_entities[1].workload_type = "GPU_SMALL"
      - config[0].traffic_config[0].routes[0].served_entity_name = "scgpt_gene_embeddings-1"
      ~ config[0].traffic_config[0].routes[0].served_model_name = "scgpt_gene_embeddings-1" -> "scgpt_gene_embeddings-2"
      ~ config[0].traffic_config[0].routes[0].traffic_percentage = 90 -> 100
      - config[0].traffic_config[0].routes[1].served_entity_name = "scgpt_gene_embeddings-2"
      - config[0].traffic_config[0].routes[1].served_model_name = "scgpt_gene_embeddings-2"
      - config[0].traffic_config[0].routes[1].traffic_percentage = 10
  digest <digest>
  next: scgpt deploy local
  $ quietly scgpt deploy local | tail -2
  deployed in <n> s
  next: scgpt smoke local
  $ sent --bodies
  PUT /api/2.0/serving-endpoints/scgpt-serving/config -> 200
  {
   "served_entities": [
    {
     "entity_name": "main.scgpt.scgpt_gene_embeddings",
     "entity_version": "2",
     "name": "scgpt_gene_embeddings-2",
     "scale_to_zero_enabled": true,
     "workload_size": "Medium",
     "workload_type": "GPU_SMALL"
    }
   ],
   "traffic_config": {
    "routes": [
     {
      "served_model_name": "scgpt_gene_embeddings-2",
      "traffic_percentage": 100
     }
    ]
   }
  }
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/previous -> 200
  {
   "version_num": 1
  }
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200
  {
   "version_num": 2
  }
  $ show /api/2.0/serving-endpoints/scgpt-serving config traffic_config routes
  [
   {
    "served_entity_name": "scgpt_gene_embeddings-2",
    "served_model_name": "scgpt_gene_embeddings-2",
    "traffic_percentage": 100
   }
  ]
  $ quietly scgpt plan local
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  next: scgpt verify local
