"""A plan that was edited by hand never leads a look-up to another address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.plan import Change, Plan
from scgpt_databricks.scripts.deploy.facts import _FINDERS, endpoint_of, existing, gather
from tests.unit.infra.plans import document, edited, entry, plan_of
from tests.unit.loopback import JsonHandler, listening

DEV = settings.load("dev", layout.ENVIRONMENTS)
ODD = "../../x y"


class Workspace:
    """The real client, and a server that has nothing and notes what it was asked for."""

    def __init__(self, port: int, asked: list[str]) -> None:
        self.client = WorkspaceClient(host=f"http://127.0.0.1:{port}", token="none")
        self.asked = asked
        self.asked.clear()  # the client looks for the host's metadata first


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", "/dev/null")
    asked: list[str] = []

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            asked.append(self.path.partition("?")[0])
            if self.path.endswith("/scim/v2/Me"):
                self.answer(200, {"userName": "me"})
            else:
                self.answer(404, {"error_code": "NOT_FOUND"})

    with listening(Handler) as port:
        yield Workspace(port, asked)


def creation(kind: str, after: Any, **more: Any) -> Change:
    (found,) = Plan.of(document(entry(kind, ["create"], None, after, **more))).changes
    return found


@pytest.mark.parametrize("kind", _FINDERS)
@pytest.mark.parametrize("after", [None, {}, {"name": 7}, {"name": None, "display_name": ""}])
def test_what_has_no_name_is_not_looked_for(kind: str, after: Any, workspace: Workspace) -> None:
    unknown = {"name": True, "display_name": True}
    marked = creation(kind, after, after_unknown=unknown)
    assert existing(workspace.client, marked.type, marked.after) is None
    assert workspace.asked == []


def test_a_name_is_part_of_no_path(workspace: Workspace) -> None:
    after = dict.fromkeys(("catalog_name", "schema_name", "name"), ODD)
    for kind in ("schema", "volume", "registered_model", "model_serving"):
        made = creation(kind, after)
        assert existing(workspace.client, made.type, made.after) is None
    one = "..%2F..%2Fx%20y"
    assert workspace.asked == [
        f"/api/2.1/unity-catalog/schemas/{one}.{one}",
        f"/api/2.1/unity-catalog/volumes/{one}.{one}.{one}",
        f"/api/2.1/unity-catalog/models/{one}.{one}.{one}",
        f"/api/2.0/serving-endpoints/{one}",
    ]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_no_endpoint_has_a_name_of_dots(name: str, workspace: Workspace) -> None:
    assert endpoint_of(workspace.client, name) is None
    assert workspace.asked == []


def test_served_models_with_odd_names(workspace: Workspace) -> None:
    served = [
        {"name": "a", "entity_name": "a/b.c.d", "entity_version": "1"},
        {"name": "b", "entity_name": "..", "entity_version": "1"},
        {"name": "c", "entity_name": "a.b.c", "entity_version": "9" * 5000},
    ]
    plans = [
        plan_of("model_serving", ["update"], {}, edited(config__served_entities=served)),
        plan_of("registered_model", ["delete"], {"name": "m"}, None),
    ]
    assert gather(workspace.client, DEV, map(Plan.of, plans)).versions == frozenset()
    models = {path for path in workspace.asked if "/models/" in path}
    ours = f"/api/2.1/unity-catalog/models/{DEV.names.full_model}/versions"
    assert models == {ours, "/api/2.1/unity-catalog/models/a%2Fb.c.d/versions"}


def test_the_server_of_these_tests_has_nothing(workspace: Workspace) -> None:
    with pytest.raises(NotFound):
        workspace.client.schemas.get("main.scgpt")
