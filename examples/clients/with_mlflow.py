"""Ask an endpoint with MLflow's deployments client.

eval "$(scgpt env local)"
python -m examples.clients.with_mlflow scgpt-serving
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mlflow.deployments import get_deploy_client

REQUEST = Path(__file__).with_name("request.json")


def main() -> None:
    client: Any = get_deploy_client("databricks")  # type: ignore[no-untyped-call]
    answer = client.predict(endpoint=sys.argv[1], inputs=json.loads(REQUEST.read_text()))
    for line in answer["predictions"]:
        print(line["id"], len(line["embedding"]), line["model_digest"][:12])


if __name__ == "__main__":
    main()
