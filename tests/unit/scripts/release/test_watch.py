"""A canary is watched in a real workspace; its versions answer, and fail, as they are asked to."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.model import registry
from scgpt_databricks.model.client import Endpoint
from scgpt_databricks.model.judge.verdict import Arm, Canary, Look, Rules, dealt
from scgpt_databricks.scripts import volume
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.release import canary
from scgpt_databricks.scripts.release import watch as module
from scgpt_databricks.scripts.release.canary import How
from scgpt_databricks.scripts.release.evidence import Reference
from scgpt_databricks.scripts.release.watch import Probed, Watched, compared, watch
from tests.unit.scripts.release.lab import Lab

CELLS = Reference(sparse.csr_matrix(np.ones((20, 2), np.float32)), ["A", "B"], ["T", "B"] * 10)
Two = tuple[int, int]


@pytest.fixture
def two(lab: Lab, files: Path) -> Two:
    """The champion of dev, and another version; both serve."""
    champion = lab.register("dev", files)
    lab.release("dev", champion)
    return champion.number, lab.register("dev", files, engine_digest="2" * 64).number


def begin(lab: Lab, two: Two, percent: int, *, probed: bool = True) -> None:
    """Start a canary whose probes said nothing against it."""
    settings = lab.settings("dev")
    canary.start(settings, two[1], percent, report=lambda _: None)
    lab.deploy("dev")
    if probed:
        with connected(settings) as client:
            found = canary.trial(client, settings)
            assert found is not None
            known = found.model_copy(update={"likeness": ("Alike.",)})
            volume.write(client, settings.names.canary, known)


def look(lab: Lab, **more: Any) -> Watched:
    return watch(lab.settings("dev"), cells=CELLS, for_s=0, report=lambda _: None, **more)


def send(lab: Lab, version: int, answered: int, failed: int = 0) -> None:
    """Send requests to one version."""
    path = f"/serving-endpoints/scgpt-dev/served-models/scgpt_gene_embeddings-{version}/invocations"
    for _ in range(answered):
        lab.call("POST", path, inputs=[1])
    for _ in range(failed):
        with pytest.raises(OSError, match="500"):
            lab.call("POST", path, fail=1)


def live(lab: Lab) -> dict[int, int]:
    """Version -> percent, behind the endpoint."""
    found = lab.live("dev") or {}
    return {int(name.rpartition("-")[2]): share for name, share in found.items()}


def test_a_challenger_that_fails_is_rolled_back_by_itself(lab: Lab, two: Two) -> None:
    begin(lab, two, 50)
    assert look(lab).decision == "undecided"
    send(lab, two[0], 12)
    send(lab, two[1], 2, failed=10)
    found = look(lab)
    assert (found.decision, found.missing) == ("roll back", None)
    assert "canary 10 of 12" in found.reason
    assert found.moved is not None
    steps = [step.name for step in found.moved.steps if step.state == "done"]
    assert steps.index("take the requests from the challenger") < steps.index("point the manifest")
    assert live(lab) == {two[0]: 100, two[1]: 0}
    assert lab.served("dev") == {two[0]: 100}
    marks = {each.number: each.tags.get(registry.ROLLED_BACK) for each in lab.versions("dev")}
    assert marks == {two[0]: None, two[1]: found.reason}
    entry = lab.history("dev")[-1]
    assert (entry.operation, entry.why) == ("canary abort", found.reason)
    with pytest.raises(DeployError, match="no canary runs in dev"):
        look(lab)


def test_requests_that_both_got_and_failed_say_nothing_against_one(lab: Lab, two: Two) -> None:
    """As a replay sends them: half of all, whatever the challenger's share is."""
    begin(lab, two, 10)
    look(lab)
    for version in two:
        send(lab, version, 2, failed=8)
    found = look(lab)
    assert (found.decision, found.moved) == ("undecided", None)
    assert set(found.errors.values()) == {8}
    assert live(lab) == {two[0]: 90, two[1]: 10}


def test_a_watch_that_was_stopped_goes_on_and_only_reports_where_that_is_asked_for(
    lab: Lab, two: Two
) -> None:
    begin(lab, two, 50)
    look(lab)
    send(lab, two[0], 6)
    send(lab, two[1], 3, failed=3)
    assert look(lab).requests == {f"scgpt_gene_embeddings-{n}": 6 for n in two}
    send(lab, two[0], 6)
    send(lab, two[1], 0, failed=6)
    found = look(lab, act=False)
    assert (found.decision, found.moved) == ("roll back", None)
    assert found.errors[f"scgpt_gene_embeddings-{two[1]}"] == 9
    assert live(lab) == {two[0]: 50, two[1]: 50}


def test_a_canary_that_wins_is_promoted_where_that_is_asked_for(lab: Lab, two: Two) -> None:
    begin(lab, two, 50)
    look(lab, rules=Rules(accept_below=0.25))
    send(lab, two[1], 12)
    found = look(lab, promote_it=True)
    assert found.decision == "promote"
    assert lab.served("dev") == {two[0]: 0, two[1]: 100}
    assert lab.history("dev")[-1].why == found.reason


def test_both_warm_behind_one_address_are_switched_at_once(lab: Lab, two: Two) -> None:
    """Blue-green: a watch ends after its probes, since no requests will come."""
    begin(lab, two, 0)
    found = watch(lab.settings("dev"), cells=CELLS, for_s=3600, every_s=3600, report=lambda _: None)
    assert (found.decision, found.likeness) == ("undecided", ("Alike.",))
    assert live(lab) == {two[0]: 100, two[1]: 0}
    canary.promote(lab.settings("dev"), how=How(), report=lambda _: None, now=True)
    assert live(lab) == lab.served("dev") == {two[0]: 0, two[1]: 100}


@pytest.mark.parametrize(
    ("failing", "status", "decision", "said"),
    [
        (1, 403, "undecided", "could not be probed"),  # infrastructure: nothing about the version
        (0, 500, "undecided", "could not be probed"),
        (1, 500, "roll back", "The challenger alone does not answer probes"),
        (None, 400, "undecided", "could not be probed"),  # the cells are at fault
    ],
)
def test_probes_that_are_not_answered(
    lab: Lab,
    two: Two,
    failing: int | None,
    status: int,
    decision: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin(lab, two, 10, probed=False)
    name = "*" if failing is None else f"scgpt_gene_embeddings-{two[failing]}"
    path, ask = f"/serving-endpoints/scgpt-dev/served-models/{name}/invocations", module._asked

    def asked(endpoint: Endpoint, cells: Reference) -> Probed:
        if fnmatch(endpoint.address, f"*{path}"):
            return ask(endpoint, cells)
        return Probed(np.ones((20, 4), np.float32), np.array(["ok"] * 20))

    monkeypatch.setattr(module, "_asked", asked)
    with lab.fault(path=path, status=status):
        found = look(lab)
    assert found.decision == decision
    assert said in found.reason
    assert lab.served("dev") == ({two[0]: 100} if decision == "roll back" else
                                 {two[0]: 90, two[1]: 10})  # fmt: skip


OK, REFUSED, LATE = "ok", "failed: refused", "failed: timed_out"


@pytest.mark.parametrize(
    ("ours", "theirs", "decision", "said"),
    [
        (OK, OK, "promote", "cosine of the least alike cell: 1.00000"),
        (REFUSED, OK, "roll back", "for 1 of 20 cells, which the champion answers: failed: ref"),
        (LATE, OK, "undecided", "did not answer in time for 1 of 20 cells"),
        (OK, REFUSED, "promote", "cosine of the least alike cell: 1.00000"),
        (REFUSED, REFUSED, "promote", "cosine of the least alike cell: 1.00000"),
    ],
)
def test_cells_that_one_of_both_does_not_answer(
    ours: str, theirs: str, decision: str, said: str
) -> None:
    """Their rows are NaN, with which nothing can be compared."""
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)

    def answered(first: str) -> Probed:
        mine = rows.copy()
        mine[0] = rows[0] if first == OK else np.nan
        return Probed(mine, np.array([first, *[OK] * 19]))

    found, reasons = compared(answered(ours), answered(theirs), CELLS.labels, same_weights=True)
    assert found == decision
    assert said in reasons[0]


def test_a_canary_that_waits_for_its_deploy_is_not_judged(lab: Lab, two: Two) -> None:
    canary.start(lab.settings("dev"), two[1], 10, report=lambda _: None)
    with pytest.raises(DeployError, match=r"the endpoint has nothing: `scgpt deploy dev` first"):
        look(lab)


@pytest.mark.parametrize(
    ("arms", "share"),
    [
        ((Arm(3, 0), Arm(97, 0)), 0.1),  # says nothing
        ((Arm(25, 1), Arm(75, 0)), 0.25),
        ((Arm(0, 0), Arm(75, 1)), None),
        ((Arm(9, 1), Arm(0, 0)), None),
    ],
)
def test_the_share_is_that_of_the_requests(arms: tuple[Arm, Arm], share: float | None) -> None:
    assert dealt(*arms, 0.1) == share


def test_data_sets_that_stay_on_one_version_roll_no_equal_canary_back() -> None:
    """The share that was asked for would: its errors come in heaps."""
    rng = np.random.default_rng(0)
    ended = {"asked for": 0, "dealt": 0}
    for _ in range(40):
        by_canary = np.repeat(rng.random((20, 5)) < 0.1, 100, axis=1)  # 20 looks at 5 data sets
        failed = rng.random(by_canary.shape) < 0.05
        for how in ended:
            ended[how] += _rolled_back(by_canary, failed, how == "dealt")
    assert ended["asked for"] > 10
    assert ended["dealt"] <= 2


def _rolled_back(by_canary: np.ndarray, failed: np.ndarray, is_dealt: bool) -> bool:
    found = Canary()
    for canary_s, errors in zip(by_canary, failed, strict=True):
        ours, theirs = (
            Arm(int(mine.sum()), int((mine & errors).sum())) for mine in (canary_s, ~canary_s)
        )
        share = dealt(ours, theirs, 0.1) if is_dealt else 0.1
        if share is not None:
            found = found.add(Look(share, ours, theirs))
        if found.verdict().decision == "roll back":
            return True
    return False
