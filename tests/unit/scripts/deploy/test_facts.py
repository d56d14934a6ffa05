"""Before the guards judge, a workspace is asked about all that a plan names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.catalog import ModelVersionInfo

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.deploy.facts import gather
from tests.unit.infra.plans import edited, plan_of

DEV = settings.load("dev", layout.ENVIRONMENTS)
OURS, THEIRS, GONE = DEV.names.full_model, "main.other.m", "main.other.gone"
REGISTRY = {OURS: (1, 2), THEIRS: (1,)}
VALIDATED = {(OURS, "1")}
ENDPOINTS: dict[str, dict[str, Any]] = {
    "theirs": {"name": "theirs", "state": {"ready": "READY", "config_update": "IN_PROGRESS"}},
    DEV.names.endpoint: {"state": {"ready": "NOT_READY", "config_update": "NOT_UPDATING"}},
}


def listed(model: str) -> list[ModelVersionInfo]:
    if model not in REGISTRY:
        raise NotFound(f"{model} does not exist")
    return [ModelVersionInfo(version=number) for number in REGISTRY[model]]


def do(_: str, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
    if query is not None:
        tagged = (query["name"], query["version"]) in VALIDATED
        tags = [{"key": "validated", "value": "true"}] if tagged else []
        return {"model_version": {"tags": tags}}
    try:
        return ENDPOINTS[path.rpartition("/")[2]]
    except KeyError:
        raise NotFound("no such endpoint") from None


def raising(**_: Any) -> list[Any]:
    raise PermissionDenied("only admins may ask")


CLIENT = cast(
    WorkspaceClient,
    SimpleNamespace(
        current_user=SimpleNamespace(
            me=lambda: SimpleNamespace(user_name="me", groups=[SimpleNamespace(display="admins")])
        ),
        groups=SimpleNamespace(list=lambda filter: ["x"] if '"team"' in filter else []),  # noqa: A006
        users=SimpleNamespace(list=raising),
        warehouses=SimpleNamespace(get=listed),
        catalogs=SimpleNamespace(get=lambda name: name),
        model_versions=SimpleNamespace(list=listed),
        api_client=SimpleNamespace(do=do),
    ),
)


def test_what_gets_its_name_at_the_apply_is_not_looked_for() -> None:
    plan = plan_of("volume", ["create"], None, {"catalog_name": "main", "schema_name": "s"})
    plan["resource_changes"][0]["change"]["after_unknown"] = {"name": True}
    assert gather(CLIENT, DEV, [Plan.of(plan)]).existing == {}


def test_models_and_endpoints_of_others_are_asked_for_by_their_own_names() -> None:
    served = [
        {"name": "a", "entity_name": OURS, "entity_version": "1"},
        {"name": "b", "entity_name": THEIRS, "entity_version": "1"},
        {"name": "c", "entity_name": GONE, "entity_version": "1"},
        {"name": "d", "entity_name": "of-the-old-registry", "entity_version": "1"},
    ]
    after = edited(name="theirs", config__served_entities=served)
    plans = [Plan.of(plan_of("model_serving", ["update"], edited(name="theirs"), after))]
    found = gather(CLIENT, DEV, plans)
    assert found.versions == frozenset({(OURS, 1), (OURS, 2), (THEIRS, 1)})
    assert found.validated == frozenset({(OURS, 1)})
    states = {name: (each.ready, each.updating) for name, each in found.endpoints.items()}
    assert states == {"theirs": (True, True), DEV.names.endpoint: (False, False)}


def test_what_plans_refer_to_is_asked_for_once_and_told_where_it_is_not_there() -> None:
    """A question that is refused counts as answered with yes."""
    plans = [
        plan_of("grant", ["create"], None, {"principal": "team"}),
        plan_of("grant", ["create"], None, {"principal": "nobody"}),
        plan_of("grant", ["create"], None, {"principal": "ann@example.com"}),
        plan_of("grant", ["create"], None, {"principal": "account users"}),
        plan_of("dashboard", ["update"], {}, {"warehouse_id": GONE, "display_name": "d"}),
        plan_of("grant", ["delete"], {"principal": "who-left"}, None),
    ]
    found = gather(CLIENT, DEV, map(Plan.of, plans))
    assert found.absent == frozenset({("group", "nobody"), ("warehouse", GONE)})
    assert found.sees_all
