"""Make the environment's endpoint by plain REST.

    eval "$(scgpt env local)"
    python -m examples.endpoint.with_rest local

Any HTTP client does: the SDK is used here for the headers alone, because it knows every way to
authenticate (token, OAuth of a service principal, OIDC federation, Azure CLI).
"""

from __future__ import annotations

import json
import time
from typing import Any

import requests
from databricks.sdk.core import Config

from examples.endpoint import description

POLL_SECONDS = 2.0


def main() -> None:
    given = description.arguments(__doc__)
    body = description.describe(given)
    config = Config()
    url = f"{config.host}/api/2.0/serving-endpoints"

    endpoint = _answer(requests.post(url, json=body, headers=config.authenticate(), timeout=60))
    while endpoint["state"]["config_update"] == "IN_PROGRESS":
        time.sleep(POLL_SECONDS)
        endpoint = _answer(
            requests.get(f"{url}/{body['name']}", headers=config.authenticate(), timeout=60)
        )
    if endpoint["state"]["ready"] != "READY":
        raise SystemExit(f"{body['name']} is not ready: {json.dumps(endpoint['state'])}")
    if entries := description.access(given, endpoint["creator"]):
        _answer(
            requests.put(
                f"{config.host}/api/2.0/permissions/serving-endpoints/{endpoint['id']}",
                json={"access_control_list": entries},
                headers=config.authenticate(),
                timeout=60,
            )
        )
    print(json.dumps({"name": endpoint["name"], "id": endpoint["id"]}))


def _answer(response: requests.Response) -> dict[str, Any]:
    if not response.ok:
        raise SystemExit(f"{response.request.method} {response.url}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


if __name__ == "__main__":
    main()
