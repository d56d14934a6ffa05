"""Make the environment's endpoint with databricks-sdk.

eval "$(scgpt env local)"
python -m examples.endpoint.with_sdk local
"""

from __future__ import annotations

import json
from datetime import timedelta

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.serving import (
    AiGatewayConfig,
    EmailNotifications,
    EndpointCoreConfigInput,
    EndpointTag,
    ServingEndpointAccessControlRequest,
)

from examples.endpoint import description

LIMIT = timedelta(minutes=100)


def main() -> None:
    given = description.arguments(__doc__)
    body = description.describe(given)
    notified = body.get("email_notifications")
    client = WorkspaceClient()
    endpoint = client.serving_endpoints.create_and_wait(
        name=body["name"],
        # Types of the SDK, read from the same description; ServedEntityInput(...), AiGatewayConfig
        # (...) and so on take the same names as arguments.
        config=EndpointCoreConfigInput.from_dict(body["config"]),
        ai_gateway=AiGatewayConfig.from_dict(body["ai_gateway"]),
        tags=[EndpointTag.from_dict(tag) for tag in body.get("tags", [])],
        description=body.get("description"),
        budget_policy_id=body.get("budget_policy_id"),
        email_notifications=EmailNotifications.from_dict(notified) if notified else None,
        route_optimized=body.get("route_optimized") or None,
        timeout=LIMIT,
    )
    if entries := description.access(given, str(endpoint.creator)):
        client.serving_endpoints.set_permissions(
            str(endpoint.id),
            access_control_list=[
                ServingEndpointAccessControlRequest.from_dict(entry) for entry in entries
            ],
        )
    print(json.dumps({"name": endpoint.name, "id": endpoint.id}))


if __name__ == "__main__":
    main()
