All environments at a glance: which versions are released and which are live, what has drifted, and
who deployed last. A broken file is a row with its reason, and hides no other row.

  $ COLUMNS=200 scgpt environments | grep -v ─ | sed 's/, commit.*//'
   environment  workspace               stacks             manifest   live       state  drift  last deploy
   local        http://127.0.0.1:<port>  registry, serving  1 (100 %)  1 (100 %)  READY  none   <time> UTC by admin@local.test
   prod                                                    none       ?                 ?
  prod: <folder>/prod.toml: 1 problem
    state.backend: missing; you wrote 'backnd'
  next: scgpt plan local

Somebody puts version 2 behind the endpoint by hand. The table, and in full the JSON, say so.

  $ api PUT /api/2.0/serving-endpoints/scgpt-serving/config "$(cat version-2.json)"
  200
  $ until show /api/2.0/serving-endpoints/scgpt-serving state config_update | grep -q NOT; do sleep 0.3; done
  $ rm prod.toml
  $ COLUMNS=200 scgpt environments | grep -v ─ | sed 's/, commit.*//'
   environment  workspace               stacks             manifest   live       state  drift  last deploy
   local        http://127.0.0.1:<port>  registry, serving  1 (100 %)  2 (100 %)  READY  2      <time> UTC by admin@local.test
  local: endpoint scgpt-serving: scgpt_gene_embeddings-1 is 'absent', declared is 'version 1, 100 %'
  local: endpoint scgpt-serving: scgpt_gene_embeddings-2 is 'version 2, 100 %', declared is 'absent'
  next: scgpt verify local
  $ scgpt environments --json | grep -v '"commit"'
  {
    "environments": [
      {
        "as_released": false,
        "deployed": [
          "local-registry",
          "local-serving"
        ],
        "drift": [
          "endpoint scgpt-serving: scgpt_gene_embeddings-1 is 'absent', declared is 'version 1, 100 %'",
          "endpoint scgpt-serving: scgpt_gene_embeddings-2 is 'version 2, 100 %', declared is 'absent'"
        ],
        "endpoint": "scgpt-serving",
        "environment": "local",
        "last_change": "<time>",
        "last_deploy": {
          "at": "<time>",
          "by": "admin@local.test",
          "plan_digest": "<digest>"
        },
        "live": {
          "2": 100
        },
        "made_by": "admin@local.test",
        "problem": null,
        "released": {
          "1": 100
        },
        "stacks": [
          "local-registry",
          "local-serving"
        ],
        "state": "READY",
        "workspace": "http://127.0.0.1:<port>"
      }
    ],
    "next": [
      "scgpt verify local"
    ]
  }
