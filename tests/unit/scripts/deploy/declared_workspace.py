"""A workspace exactly as the synthesised stacks declare it, to be changed by hand in tests.

The provider sends blocks nearly as they are, so its API gives them back nearly as they were.
"""

from __future__ import annotations

import copy
import json
import re
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cdktf import Testing as Cdk
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import RegisteredModelInfo, SchemaInfo, VolumeInfo
from databricks.sdk.service.dashboards import Dashboard, PublishedDashboard
from databricks.sdk.service.files import GetMetadataResponse
from databricks.sdk.service.iam import ObjectPermissions
from databricks.sdk.service.jobs import BaseJob, Job
from databricks.sdk.service.ml import GetExperimentByNameResponse
from databricks.sdk.service.settings import (
    ListNotificationDestinationsResult,
    NotificationDestination,
)
from databricks.sdk.service.sql import AlertV2, EndpointInfo, ListQueryObjectsResponseQuery, Query

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.wheel import wheel
from tests.unit.infra.manifests import canary
from tests.unit.infra.synthesis import FULL

Blocks = dict[str, dict[str, dict[str, Any]]]
"""Resource type -> logical id -> block."""

_REFERENCE = re.compile(r"\$\{(\w+)\.(\w+)\.\w+\}")
_OBJECTS = {
    "serving_endpoint_id": "serving-endpoints",
    "sql_endpoint_id": "warehouses",
    "alert_v2_id": "alertsv2",
    "dashboard_id": "dashboards",
    "sql_query_id": "queries",
    "job_id": "jobs",
    "experiment_id": "experiments",
}
"""Argument of an access list -> its collection in the permissions API."""


PLANNER = "00000000-0000-0000-0000-00000000000a"
_MORE = f"""
planner = "{PLANNER}"
deployer = "d@example.com"
"""
_FAILURE = 'on_update_failure = ["a@example.com"]'
ALL = _MORE + FULL.replace(_FAILURE, f'{_FAILURE}, on_update_success = ["b@example.com"]')
"""Everything that can be declared at once."""
BY_SIZE = re.sub("provisioned_concurrency = .*", 'workload_size = "Medium"', ALL)
"""The same with the other one of two keys that exclude each other."""


def declared(text: str, folder: Path) -> tuple[Settings, Manifest, Blocks]:
    """An environment by its text, and what it synthesises to."""
    (folder / "lab.toml").write_text(text)
    environment = settings.load("lab", folder)
    manifest = canary(environment)
    app = App(outdir=str(folder / "out"))
    build(app, environment, manifest)
    blocks: Blocks = {}
    for node in app.node.children:
        if isinstance(node, TerraformStack):
            resources = json.loads(_REFERENCE.sub(_id, Cdk.synth(node)))["resource"]
            for kind, found in resources.items():
                blocks.setdefault(kind, {}).update(found)
    return environment, manifest, blocks


def _id(reference: re.Match[str]) -> str:
    """Return the id of the object that a reference names; here it is the logical id."""
    kind, logical_id = reference.groups()
    return str(_number(logical_id)) if kind == "databricks_job" else logical_id


def _number(logical_id: str) -> int:
    """Return the id of a job; those are numbers."""
    return zlib.crc32(logical_id.encode())


def workspace(given: Blocks) -> WorkspaceClient:
    """Return the answer of its API, in the classes of the SDK."""
    blocks = copy.deepcopy(given)
    client = SimpleNamespace(
        api_client=SimpleNamespace(do=lambda _method, path: _do(blocks, path)),
        current_user=SimpleNamespace(me=lambda: SimpleNamespace(user_name="d@example.com")),
        schemas=SimpleNamespace(
            get=lambda name: SchemaInfo.from_dict(_securable(blocks, "databricks_schema", name))
        ),
        volumes=SimpleNamespace(
            read=lambda name: VolumeInfo.from_dict(_securable(blocks, "databricks_volume", name))
        ),
        registered_models=SimpleNamespace(
            get=lambda name: RegisteredModelInfo.from_dict(
                _securable(blocks, "databricks_registered_model", name)
            )
        ),
        experiments=SimpleNamespace(get_by_name=lambda name: _experiment(blocks, name)),
        permissions=SimpleNamespace(get=lambda path, id_: _access_list(blocks, path, id_)),
        files=SimpleNamespace(
            get_metadata=lambda _: GetMetadataResponse(content_length=len(wheel().content))
        ),
        **_watching(blocks),
    )
    return cast(WorkspaceClient, client)


def _watching(blocks: Blocks) -> dict[str, Any]:
    (board,), (target,) = (
        blocks[kind].values()
        for kind in ("databricks_dashboard", "databricks_notification_destination")
    )
    warehouse, alert = blocks["databricks_sql_endpoint"], blocks["databricks_alert_v2"]
    queries = {id_: {**each, "id": id_} for id_, each in blocks["databricks_query"].items()}
    draft = Dashboard.from_dict({**board, "dashboard_id": "dashboard"})
    jobs = {_number(id_): job for id_, job in blocks["databricks_job"].items()}
    return {
        "warehouses": SimpleNamespace(
            list=lambda: [
                EndpointInfo.from_dict({**each, "id": id_}) for id_, each in warehouse.items()
            ]
        ),
        "notification_destinations": SimpleNamespace(
            list=lambda: [
                ListNotificationDestinationsResult(
                    id="destination", display_name=target["display_name"]
                )
            ],
            get=lambda _: NotificationDestination.from_dict(target),
        ),
        "alerts_v2": SimpleNamespace(
            list_alerts=lambda: [
                AlertV2.from_dict({**each, "id": id_}) for id_, each in alert.items()
            ]
        ),
        "queries": SimpleNamespace(
            list=lambda: [
                ListQueryObjectsResponseQuery.from_dict(each) for each in queries.values()
            ],
            get=lambda id_: Query.from_dict(queries[id_]),
        ),
        "lakeview": SimpleNamespace(
            list=lambda: [draft],
            get=lambda _: draft,
            get_published=lambda _: PublishedDashboard.from_dict(board),
        ),
        "jobs": SimpleNamespace(
            list=lambda name: [
                BaseJob(job_id=id_) for id_, job in jobs.items() if job["name"] == name
            ],
            get=lambda id_: _job(jobs[id_]),
        ),
    }


def _job(block: dict[str, Any]) -> Job:
    tasks, environments = block.get("task"), block.get("environment")
    return Job.from_dict({"settings": {**block, "tasks": tasks, "environments": environments}})


def _do(blocks: Blocks, path: str) -> dict[str, Any]:
    if path.startswith("/api/2.1/unity-catalog/permissions/"):
        kind, name = path.split("/")[-2:]
        kind = "model" if kind == "function" else kind
        grants = [each for each in blocks["databricks_grant"].values() if each.get(kind) == name]
        return {"privilege_assignments": grants}
    ((id_, endpoint),) = blocks["databricks_model_serving"].items()
    if path.rpartition("/")[2] != endpoint["name"]:
        raise NotFound(path)
    state = {"ready": "READY", "config_update": "NOT_UPDATING"}
    return {**endpoint, "id": id_, "state": state}


def _securable(blocks: Blocks, kind: str, name: str) -> dict[str, Any]:
    for block in blocks[kind].values():
        parts = [block["catalog_name"], block.get("schema_name"), block["name"]]
        if ".".join(part for part in parts if part) == name:
            return block
    raise NotFound(name)


def _experiment(blocks: Blocks, name: str) -> GetExperimentByNameResponse:
    ((id_, block),) = blocks["databricks_mlflow_experiment"].items()
    if block["name"] != name:
        raise NotFound(name)
    found = {**block, "experiment_id": id_, "lifecycle_stage": "active"}
    return GetExperimentByNameResponse.from_dict({"experiment": found})


def _access_list(blocks: Blocks, path: str, id_: str) -> ObjectPermissions:
    (block,) = (
        each
        for each in blocks["databricks_permissions"].values()
        for argument, collection in _OBJECTS.items()
        if collection == path and each.get(argument) == id_
    )
    entries = [
        {**entry, "all_permissions": [{"permission_level": entry["permission_level"]}]}
        for entry in block["access_control"]
    ]
    return ObjectPermissions.from_dict({"access_control_list": entries})
