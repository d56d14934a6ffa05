"""An environment serves an earlier version again; requests move first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.errors import DatabricksError
from mlflow.exceptions import MlflowException

from scgpt_databricks.infra.errors import DeployError, ReleaseError
from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import RegistryError
from scgpt_databricks.scripts.ledger import Entry
from scgpt_databricks.scripts.release.candidates import served_as
from scgpt_databricks.scripts.release.operation import Moved
from scgpt_databricks.scripts.release.point import point_to
from scgpt_databricks.scripts.release.rollback import rollback
from tests.unit.infra.manifests import served
from tests.unit.scripts.release.faults import FAULTS, Killed, Trouble
from tests.unit.scripts.release.lab import Lab

STEPS = (
    "write down what begins",
    "move the requests",
    "mark the version that is taken back",
    "point the manifest",
    "move the aliases",
    "write down how it ended",
)


def run(lab: Lab, version: int | None = None, **more: Any) -> Moved:
    return rollback(lab.settings("prod"), version, report=print, **more)


@pytest.fixture
def released(lab: Lab, files: Path) -> tuple[int, int]:
    """Two versions of prod: the first was released, then the second."""
    old, new = lab.register("prod", files), lab.register("prod", files, engine_digest="2" * 64)
    lab.release("prod", old)
    lab.release("prod", new)
    return old.number, new.number


@pytest.fixture
def warm(lab: Lab, released: tuple[int, int]) -> tuple[int, int]:
    """The same behind an endpoint, the first without requests."""
    versions = {version.number: version for version in lab.versions("prod")}
    old = {"traffic": 0, "role": "previous"}
    entities = [
        served_as(versions[released[0]], "x").model_copy(update=old),
        served_as(versions[released[1]], "x"),
    ]
    point_to(lab.settings("prod"), entities)
    lab.deploy("prod")
    return released


def converged(lab: Lab, old: int, new: int) -> None:
    """The state after a rollback, whatever went wrong on the way."""
    assert lab.served("prod") == {old: 100, new: 0}
    name = "scgpt_gene_embeddings"
    assert lab.live("prod") == {f"{name}-{old}": 100, f"{name}-{new}": 0}
    assert lab.aliases("prod") == {"champion": old, "previous": new}
    (entry,) = lab.history("prod")
    assert (entry.operation, entry.what, entry.state) == ("rollback", f"to version {old}", "done")
    assert (entry.before, entry.after) == ({old: 0, new: 100}, {old: 100, new: 0})


def test_requests_move_manifest_and_aliases_follow(lab: Lab, warm: tuple[int, int]) -> None:
    done = run(lab, why="answers are slow")
    converged(lab, *warm)
    assert tuple(step.name for step in done.steps) == STEPS
    assert lab.history("prod")[0].why == "answers are slow"
    marks = {each.number: each.tags.get(registry.ROLLED_BACK) for each in lab.versions("prod")}
    assert marks == {warm[0]: None, warm[1]: "answers are slow"}
    endpoint = lab.call("GET", "/api/2.0/serving-endpoints/scgpt-prod")
    assert endpoint["state"]["ready"] == "READY"


def test_a_version_that_serves_no_more_is_started_first(
    lab: Lab, files: Path, warm: tuple[int, int]
) -> None:
    third = lab.register("prod", files, engine_digest="3" * 64)
    done = run(lab, third.number)
    assert lab.served("prod") == {warm[0]: 0, warm[1]: 0, third.number: 100}
    assert lab.live("prod") == {
        f"scgpt_gene_embeddings-{version}": share for version, share in lab.served("prod").items()
    }
    assert done.before == {warm[0]: 0, warm[1]: 100}


def test_without_an_endpoint_only_the_manifest_moves(lab: Lab, released: tuple[int, int]) -> None:
    old, new = released
    done = run(lab)
    assert "move the requests" not in [step.name for step in done.steps]
    assert lab.served("prod") == {old: 100, new: 0}
    assert lab.live("prod") is None


def test_a_dry_run_shows_what_would_change(lab: Lab, warm: tuple[int, int], capsys: Any) -> None:
    old, new = warm
    done = run(lab, dry_run=True)
    assert f"version {old}: 0 %, version {new}: 100 % -> version {old}: 100 %" in (
        capsys.readouterr().out
    )
    assert {step.state for step in done.steps} == {"to do"}
    assert lab.served("prod") == {old: 0, new: 100}
    assert lab.history("prod") == []


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_faults_in_a_step_converge(
    lab: Lab, warm: tuple[int, int], monkeypatch: pytest.MonkeyPatch, step: str, fault: str
) -> None:
    trouble = Trouble(lab, monkeypatch)
    trouble.in_step(step, fault)
    done = None
    with suppress(DatabricksError, MlflowException, DeployError, TimeoutError):
        done = run(lab)
    trouble.over()
    if done is None:
        run(lab)
    converged(lab, *warm)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_two_steps_converges(
    lab: Lab, warm: tuple[int, int], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    trouble = Trouble(lab, monkeypatch)
    trouble.kill_after(step)
    with pytest.raises(Killed):
        run(lab)
    trouble.over()
    run(lab, None if step != STEPS[-1] else warm[0])
    converged(lab, *warm)


def test_a_second_rollback_does_not_bring_the_bad_version_back(
    lab: Lab, warm: tuple[int, int]
) -> None:
    old, new = warm
    run(lab, why="answers are wrong")
    with pytest.raises(
        ReleaseError, match=rf"version {new} of prod was rolled back \(answers are wrong\)"
    ):
        run(lab)
    again = run(lab, old)
    assert again.next == "nothing: prod serves this version already"
    converged(lab, old, new)
    run(lab, new, why="it was the client's fault")
    assert lab.served("prod") == {old: 0, new: 100}


def test_what_cannot_be_rolled_back_is_refused(
    lab: Lab, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReleaseError, match="prod has no release manifest"):
        run(lab)
    only = lab.register("prod", files)
    lab.release("prod", only)
    with pytest.raises(ReleaseError, match=f"no version before {only.number}: name one with --to"):
        run(lab)
    with pytest.raises(RegistryError, match="has no version 999"):
        run(lab, 999)
    split = [served(only.number, 90, "champion"), served(only.number + 1, 10, "challenger")]
    point_to(lab.settings("prod"), split)
    with pytest.raises(ReleaseError, match=r"a canary .* runs in prod"):
        run(lab, only.number)
    assert lab.history("prod") == []


def test_a_version_that_serves_in_spite_of_its_mark_loses_it(
    lab: Lab, released: tuple[int, int]
) -> None:
    """Somebody put the old manifest back: no deploy takes it before the mark is gone."""
    run(lab)
    versions = {version.number: version for version in lab.versions("prod")}
    lab.release("prod", versions[released[1]])
    run(lab, released[1])
    assert not [each for each in lab.versions("prod") if registry.ROLLED_BACK in each.tags]


def test_another_operation_that_began_is_ended_first(lab: Lab, warm: tuple[int, int]) -> None:
    begun = Entry(operation="promote", what="staging version 4", by="somebody", host="another")
    lab.ledger("prod").begin(begun)
    with pytest.raises(DeployError, match="prod: promote of staging version 4, begun by somebody"):
        run(lab)
    assert lab.served("prod") == {warm[0]: 0, warm[1]: 100}
