"""The registry field by field: a comment that was changed by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import VolumeType

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.naming import COMMENTS
from scgpt_databricks.scripts.deploy.verify.registry import registry_differences

LOADED = settings.load("dev", layout.ENVIRONMENTS)
DEV = LOADED.model_copy(update={"manage_experiment": False, "grants": {}, "builder": None})
NAMES = DEV.names


def commented(changed: dict[str, str | None]) -> WorkspaceClient:
    """A workspace with everything that is declared, but for these comments."""
    said = {
        NAMES.full_schema: COMMENTS["schema"],
        NAMES.full_volume: COMMENTS["volume"],
        NAMES.full_checkpoints_volume: COMMENTS["checkpoints_volume"],
        NAMES.full_model: COMMENTS["model"],
    } | changed
    get = {"get": lambda name: SimpleNamespace(comment=said[name], volume_type=VolumeType.MANAGED)}
    every = {"privilege_assignments": [{"principal": "all", "privileges": []}]}
    client: Any = SimpleNamespace(
        schemas=SimpleNamespace(**get),
        volumes=SimpleNamespace(read=get["get"]),
        registered_models=SimpleNamespace(**get),
        api_client=SimpleNamespace(do=lambda *_: every),
    )
    return cast(WorkspaceClient, client)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("schema", NAMES.full_schema),
        ("volume", NAMES.full_volume),
        ("volume", NAMES.full_checkpoints_volume),
        ("model", NAMES.full_model),
    ],
)
def test_comments_are_compared(kind: str, name: str) -> None:
    def differing(changed: dict[str, str | None]) -> list[tuple[str, Any]]:
        found = registry_differences(commented(changed), DEV)
        return [(each.resource, each.found) for each in found if each.field == "comment"]

    assert differing({}) == []
    assert differing({name: "mine"}) == [(f"{kind} {name}", "mine")]
    assert differing({name: None}) == [(f"{kind} {name}", "absent")]
