"""The shipped environments as Terraform JSON, and the text of one that declares everything."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cdktf import Testing as Cdk

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from tests.unit.infra.manifests import canary, champion

ENVIRONMENTS = ("local", "dev", "staging", "prod")

RELEASES = {"champion": champion, "canary": canary}


@cache
def synthesised(name: str, release: str | None) -> dict[str, Any]:
    """Stack name -> its Terraform JSON, without the CDK's metadata."""
    environment = settings.load(name, layout.ENVIRONMENTS)
    app = App(outdir=str(layout.ROOT / "cdktf.out"))
    build(app, environment, RELEASES[release](environment) if release else None)
    return {
        node.node.id: json.loads(Cdk.synth(node))
        for node in app.node.children
        if isinstance(node, TerraformStack)
    }


def endpoint(name: str, release: str) -> dict[str, Any]:
    stack = synthesised(name, release)[f"{name}-serving"]
    block: dict[str, Any] = stack["resource"]["databricks_model_serving"]["endpoint"]
    return block


FULL = """
catalog = "lab"
owner = "scgpt-owners"
builder = "00000000-0000-0000-0000-00000000000b"
readers = ["scgpt-scientists"]
[workspace]
host = "https://adb-1.2.azuredatabricks.net"
[endpoint]
size = "xlarge"
provisioned_concurrency = { min = 4, max = 16 }
scale_to_zero = false
route_optimized = true
timeout_minutes = 120
description = "cell embeddings"
budget_policy_id = "8a3f0c1e-0000-4000-8000-00000000b0d9"
email_notifications = { on_update_failure = ["a@example.com"] }
environment = { BATCH = "64", HUB = "{{secrets/scgpt/hub}}" }
[gateway]
rate_limits = [
  { calls = 9, key = "endpoint" },
  { calls = 8 },
  { calls = 7, key = "user_group", principal = "g" },
  { calls = 6, key = "service_principal", principal = "s" },
]
[permissions.users]
"a@example.com" = "CAN_QUERY"
[permissions.service_principals]
s = "CAN_MANAGE"
[monitoring]
emails = ["b@example.com"]
error_rate_threshold = 0.01
pause = true
timezone = "Europe/Zurich"
[tags]
team = "bio"
[state]
backend = "http"
address = "https://state.example.com/scgpt/"
options = { retry_max = 5 }
"""
