"""Make the environment's endpoint with MLflow's deployments client.

    eval "$(scgpt env local)"
    python -m examples.endpoint.with_mlflow local

The client does not wait and knows no permissions: the first is a loop here, the second one call of
databricks-sdk.
"""

from __future__ import annotations

import json
import time
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.serving import ServingEndpointAccessControlRequest
from mlflow.deployments import get_deploy_client

from examples.endpoint import description

POLL_SECONDS = 2.0


def main() -> None:
    given = description.arguments(__doc__)
    body = description.describe(given)
    client: Any = get_deploy_client("databricks")  # type: ignore[no-untyped-call]

    # The whole request as `config`; name and route_optimized as arguments are deprecated.
    endpoint = client.create_endpoint(config=body)
    while endpoint["state"]["config_update"] == "IN_PROGRESS":
        time.sleep(POLL_SECONDS)
        endpoint = client.get_endpoint(body["name"])
    if endpoint["state"]["ready"] != "READY":
        raise SystemExit(f"{body['name']} is not ready: {json.dumps(endpoint['state'])}")
    if entries := description.access(given, endpoint["creator"]):
        WorkspaceClient().serving_endpoints.set_permissions(
            endpoint["id"],
            access_control_list=[
                ServingEndpointAccessControlRequest.from_dict(entry) for entry in entries
            ],
        )
    print(json.dumps({"name": endpoint["name"], "id": endpoint["id"]}))


if __name__ == "__main__":
    main()
