"""Ask an endpoint with requests: DATABRICKS_HOST and DATABRICKS_TOKEN say where and who.

python -m examples.clients.with_requests scgpt-serving
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import requests

REQUEST = Path(__file__).with_name("request.json")


def main() -> None:
    host, token = os.environ["DATABRICKS_HOST"], os.environ["DATABRICKS_TOKEN"]
    answer = requests.post(
        f"{host.rstrip('/')}/serving-endpoints/{sys.argv[1]}/invocations",
        data=REQUEST.read_bytes(),
        # Without the Content-Type the model's server answers 500; json=... sets it by itself.
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        timeout=300,
    )
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {answer.text}")
    for line in answer.json()["predictions"]:
        print(line["id"], len(line["embedding"]), line["model_digest"][:12])


if __name__ == "__main__":
    main()
