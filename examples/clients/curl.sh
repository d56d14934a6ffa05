#!/usr/bin/env bash
# Ask an endpoint with curl: DATABRICKS_HOST and DATABRICKS_TOKEN say where and who.
#
#   bash examples/clients/curl.sh scgpt-serving
set -euo pipefail
here=$(dirname "$0")

# The token goes through a file of its own: what stands in the command line, others can see.
# Without the Content-Type the model's server answers 500.
curl --silent --show-error --fail-with-body \
  --header @<(printf 'Authorization: Bearer %s' "$DATABRICKS_TOKEN") \
  --header 'Content-Type: application/json' \
  --data @"$here/request.json" \
  "${DATABRICKS_HOST%/}/serving-endpoints/$1/invocations"
