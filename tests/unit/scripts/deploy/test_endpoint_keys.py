"""Each key of an endpoint's file is set and taken away again: plan, comparison and API agree.

What is sent is what the provider sends: the stand-in's plans and requests of this type are held to
the real one's by `test_recorded_plans.py`. Keys that neither sends are refused, with the way out.
"""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient

from scgpt_databricks.infra import guards, settings
from scgpt_databricks.infra.endpoint import describe
from scgpt_databricks.infra.guards import Facts, refusals
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.settings.endpoint import EmailNotifications, Endpoint, Gateway
from scgpt_databricks.local_workspace.stand_in_provider.rest import ApiError, Client, Session
from scgpt_databricks.local_workspace.stand_in_provider.rpc import RESOURCES, Provider
from scgpt_databricks.local_workspace.stand_in_provider.values import Values
from scgpt_databricks.scripts.deploy import endpoint as command
from scgpt_databricks.scripts.deploy.verify import Difference
from scgpt_databricks.scripts.deploy.verify.difference import compare
from scgpt_databricks.scripts.deploy.verify.serving import declared, described
from tests.unit.infra.manifests import champion
from tests.unit.infra.plans import plan_of
from tests.unit.local_workspace.stand_in_provider.recordings import as_terraform

SERVING = RESOURCES["databricks_model_serving"]
ENDPOINTS = "/api/2.0/serving-endpoints"

SENT = {
    "endpoint.workload_type": '"GPU_MEDIUM"',
    "endpoint.size": '"xlarge"',
    "endpoint.workload_size": '"Medium"',
    "endpoint.provisioned_concurrency": "{ min = 4, max = 16 }",
    "endpoint.require_gpu": 'true\nendpoint.workload_type = "GPU_MEDIUM"',
    "endpoint.scale_to_zero": "true",
    "endpoint.environment": '{ BATCH = "64", HUB = "{{secrets/scgpt/hub}}" }',
    "gateway.inference_table_prefix": '"cells"',
    "gateway.usage_tracking": "false",
    "gateway.rate_limits": '[{ calls = 9, key = "endpoint" }, { calls = 8 }]',
    "tags": '{ team = "bio", project = "scgpt" }',
}
"""Keys that a plan changes both ways."""
NEVER_SENT = {
    "endpoint.description": ('"cell embeddings"', "no-call"),
    "endpoint.budget_policy_id": ('"8a3f0c1e-0000-4000-8000-00000000b0d9"', "no-call"),
    "endpoint.email_notifications.on_update_failure": ('["a@example.com"]', "no-call"),
    "endpoint.email_notifications.on_update_success": ('["b@example.com"]', "no-call"),
    "endpoint.route_optimized": ("true", "route-optimization"),
    "endpoint.name": ('"other-serving"', "replacement"),
}
"""Keys that a plan cannot change, and the guard that says so."""
NOT_OF_THE_API = {"endpoint.timeout_minutes", "endpoint.torch"}
"""Terraform's own, and the build's: nothing is sent."""
OF_ADOPTIONS = {"gateway.declared"}
"""False only for an adopted endpoint; taken away again, it adds the block (test_guards_silent)."""


class Workspace:
    """The endpoint's part of the API: each call replaces what it is about."""

    host = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.endpoint: dict[str, Any] = {}

    def call(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        found = self.endpoint
        part = path.removeprefix(f"{ENDPOINTS}/{found.get('name')}")
        match method, part:
            case "POST", "/api/2.0/serving-endpoints":
                ready = {"ready": "READY", "config_update": "NOT_UPDATING"}
                found |= copy.deepcopy(body) | {"id": "e-1", "state": ready}
            case "GET", "" if found:
                pass
            case "PUT", "/config":
                found["config"] = copy.deepcopy(body)
            case "PUT", "/ai-gateway":
                found["ai_gateway"] = copy.deepcopy(body)
            case "PATCH", "/tags":
                listed = [*found.get("tags", []), *body.get("add_tags", [])]
                kept = {tag["key"]: tag for tag in listed}
                found["tags"] = [kept[k] for k in kept if k not in body.get("delete_tags", [])]
            case _:
                raise ApiError(404, f"{method} {path}")
        return copy.deepcopy(found)

    def me(self, **_: Any) -> str:
        return "d@example.com"

    def wait(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits here, {seconds} s")

    def update_notifications(self, _name: str, *, email_notifications: Any) -> None:
        sent = email_notifications.as_dict()
        self.endpoint.pop("email_notifications", None)
        self.endpoint |= {"email_notifications": sent} if sent else {}

    @property
    def client(self) -> WorkspaceClient:
        return cast(WorkspaceClient, SimpleNamespace(serving_endpoints=self))


def lab(folder: Path, key: str = "", value: str = "") -> Settings:
    """An environment of few lines, and one key more."""
    text = 'catalog = "lab"\nworkspace.host = "https://adb-1.2.azuredatabricks.net"\n'
    text += 'state.backend = "local"\ntags = {}\n' if key != "tags" else 'state.backend = "local"\n'
    text += "endpoint.scale_to_zero = false\n" if key != "endpoint.scale_to_zero" else ""
    text += f"{key} = {value}\n" if key else ""
    (folder / "lab.toml").write_text(text)
    return settings.load("lab", folder)


class Site:
    """One endpoint, its state, and what each file makes of them."""

    def __init__(self) -> None:
        self.workspace, self.state = Workspace(), cast("Values | None", None)

    def plan(self, wanted: Settings) -> Values:
        config = as_terraform(SERVING.table, describe(wanted, champion(wanted)))
        return SERVING.plan(config, self.state).planned

    def deploy(self, wanted: Settings) -> None:
        provider = Provider(threading.Event())
        provider._client = cast(Client, self.workspace)
        self.state, problem = provider._apply(SERVING, self.state, self.plan(wanted))
        assert problem is None
        self.refresh()

    def refresh(self) -> None:
        assert self.state is not None
        self.state = SERVING.read(Session(cast(Client, self.workspace), "serving"), self.state)

    def differences(self, wanted: Settings) -> list[Difference]:
        found = described(self.workspace.endpoint)
        return list(compare("endpoint", declared(wanted, champion(wanted)), found))

    def refused(self, wanted: Settings) -> set[str]:
        config = as_terraform(SERVING.table, describe(wanted, champion(wanted)))
        found = SERVING.plan(config, self.state)
        actions = ["delete", "create"] if found.replace else ["update"]
        paths = [list(path) for path in found.replace]
        plan = Plan.of(
            plan_of("model_serving", actions, self.state, found.planned, replace_paths=paths)
        )
        return {each.check for each in refusals(guards.check(plan, wanted, Facts()))}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site()
    made.deploy(lab(tmp_path))
    assert made.differences(lab(tmp_path)) == []
    return made


@pytest.mark.parametrize("key", SENT)
def test_a_key_is_set_and_taken_away(key: str, site: Site, tmp_path: Path) -> None:
    before = copy.deepcopy(site.workspace.endpoint)
    for wanted in (lab(tmp_path, key, SENT[key]), lab(tmp_path)):
        assert site.plan(wanted) != site.state, "the plan shows it"
        site.deploy(wanted)
        assert site.plan(wanted) == site.state, "the next plan is empty"
        assert site.differences(wanted) == []
    assert declared_again(site.workspace.endpoint) == declared_again(before)


def declared_again(endpoint: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing: no tags are an empty list or none."""
    return {key: value for key, value in endpoint.items() if value not in ([], {})}


@pytest.mark.parametrize("key", NEVER_SENT)
def test_a_key_that_is_never_sent_is_refused_both_ways(
    key: str, site: Site, tmp_path: Path
) -> None:
    value, check = NEVER_SENT[key]
    changed, bare = lab(tmp_path, key, value), lab(tmp_path)
    assert check in site.refused(changed)
    made_with_it = Site()
    made_with_it.deploy(changed)
    assert made_with_it.plan(changed) == made_with_it.state
    assert check in made_with_it.refused(bare)


@pytest.mark.parametrize("key", [key for key in NEVER_SENT if "email" in key])
def test_what_no_plan_sends_the_command_sends_and_the_plan_is_empty(
    key: str, site: Site, tmp_path: Path
) -> None:
    changed, bare = lab(tmp_path, key, NEVER_SENT[key][0]), lab(tmp_path)
    for wanted in (changed, bare):
        found = site.differences(wanted)
        (sending,) = command._sendings(site.workspace.client, wanted, found)
        assert sending.call == "PATCH notifications"
        sending.send()
        assert site.differences(wanted) == []
        # As `take_anew` has Terraform do it.
        made = SERVING.read(
            Session(cast(Client, site.workspace), "serving"),
            as_terraform(SERVING.table, {"name": "scgpt-serving"}) | {"id": "scgpt-serving"},
            fresh=True,
        )
        site.state = made
        planned = site.plan(wanted)
        assert planned["email_notifications"] == site.state["email_notifications"]


def test_no_key_is_forgotten() -> None:
    of_endpoint = {f"endpoint.{name}" for name in Endpoint.model_fields}
    of_endpoint -= {"endpoint.email_notifications"}
    of_endpoint |= {
        f"endpoint.email_notifications.{name}" for name in EmailNotifications.model_fields
    }
    known = {*SENT, *NEVER_SENT} | NOT_OF_THE_API | OF_ADOPTIONS
    assert known == of_endpoint | {f"gateway.{name}" for name in Gateway.model_fields} | {"tags"}
