"""The stand-in against recordings of the real provider 1.99.0.

The recordings are not part of the repository: SCGPT_PLAN_RECORDINGS names their folder.
"""

from __future__ import annotations

import copy
import json
import threading
from itertools import pairwise
from typing import Any, cast

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.resource import Resource
from scgpt_databricks.local_workspace.stand_in_provider.rest import Client, Session
from scgpt_databricks.local_workspace.stand_in_provider.rpc import RESOURCES, Provider
from scgpt_databricks.local_workspace.stand_in_provider.values import Values, conform
from tests.unit.local_workspace.stand_in_provider.recorded_server import RecordedServer
from tests.unit.local_workspace.stand_in_provider.recordings import (
    FAMILIES,
    FOLDER,
    Step,
    as_terraform,
    comparable,
    differences,
    planned,
    resolve,
    steps,
)

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no recorded plans in {FOLDER} (SCGPT_PLAN_RECORDINGS)"
)
ALL = [step for family in (*FAMILIES, "all") for step in steps(family)]
# Their reads were written down after the apply that followed.
OVERTAKEN = {
    "alert_v2-10-drift_threshold",
    "dashboard-08-drift_name_etag",
    "job-10-drift_name",
    "mlflow_experiment-06-drift_name",
    "notification_destination-07-drift",
    "query-07-drift",
}


def each(chosen: list[Step]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("step", chosen, ids=lambda step: step.name)


def of_type(address: str) -> Resource:
    return RESOURCES[address.split(".")[0]]


def configured(step: Step, address: str, known: dict[str, Values]) -> Values:
    table = of_type(address).table
    return as_terraform(table, resolve(step.config()[address], known))


def test_the_recordings_of_all_types_in_use_are_there() -> None:
    assert {family for family in FAMILIES if not steps(family)} == set()


@each(ALL)
def test_plan(step: Step) -> None:
    afters = {address: planned(e["change"]) for address, e in step.changes.items()}
    found = []
    for address, entry in step.changes.items():
        change, resource = entry["change"], of_type(address)
        if change["actions"] == ["delete"]:
            continue
        config = configured(step, address, afters)
        before = change["before"] and conform(resource.table, change["before"])
        plan = resource.plan(config, before)
        paths = [list(path) for path in plan.replace]
        recorded = change.get("replace_paths", [])
        if sorted(map(str, paths)) != sorted(map(str, recorded)):
            found.append(f"{address} replaced by {paths}, recorded {recorded}")
        if plan.replace:
            plan = resource.plan(config, None)
        found += [
            f"{address} {d}" for d in differences(resource.table, plan.planned, afters[address])
        ]
        unchanged = plan.planned == before
        if (change["actions"] == ["no-op"]) != unchanged:
            found.append(f"{address} unchanged {unchanged}, recorded {change['actions']}")
    assert found == []


@each([step for step in ALL if "reads" in step.content and step.name not in OVERTAKEN])
def test_refresh(step: Step) -> None:
    server = RecordedServer()
    server.load(step)
    found = []
    for address, before in step.stored.items():
        resource = of_type(address)
        session = Session(cast(Client, server), resource.name)
        after = resource.read(session, conform(resource.table, before))
        recorded = step.prior.get(address)
        found += [f"{address} {d}" for d in differences(resource.table, after, recorded)]
    assert found == []


@each([step for step in ALL if step.name.endswith("-import")])
def test_import(step: Step) -> None:
    server = RecordedServer()
    server.load(step)
    found = []
    for address, recorded in step.prior.items():
        resource = of_type(address)
        session = Session(cast(Client, server), resource.name)
        after = resource.read(session, resource.imported(recorded["id"]), fresh=True)
        found += [f"{address} {d}" for d in differences(resource.table, after, recorded)]
    assert found == []


@pytest.mark.parametrize("family", FAMILIES)
def test_apply(family: str) -> None:
    """Requests of every applied step, and the state that they leave for the next one."""
    later = {
        path: answer
        for step in reversed(steps(family))
        for path, status, answer in step.content.get("reads", [])
        if status == 200
    }
    server, found = RecordedServer(later), list[str]()
    for step, following in pairwise([*steps(family), None]):
        assert step is not None
        server.load(step)
        if step.content.get("apply_exit_code") != 0:
            continue
        states = apply(step, server)
        found += _left_behind(step, following, states)
        recorded = [each for each in step.content["requests"] if _supported(step, each)]
        ours, theirs = (sorted(map(_line, each)) for each in (server.sent, recorded))
        found += [f"{step.name} sent, not recorded: {line}" for line in ours if line not in theirs]
        found += [f"{step.name} not sent: {line}" for line in theirs if line not in ours]
        if len(ours) != len(theirs):
            found.append(f"{step.name} sent {len(ours)} requests, recorded {len(theirs)}")
    assert found == []


def _left_behind(step: Step, following: Step | None, states: dict[str, Values]) -> list[str]:
    """Differences to the state with which the next recorded step started."""
    if following is None or following.number != step.number + 1:
        return []
    if "note" in following.content or "answers" not in step.content:
        return []
    return [
        f"{step.name} left {address} {difference}"
        for address, recorded in following.stored.items()
        for difference in differences(of_type(address).table, states[address], recorded)
    ]


def _supported(step: Step, request: list[Any]) -> bool:
    """The scenarios have a `databricks_grants` in them, which is not in use."""
    return "config_hcl" not in step.content or "/permissions/" not in request[1]


def _line(request: list[Any]) -> str:
    method, path, body = request
    return f"{method} {path} {json.dumps(comparable(body), sort_keys=True)}"


def apply(step: Step, server: RecordedServer) -> dict[str, Values]:
    """Do what core does: destroy in reverse order of dependence, then make and change in order."""
    provider = Provider(threading.Event())
    provider._client = cast(Client, server)
    states = copy.deepcopy(step.prior)
    for address in sorted(step.changes, key=_depth, reverse=True):
        if "delete" in step.changes[address]["change"]["actions"]:
            prior = conform(of_type(address).table, states.pop(address))
            assert provider._apply(of_type(address), prior, None) == (None, None)
    for address in sorted(step.changes, key=_depth):
        actions = step.changes[address]["change"]["actions"]
        if {"create", "update"} & {*actions}:
            resource = of_type(address)
            prior = conform(resource.table, states[address]) if "update" in actions else {}
            plan = resource.plan(configured(step, address, states), prior or None)
            state, problem = provider._apply(resource, prior or None, plan.planned)
            assert problem is None
            assert state is not None
            states[address] = state
    return states


def _depth(address: str) -> int:
    order = ["schema", "registered_model", "volume", "model_serving", "job", "grant", "permissions"]
    name = address.split(".")[0].removeprefix("databricks_")
    return order.index(name) if name in order else 0
