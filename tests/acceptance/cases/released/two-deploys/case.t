A deploy that takes its time: the workspace answers late.

  $ release 1:100
  $ api POST /_local/faults '{"method": "POST", "path": "/api/2.0/serving-endpoints", "delay_s": 12}'
  200
  $ scgpt deploy local > first.log 2>&1 &
  $ until [ -s deploy/local.lock ]; do sleep 0.1; done

A second one, and a plan, say at once who is at work.

  $ scgpt deploy local
  error: local is locked: <user>@<machine> runs deploy since <time> (process <number>). Wait until it is done
  [1]
  $ scgpt plan local
  error: local is locked: <user>@<machine> runs deploy since <time> (process <number>). Wait until it is done
  [1]

When the first is done, the second has nothing left to do.

  $ flock deploy/local.lock true
  $ grep -o 'verified by API' first.log
  verified by API
  $ scgpt deploy local 2>/dev/null
  local: 0 changes, by databricks/databricks 1.99.0
  digest <digest>
  nothing was changed in <n> s
  next: scgpt smoke local
  $ sent
  POST /api/2.0/serving-endpoints -> 200
  PUT /api/2.0/permissions/serving-endpoints/<id> -> 200
  PUT /api/2.0/fs/files/Volumes/main/scgpt/artifacts/last_deploy.json -> 204
  PUT /api/2.1/unity-catalog/models/main.scgpt.scgpt_gene_embeddings/aliases/champion -> 200

Across machines the lock of the Terraform state does the same (case `empty/remote-state`).
