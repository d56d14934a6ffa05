A T-shirt size means the like on every cloud; what it is called there follows from the workspace's
address, or from `cloud`. Here the sizes of the three clouds, for an endpoint that runs on GPU_SMALL.

  $ for cloud in aws azure gcp; do grep '^size' $cloud.toml; cp $cloud.toml local.toml; quietly scgpt plan local | grep workload_type; done
  size = "large"
      ~ config[0].served_entities[0].workload_type = "GPU_SMALL" -> "MULTIGPU_MEDIUM"
  size = "medium"
      ~ config[0].served_entities[0].workload_type = "GPU_SMALL" -> "GPU_LARGE"
  size = "medium"
      ~ config[0].served_entities[0].workload_type = "GPU_SMALL" -> "GPU_MEDIUM"

What a cloud does not have is refused before anything is asked.

  $ sed -i 's/medium/xlarge/' local.toml
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    gcp has no size 'xlarge'; it has cpu, small, medium, large
  [2]
  $ sed -i 's/^size.*/size = "huge"/' local.toml
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    endpoint.size: must be 'cpu', 'small', 'medium', 'large' or 'xlarge' (got 'huge')
  [2]
  $ sed -i 's/^size.*/size = "small"\nworkload_type = "GPU_MEDIUM"/' local.toml
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    endpoint: has both size and workload_type: give one of them
  [2]
