The release manifest is written by builds. This one is of `dev`.

  $ cp of-dev.json local.release.json
  $ scgpt plan local 2>&1 | grep -v provider
  error: <folder>/local.release.json: is the release manifest of 'dev', not of 'local': a manifest cannot be copied. Remove it and run `scgpt build local --checkpoint DIR`

Edited by hand, it no longer has the digest that it carries.

  $ release 1:90 2:10
  $ sed -i 's/"version": 2/"version": 3/' local.release.json
  $ scgpt plan local 2>&1 | grep -v provider
  error: <folder>/local.release.json: was edited by hand: what it says does not have the digest it carries. Put it back (git checkout); `scgpt build local --checkpoint DIR --release` changes it

Traffic of 101 %, and more served entities than an endpoint may have:

  $ release 1:90 2:10
  $ sed -i 's/"traffic": 90/"traffic": 91/' local.release.json
  $ scgpt plan local 2>&1 | grep -v provider
  error: <folder>/local.release.json: not a release manifest
    served: traffic must add up to 100, got 101
  $ cp of-eleven.json local.release.json
  $ scgpt plan local 2>&1 | grep -v provider
  error: <folder>/local.release.json: not a release manifest
    served: an endpoint serves at most 10 versions, got 11

Without a manifest nothing was released yet: the registry is planned, no endpoint. That `dev.toml`
in the same folder is broken is no concern of `local`.

  $ rm local.release.json
  $ cat dev.toml
  catalog =
  $ scgpt plan dev
  error: <folder>/dev.toml: no TOML: Invalid value (at line 1, column 11)
  [2]
  $ scgpt plan local 2>&1 | head -6
  <n> s  local: provider databricks/databricks 1.99.0
  <n> s  local: synthesised
  <n> s  local: nothing released yet (no local.release.json): no endpoint
  <n> s  local-registry: 8 changes
  <n> s  local-monitoring: 0 changes
  local: 8 changes, by databricks/databricks 1.99.0
  $ sent
