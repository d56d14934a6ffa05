"""A challenger comes beside the champion and goes, in a real registry."""

from __future__ import annotations

import io
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError
from mlflow.exceptions import MlflowException

from scgpt_databricks.infra.errors import DeployError, ReleaseError
from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import RegistryError
from scgpt_databricks.model.judge.verdict import Arm
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.release import canary, watch
from scgpt_databricks.scripts.release.canary import How, Moved
from scgpt_databricks.scripts.release.rollback import rollback
from scgpt_databricks.scripts.release.versions import versions_of
from tests.unit.scripts.release.faults import FAULTS, Killed, Trouble
from tests.unit.scripts.release.lab import Lab

Two = tuple[int, int]

START = (
    "write down what begins",
    "take the mark of the last rollback away",
    "make room for what will be seen",
    "point the manifest",
    "move the aliases",
    "write down how it ended",
)
ABORT = (
    "write down what begins",
    "take the requests from the challenger",
    "mark the version as rolled back",
    "point the manifest",
    "move the aliases",
    "remove what was seen of the canary",
    "write down how it ended",
)
PROMOTE = tuple(
    step for step in ABORT if step not in ("take the requests from the challenger", ABORT[2])
)
NOT_DONE_HERE = ("take the mark of the last rollback away", "take the requests from the challenger")
"""Steps that find nothing to do: no version was rolled back, and no endpoint is deployed."""


@pytest.fixture
def trouble(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    return Trouble(lab, monkeypatch)


@pytest.fixture
def two(lab: Lab, files: Path) -> Two:
    """The champion of dev, and a version that serves nothing yet."""
    champion = lab.register("dev", files)
    lab.release("dev", champion)
    return champion.number, lab.register("dev", files).number


def start(lab: Lab, number: int | None, percent: int = 10, **more: Any) -> Moved:
    again = more.pop("again", False)
    how = How(**more)
    return canary.start(
        lab.settings("dev"), number, percent, again=again, how=how, report=lambda _: None
    )


def promote(lab: Lab, **more: Any) -> Moved:
    return canary.promote(lab.settings("dev"), how=How(**more), report=lambda _: None, now=False)


def abort(lab: Lab, why: str = "it is slow", **more: Any) -> Moved:
    return canary.abort(lab.settings("dev"), how=How(why=why, **more), report=lambda _: None)


def tags(lab: Lab, number: int) -> Any:
    return next(each for each in lab.versions("dev") if each.number == number).tags


def test_a_canary_begins_and_is_promoted(lab: Lab, two: Two) -> None:
    champion, tried = two
    begun = start(lab, tried)
    assert tuple(step.name for step in begun.steps) == START
    assert lab.served("dev") == {champion: 90, tried: 10}
    assert lab.aliases("dev") == {"champion": champion, "challenger": tried}
    assert tuple(step.name for step in promote(lab, why="it won").steps) == PROMOTE
    assert lab.served("dev") == {champion: 0, tried: 100}
    assert lab.aliases("dev") == {"champion": tried, "previous": champion}
    assert [(entry.operation, entry.why) for entry in lab.history("dev")] == [
        ("canary start", ""),
        ("canary promote", "it won"),
    ]
    rollback(lab.settings("dev"), report=lambda _: None)
    assert lab.served("dev") == {champion: 100, tried: 0}


def test_a_canary_that_was_aborted_comes_back_only_on_demand(lab: Lab, two: Two) -> None:
    champion, tried = two
    start(lab, tried)
    assert tuple(step.name for step in abort(lab).steps) == ABORT
    assert lab.served("dev") == {champion: 100}
    assert lab.aliases("dev") == {"champion": champion}
    assert tags(lab, tried)[registry.ROLLED_BACK] == "it is slow"
    with pytest.raises(ReleaseError, match=r"was rolled back \(it is slow\).*--again"):
        start(lab, tried)
    start(lab, tried, again=True)
    assert registry.ROLLED_BACK not in tags(lab, tried)
    assert lab.served("dev") == {champion: 90, tried: 10}


def test_blue_green_keeps_both_warm_and_switches(lab: Lab, two: Two) -> None:
    champion, tried = two
    start(lab, tried, 0)
    assert lab.served("dev") == {champion: 100, tried: 0}
    promote(lab)
    assert lab.served("dev") == {champion: 0, tried: 100}


def test_a_dry_run_changes_nothing(lab: Lab, two: Two) -> None:
    for operation in (lambda: start(lab, two[1], dry_run=True),):
        assert {step.state for step in operation().steps} == {"to do", "done before"}
    assert lab.served("dev") == {two[0]: 100}
    assert lab.history("dev") == []
    start(lab, two[1])
    for dry in (promote, abort):
        dry(lab, dry_run=True)
    assert lab.served("dev") == {two[0]: 90, two[1]: 10}
    assert len(lab.history("dev")) == 1


@pytest.mark.long
@pytest.mark.parametrize("step", [each for each in START if each not in NOT_DONE_HERE])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_beginning_that_met_a_fault_is_run_again(
    lab: Lab, two: Two, trouble: Trouble, step: str, fault: str
) -> None:
    trouble.in_step(step, fault)
    with suppress(DatabricksError, MlflowException, DeployError, TimeoutError):
        start(lab, two[1])
    trouble.over()
    start(lab, two[1])
    assert lab.served("dev") == {two[0]: 90, two[1]: 10}
    assert lab.aliases("dev") == {"champion": two[0], "challenger": two[1]}
    (entry,) = lab.history("dev")
    assert (entry.operation, entry.state) == ("canary start", "done")


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *(("start", step) for step in START if step not in NOT_DONE_HERE),
        *(("promote", step) for step in PROMOTE),
        *(("abort", step) for step in ABORT if step not in NOT_DONE_HERE),
    ],
)
def test_killed_after_any_step_it_is_run_again(
    lab: Lab, two: Two, trouble: Trouble, name: str, step: str
) -> None:
    run = {"start": lambda: start(lab, two[1]), "promote": lambda: promote(lab),
           "abort": lambda: abort(lab)}[name]  # fmt: skip
    if name != "start":
        start(lab, two[1])
    trouble.kill_after(step)
    with pytest.raises(Killed):
        run()
    trouble.over()
    over = step == "write down how it ended" and name != "start"
    with pytest.raises(ReleaseError, match="no canary runs") if over else nullcontext():
        run()
    after = {"start": {two[0]: 90, two[1]: 10}, "promote": {two[0]: 0, two[1]: 100},
             "abort": {two[0]: 100}}[name]  # fmt: skip
    assert lab.served("dev") == after
    assert [entry.state for entry in lab.history("dev")] == ["done"] * (1 + (name != "start"))
    assert lab.aliases("dev").get("challenger") == (two[1] if name == "start" else None)


def test_bad_input(lab: Lab, two: Two, files: Path) -> None:
    champion, tried = two
    with pytest.raises(ReleaseError, match="no alias challenger"):
        start(lab, None)
    with pytest.raises(RegistryError, match="has no version 999"):
        start(lab, 999)
    with pytest.raises(ReleaseError, match="is the champion of dev already"):
        start(lab, champion)
    for operation in (promote, abort):
        with pytest.raises(ReleaseError, match="no canary runs in dev"):
            operation(lab)
    raw = lab.register("dev", files, validated="false")
    with pytest.raises(ReleaseError, match="lacks the tag validated"):
        start(lab, raw.number)
    start(lab, tried)
    third = lab.register("dev", files)
    with pytest.raises(ReleaseError, match=rf"a canary of version {tried} on 10 % runs in dev"):
        start(lab, third.number)
    with pytest.raises(ReleaseError, match=rf"a canary of version {tried} on 10 % runs in dev"):
        start(lab, tried, 20)
    with pytest.raises(ReleaseError, match=rf"a canary of version {tried} runs in dev"):
        rollback(lab.settings("dev"), report=lambda _: None)
    with pytest.raises(ReleaseError, match="has no release manifest"):
        canary.start(lab.settings("staging"), 1, 10, report=lambda _: None)


def test_versions_show_where_each_serves_with_what_share(lab: Lab, two: Two) -> None:
    champion, tried = two
    start(lab, tried)
    with connected(lab.settings("dev")):
        waiting = versions_of("dev", lab.folder)
    assert (
        f"dev.release.json gives version {tried} 10 % of scgpt-dev; it does not serve: "
        in (waiting.problems[1])
    )
    lab.deploy("dev")
    with connected(lab.settings("dev")):
        found = versions_of("dev", lab.folder)
        shown = CliRunner().invoke(cli, ["versions", "dev", "--environments", str(lab.folder)])
    assert found.problems == ()
    assert [(row.version.number, row.version.aliases, row.released) for row in found.rows] == [
        (tried, ("challenger",), 10), (champion, ("champion",), 90),
    ]  # fmt: skip
    assert [(each.endpoint, each.traffic) for row in found.rows for each in row.serves] == [
        ("scgpt-dev", 10), ("scgpt-dev", 90),
    ]  # fmt: skip
    assert "scgpt-dev 10 %" in shown.output


@pytest.mark.parametrize("percent", [-1, 100, 150])
def test_a_share_that_is_none_is_refused(lab: Lab, two: Two, percent: int) -> None:
    with pytest.raises(ReleaseError, match=f"{percent} % of the requests of dev: give .* 1 to 99"):
        start(lab, two[1], percent)
    assert (lab.served("dev"), lab.history("dev")) == ({two[0]: 100}, [])


def test_a_version_that_is_not_ready_is_refused(lab: Lab, two: Two) -> None:
    name = lab.settings("dev").names.full_model
    path = "/api/2.0/mlflow/unity-catalog/model-versions/create"
    begun = lab.call("POST", path, name=name, source="somewhere")["model_version"]
    with pytest.raises(RegistryError, match=r"not READY: its registration was never finished"):
        start(lab, int(begun["version"]))
    with pytest.raises(RegistryError, match="not READY"):
        rollback(lab.settings("dev"), int(begun["version"]), report=lambda _: None)
    assert (lab.served("dev"), lab.history("dev")) == ({two[0]: 100}, [])


def test_the_same_canary_again_changes_nothing(lab: Lab, two: Two) -> None:
    start(lab, two[1])
    manifest = lab.settings("dev").manifest_path.read_bytes()
    assert {step.state for step in start(lab, two[1]).steps} == {"done before"}
    assert lab.settings("dev").manifest_path.read_bytes() == manifest
    assert len(lab.history("dev")) == 1


def test_a_rollback_to_a_version_that_is_not_the_manifests_is_refused(lab: Lab, two: Two) -> None:
    start(lab, two[1])
    promote(lab)
    with connected(lab.settings("dev")):
        registry.tag(lab.versions("dev")[1], {registry.CHECKPOINT: "7" * 64})
    with pytest.raises(ReleaseError, match="manifest and registry disagree"):
        rollback(lab.settings("dev"), report=lambda _: None)
    assert lab.served("dev") == {two[0]: 0, two[1]: 100}


def test_a_version_whose_digests_are_not_those_of_the_manifest(lab: Lab, two: Two) -> None:
    """Somebody moved a tag by hand after the canary had begun."""
    start(lab, two[1])
    with connected(lab.settings("dev")):
        registry.tag(lab.versions("dev")[0], {registry.CHECKPOINT: "7" * 64})
    with pytest.raises(ReleaseError, match="manifest and registry disagree"):
        start(lab, two[1])


METRICS = """\
# TYPE request_count_total counter
request_count_total{endpoint_name="e",%(label)s="m-1"} 90
request_count_total{endpoint_name="e",%(label)s="m-2"} 1.2e1
request_count_total{endpoint_name="m-2",%(label)s="m-20"} 7
request_4xx_count_total{endpoint_name="e",%(label)s="m-2"} 5
request_5xx_count_total{endpoint_name="e",%(label)s="m-2"} 3
request_latency_ms_bucket{endpoint_name="e",%(label)s="m-2",le="+Inf"} 12
"""


@pytest.mark.parametrize("label", ["served_entity_name", "served_model_name"])
def test_counts_are_read_by_served_entity(label: str) -> None:
    text = (METRICS % {"label": label}).replace('endpoint_name="m-2"', 'endpoint_name="f"')
    found = watch.counts(_metrics(text), "e", ("m-1", "m-2", "m-3"))
    assert found == {"m-1": (90, 0), "m-2": (12, 3), "m-3": (0, 0)}


@pytest.mark.parametrize(
    ("before", "now", "arm"),
    [
        ((10, 1), (25, 3), Arm(15, 2)),
        (None, (25, 3), Arm(25, 3)),
        # The process began anew: what it had counted before was seen, or is lost.
        ((10, 1), (4, 1), Arm(4, 1)),
    ],
)
def test_answers_between_two_looks(before: Any, now: Any, arm: Arm) -> None:
    assert watch.since(before, now) == arm


def _metrics(text: str) -> WorkspaceClient:
    def export_metrics(name: str) -> Any:
        assert name == "e"
        return SimpleNamespace(contents=io.BytesIO(text.encode()))

    endpoints = SimpleNamespace(export_metrics=export_metrics)
    return cast(WorkspaceClient, SimpleNamespace(serving_endpoints=endpoints))
