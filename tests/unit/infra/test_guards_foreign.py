"""Plans that are not of these stacks: cut short, or with what the platform refuses."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.guards import Facts
from tests.unit.infra.judged import check
from tests.unit.infra.plans import ENDPOINT, edited, plan_of

LOCAL = settings.load("local", layout.ENVIRONMENTS)


def found(plan: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding.check, finding.severity) for finding in check(plan, LOCAL, Facts())]


def waiving(check_name: str) -> settings.Settings:
    waiver = settings.Waiver(check=check_name, reason="agreed with the owners", until=date.max)
    return LOCAL.model_copy(update={"waivers": (waiver,)})


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"errored": True, "complete": False}, "stopped with an error"),
        ({"errored": False, "complete": False}, "leaves changes out"),
    ],
)
def test_a_plan_that_is_not_whole_is_refused(marks: dict[str, bool], said: str) -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    assert found(plan | {"errored": False, "complete": True}) == []
    (finding,) = check(plan | marks, LOCAL, Facts())
    assert (finding.check, finding.severity) == ("incomplete-plan", "refuse")
    assert said in finding.message


def test_what_is_left_out_on_purpose_can_be_waived() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    waived = waiving("incomplete-plan")
    (finding,) = check(plan | {"complete": False}, waived, Facts())
    assert finding.severity == "warn"
    (finding,) = check(plan | {"complete": False, "errored": True}, waived, Facts())
    assert finding.severity == "refuse", "Terraform would not apply it"


@pytest.mark.parametrize(
    "kind", ["schema", "volume", "registered_model", "model_serving", "mlflow_experiment"]
)
@pytest.mark.parametrize("actions", [["forget"], ["create", "forget"]])
def test_what_leaves_terraform_is_refused(kind: str, actions: list[str]) -> None:
    after = ENDPOINT if "create" in actions else None
    plan = plan_of(kind, actions, {"name": "x"}, after)
    assert found(plan) == [("forgotten", "refuse")]
    (finding,) = check(plan, waiving("forgotten"), Facts())
    assert finding.severity == "warn"


def test_grants_may_be_forgotten() -> None:
    assert found(plan_of("grant", ["forget"], {}, None)) == []


def creation(**changes: Any) -> dict[str, Any]:
    return plan_of("model_serving", ["create"], None, edited(**changes))


def served(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "entity_name": "main.scgpt.m", "entity_version": str(version), **more}
        for version, name in enumerate(names, 1)
    ]


def routes(**percentages: int) -> list[dict[str, Any]]:
    return [
        {"served_model_name": name, "served_entity_name": None, "traffic_percentage": percentage}
        for name, percentage in percentages.items()
    ]


@pytest.mark.parametrize(
    ("percentages", "said"),
    [
        ({"a": 100, "b": 0}, None),
        ({"a": 150, "b": -50}, "a gets 150 %, b gets -50 %"),
        ({"a": 50, "b": 40}, "routes add up to 90 %"),
        ({"a": 0, "b": 0, "c": 100}, "a route leads to c, which is not served"),
        ({"a": 100}, "no route leads to b"),
        ({"b": 60}, "routes add up to 60 %; no route leads to a"),
    ],
)
def test_routes_lead_to_what_is_served(percentages: dict[str, int], said: str | None) -> None:
    plan = creation(
        config__served_entities=served("a", "b"),
        config__traffic_config__routes=routes(**percentages),
    )
    findings = check(plan, LOCAL, Facts())
    assert [(finding.check, finding.message) for finding in findings] == (
        [("traffic", said)] if said else []
    )


def test_a_route_may_call_its_target_by_the_newer_field() -> None:
    newer = [{"served_entity_name": "a", "traffic_percentage": 100}]
    entities = served("a")
    assert (
        found(creation(config__served_entities=entities, config__traffic_config__routes=newer))
        == []
    )


def test_a_route_without_a_target_leads_nowhere() -> None:
    nowhere = [*routes(a=0), {"traffic_percentage": 100}]
    plan = creation(config__served_entities=served("a"), config__traffic_config__routes=nowhere)
    (finding,) = check(plan, LOCAL, Facts())
    assert finding.message == "a route names no served entity"


@pytest.mark.parametrize(
    ("unknown", "after"),
    [
        ({"traffic_config": True}, None),
        ({"traffic_config": [{"routes": True}]}, [{}]),
        (
            {"traffic_config": [{"routes": [{"traffic_percentage": True}]}]},
            [{"routes": [{"served_model_name": "m-1"}]}],
        ),
        (
            {"traffic_config": [{"routes": [{"served_model_name": True}]}]},
            [{"routes": [{"traffic_percentage": 100}]}],
        ),
    ],
)
def test_traffic_that_is_known_at_the_apply_only_is_not_judged(unknown: Any, after: Any) -> None:
    plan = creation(config__traffic_config=after)
    plan["resource_changes"][0]["change"]["after_unknown"] = {"id": True, "config": [unknown]}
    (finding,) = check(plan, LOCAL, Facts())
    assert (finding.check, finding.severity) == ("unknown-until-apply", "warn")
    assert "config.0.traffic_config" in finding.message


def test_what_the_provider_fills_in_is_no_unknown_to_judge() -> None:
    plan = creation()
    of_provider = {"served_entities": [{"workload_type": True}]}
    plan["resource_changes"][0]["change"]["after_unknown"] = {"id": True, "config": [of_provider]}
    assert found(plan) == []


@pytest.mark.parametrize(
    ("entity", "part"),
    [
        ({"entity_version": True}, "entity_version"),
        ({"environment_vars": {"TOKEN": True}}, "environment_vars.TOKEN"),
    ],
)
def test_versions_and_variables_that_are_unknown_are_named(entity: Any, part: str) -> None:
    plan = creation()
    unknown = {"config": [{"served_entities": [entity]}]}
    plan["resource_changes"][0]["change"]["after_unknown"] = unknown
    (finding,) = check(plan, LOCAL, Facts())
    assert (finding.check, finding.severity) == ("unknown-until-apply", "warn")
    assert f"config.0.served_entities.0.{part}" in finding.message


def test_entities_that_are_unknown_are_not_called_missing() -> None:
    plan = creation(config__served_entities=[])
    plan["resource_changes"][0]["change"]["after_unknown"] = {"config": [{"served_entities": True}]}
    assert found(plan) == [("unknown-until-apply", "warn")]


@pytest.mark.parametrize(("number", "refused"), [(10, False), (11, True)])
def test_an_endpoint_serves_only_so_many(number: int, refused: bool) -> None:
    names = [f"e{index}" for index in range(number)]
    shares = dict.fromkeys(names, 0) | {"e0": 100}
    plan = creation(
        config__served_entities=served(*names), config__traffic_config__routes=routes(**shares)
    )
    assert found(plan) == ([("too-many-entities", "refuse")] if refused else [])


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [
        ({"workload_size": "Small", "min_provisioned_concurrency": 4}, True),
        ({"workload_size": "Small", "max_provisioned_concurrency": 8}, True),
        ({"workload_size": "Small", "min_provisioned_concurrency": None}, False),
        # As the provider's state has what is not configured.
        ({"workload_size": "Small", "max_provisioned_concurrency": 0}, False),
        ({"min_provisioned_concurrency": 4, "max_provisioned_concurrency": 8}, False),
        ({"workload_size": "", "max_provisioned_concurrency": 8}, False),
    ],
)
def test_a_size_excludes_provisioned_concurrency(sizes: dict[str, Any], refused: bool) -> None:
    plan = creation(config__served_entities=served("m-1", **sizes))
    assert found(plan) == ([("two-sizes", "refuse")] if refused else [])


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("OPENAI_API_KEY", "sk-0123456789abcdef", True),
        ("OPENAI_API_KEY", "{{secrets/scgpt/openai}}", False),
        ("UPSTREAM", "sk-0123456789abcdef", True),
        ("my-password", "correct horse", True),
        ("2ND_TOKEN", "correct horse", True),
        ("my-mode", "fast", False),
        ("MAX_TOKENS", "100", False),
        ("MODE", None, False),
    ],
)
def test_a_secret_stands_in_no_variable(name: str, value: str | None, refused: bool) -> None:
    entities = served("m-1", environment_vars={"LOG_LEVEL": "INFO", name: value})
    findings = check(creation(config__served_entities=entities), LOCAL, Facts())
    assert [finding.check for finding in findings] == (["plain-secret"] if refused else [])
    assert all(name in each.message and "LOG_LEVEL" not in each.message for each in findings)
    assert not any(value in str(each) for each in findings if value)


@pytest.mark.parametrize(
    ("expressions", "said"),
    [
        ({"entity_version": {"constant_value": "2"}}, "m-1 is the name of before"),
        ({"name": {"constant_value": None}}, "m-1 is the name of before"),
        ({"name": {"constant_value": "m-1"}}, None),
        ({"name": {"references": ["var.name"]}}, None),
    ],
)
@pytest.mark.parametrize("module", ["", 'module.a["x"].module.b.'])
def test_a_name_that_only_the_plan_has_is_the_old_one(
    expressions: dict[str, Any], said: str | None, module: str
) -> None:
    """The provider keeps it where the configuration gives none, and sends it with a new version."""
    plan = plan_of("model_serving", ["update"], ENDPOINT, edited(tags=[]))
    plan["resource_changes"][0]["address"] = f"{module}databricks_model_serving.x[0]"
    resource = {
        "address": "databricks_model_serving.x",
        "expressions": {"config": [{"served_entities": [expressions]}]},
    }
    inner: dict[str, Any] = {"resources": [resource]}
    for name in ("b", "a") if module else ():
        inner = {"module_calls": {name: {"module": inner}}}
    found_there = check(plan | {"configuration": {"root_module": inner}}, LOCAL, Facts())
    assert [each.message for each in found_there if each.check == "unnamed-entity"] == (
        [f"serves an entity that its configuration gives no name: {said}"] if said else []
    )


def test_entities_of_a_dynamic_block_are_in_the_plan_alone() -> None:
    plan = plan_of("model_serving", ["update"], ENDPOINT, edited(tags=[]))
    resource = {"address": "databricks_model_serving.x", "expressions": {"config": [{}]}}
    configuration = {"root_module": {"resources": [resource]}}
    assert check(plan | {"configuration": configuration}, LOCAL, Facts()) == []
