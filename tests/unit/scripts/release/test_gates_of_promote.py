"""What the gates of a promotion stop at their default thresholds, and what they let pass.

Champion is the demo checkpoint. Each candidate is measured for real, beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from scgpt_databricks.infra.errors import RefusedError
from scgpt_databricks.model import registry
from scgpt_databricks.model.judge.likeness import NEW_SPACE
from scgpt_databricks.model.scgpt.demo import SHIPPED, Recipe, train
from scgpt_databricks.scripts.release.promote import Request, promote
from tests import variants
from tests.unit.scripts.release.conftest import saved
from tests.unit.scripts.release.lab import Lab

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a version of the demo checkpoint."""
    return saved(SHIPPED, tmp_path_factory.mktemp("demo"))


@pytest.fixture
def staging(lab: Lab, demo: Path) -> Lab:
    """The demo checkpoint is champion of staging."""
    lab.release("staging", lab.register("staging", demo))
    return lab


def changed(scratch: Path, change: Change) -> Path:
    """Save a changed copy of the demo checkpoint."""
    checkpoint = shutil.copytree(SHIPPED, scratch / "checkpoint")
    change(checkpoint)
    (scratch / "saved").mkdir()
    return saved(checkpoint, scratch / "saved")


def judged(lab: Lab, files: Path, **digests: str) -> dict[str, tuple[str, str]]:
    """Promote files from dev and return gate -> state and sentence, as the history has them."""
    lab.release("dev", lab.register("dev", files, **digests))
    with suppress(RefusedError):
        promote(Request(lab.settings("dev"), lab.settings("staging")), report=print)
    found = lab.history("staging")[-1].facts["gates"]
    return {gate["name"]: (gate["state"], gate["sentence"]) for gate in found}


def refused(lab: Lab, gates: dict[str, tuple[str, str]]) -> set[str]:
    """Return the gates that failed; nothing came to staging."""
    (champion,) = lab.versions("staging")
    assert lab.served("staging") == {champion.number: 100}
    return failed(gates)


def failed(gates: dict[str, tuple[str, str]]) -> set[str]:
    return {name for name, (state, _) in gates.items() if state == "failed"}


OTHER_WEIGHTS = {registry.CHECKPOINT: "2" * 64}
OTHER_CODE = {registry.ENGINE: "2" * 64}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_retrained_seed_passes(staging: Lab, tmp_path: Path) -> None:
    checkpoint = train(tmp_path / "checkpoint", Recipe(seed=1, threads=1))
    (tmp_path / "saved").mkdir()
    gates = judged(staging, saved(checkpoint, tmp_path / "saved"), **OTHER_WEIGHTS)
    assert failed(gates) == set()
    assert NEW_SPACE in gates["likeness"][1]
    assert staging.served("staging") == {staging.versions("staging")[0].number: 100}


@pytest.mark.long
def test_the_same_space_numbered_otherwise_passes(staging: Lab, tmp_path: Path) -> None:
    files = changed(tmp_path, variants.reverse_dimensions)
    gates = judged(staging, files, **OTHER_WEIGHTS)
    assert failed(gates) == set()
    assert "overlap of 15 neighbours: 0.999" in gates["likeness"][1]


@pytest.mark.long
@pytest.mark.parametrize("change", [variants.shift_vocabulary, variants.swap_queries_and_keys])
def test_a_checkpoint_that_was_put_together_wrongly_is_refused(
    staging: Lab, tmp_path: Path, change: Change
) -> None:
    gates = judged(staging, changed(tmp_path, change), **OTHER_WEIGHTS)
    assert refused(staging, gates) >= {"likeness", "metrics"}


@pytest.mark.parametrize("step", [-1, pytest.param(1, marks=pytest.mark.long)])
def test_bins_that_are_off_by_one_are_refused(
    staging: Lab, demo: Path, tmp_path: Path, step: int
) -> None:
    """Its other figures are as good as the champion's: only equal weights tell."""
    files = variants.bins_off_by_one(demo, tmp_path / "files", step)
    gates = judged(staging, files, **OTHER_CODE)
    assert refused(staging, gates) == {"likeness"}
