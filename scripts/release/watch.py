"""Watch a canary until the verdict is in: by the endpoint's metrics, and by probes to both."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model.cells.job_options import OBSM_KEY, STATUS_COLUMN
from scgpt_databricks.model.client import Endpoint, embed
from scgpt_databricks.model.client.answered import FAILED
from scgpt_databricks.model.errors import EndpointError, InvalidRequest
from scgpt_databricks.model.judge import likeness
from scgpt_databricks.model.judge.verdict import (
    Arm,
    Canary,
    Decision,
    Look,
    Rules,
    dealt,
    is_infrastructure,
)

from .. import volume
from ..connection import connected
from ..monitoring.metrics import samples
from . import traffic
from .canary import MARK, How, abort, challenger, no_canary, promote, trial
from .evidence import Reference
from .operation import Moved, Report
from .point import WorkingTree

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

Counts = dict[str, tuple[int, int]]
"""Served entity -> requests and errors since it started."""

_ERRORS = "request_5xx_count_total"
_COUNTED = ("request_count_total", _ERRORS)


@dataclass(frozen=True)
class Watched:
    """How a canary stands.

    Parameters
    ----------
    missing
        Requests until a decision at the present rates, where that can be told.
    moved
        What was done about it: the rollback, or the promotion that was asked for.
    """

    environment: str
    challenger: int
    decision: Decision
    reason: str
    missing: int | None
    likeness: tuple[str, ...]
    requests: dict[str, int]
    errors: dict[str, int]
    moved: Moved | None


def watch(
    settings: Settings,
    *,
    cells: Reference,
    rules: Rules | None = None,
    every_s: float = 60.0,
    for_s: float = 3600.0,
    act: bool = True,
    promote_it: bool = False,
    report: Report,
) -> Watched:
    """Look at a canary until it is decided, or the time is up.

    A canary that fails is rolled back at once. What was seen is kept in the volume after each look,
    so that a watch that was stopped goes on.

    Parameters
    ----------
    cells
        What both versions are asked for; labels judge the neighbours of other weights.
    rules
        By default those of the run before, or those of `Rules`.
    act
        False only reports.
    promote_it
        Promote a canary that has won.

    Raises
    ------
    DeployError
        No canary runs, or the endpoint does not serve it as the manifest says.
    """
    with connected(settings) as client:
        at = _Watch(settings, client, cells, rules, report)
        found = at.until(time.monotonic() + for_s, every_s)
    how = How(why=found.reason)
    moved = None
    if act and found.decision == "roll back":
        moved = abort(settings, how=how, report=report)
    elif promote_it and found.decision == "promote":
        moved = promote(settings, how=how, report=report, now=False)
    return replace(found, moved=moved)


class _Watch:
    """One watch at work."""

    def __init__(
        self,
        settings: Settings,
        client: WorkspaceClient,
        cells: Reference,
        rules: Rules | None,
        report: Report,
    ) -> None:
        self.settings, self.client, self.cells, self.report = settings, client, cells, report
        self.manifest = _running(settings)
        tried = challenger(self.manifest)
        known = trial(client, settings)
        if tried is None or known is None or known.challenger != tried.version:
            raise DeployError(no_canary(settings.environment))
        self.tried, self.champion = tried, self.manifest.champion
        self.names = (self._name(tried), self._name(self.champion))
        _require_served(client, settings, self.manifest)
        self.trial = known
        self.canary = Canary.from_dict(known.judged) if known.judged else Canary(rules or Rules())
        if rules is not None:
            self.canary = Canary(rules, self.canary.looks)

    def until(self, deadline: float, every_s: float) -> Watched:
        """Look until a verdict or the end of the time."""
        said = ""
        while True:
            found = self._probed() or self._look()
            if found.reason != said:
                self.report(f"{found.decision}: {found.reason}")
            said = found.reason
            is_over = time.monotonic() >= deadline or not self.trial.percent
            if found.decision != "undecided" or is_over:  # blue-green has no requests to wait for
                return found
            time.sleep(min(every_s, max(0.0, deadline - time.monotonic())))

    def _probed(self) -> Watched | None:
        """Send the probes if that was not done yet; None where they say nothing against it."""
        if self.trial.likeness is not None:
            return None
        same = self.tried.checkpoint_sha256 == self.champion.checkpoint_sha256
        decision, reasons = probe(
            self.settings, self.client, self.names, self.cells, same_weights=same
        )
        if decision != "promote":
            return self._found(decision, " ".join(reasons), None)
        for reason in reasons:
            self.report(reason)
        self._keep(likeness=reasons, seen={})  # the probes are none of the users' requests
        return None

    def _look(self) -> Watched:
        """Count what was answered since the last look, and judge."""
        seen, now = self.trial.seen, counts(self.client, self.settings.names.endpoint, self.names)
        percent = (traffic.live(self.client, self.settings) or {}).get(self.names[0], 0)
        if seen and percent == self.trial.percent and 0 < percent < 100:
            ours, theirs = (since(seen.get(name), now[name]) for name in self.names)
            if (share := dealt(ours, theirs, percent / 100)) is None:
                now = seen  # to be counted with what comes next
            else:
                self.canary = self.canary.add(Look(share, ours, theirs))
        self._keep(seen=now, percent=percent, judged=self.canary.to_dict())
        verdict = self.canary.verdict()
        return self._found(verdict.decision, verdict.reason, verdict.missing)

    def _keep(self, **changes: object) -> None:
        self.trial = self.trial.model_copy(update=changes)
        volume.write(self.client, self.settings.names.canary, self.trial)

    def _found(self, decision: Decision, reason: str, missing: int | None) -> Watched:
        arms = dict(zip(self.names, (self.canary.canary, self.canary.champion), strict=True))
        return Watched(
            self.settings.environment,
            self.tried.version,
            decision,
            reason,
            missing,
            self.trial.likeness or (),
            {name: arm.requests for name, arm in arms.items()},
            {name: arm.errors for name, arm in arms.items()},
            None,
        )

    def _name(self, served: Served) -> str:
        return self.manifest.name_of(served)


def counts(client: WorkspaceClient, endpoint: str, names: tuple[str, ...]) -> Counts:
    """Return what served entities have answered, from the endpoint's metrics.

    An entity that nobody has asked yet is not in them.
    """
    found = {name: [0, 0] for name in names}
    for sample in samples(client, endpoint):
        if sample.name in _COUNTED:
            for name in filter(sample.is_of, names):
                found[name][sample.name == _ERRORS] += int(sample.value)
    return {name: (requests, errors) for name, (requests, errors) in found.items()}


def probe(
    settings: Settings,
    client: WorkspaceClient,
    names: tuple[str, str],
    cells: Reference,
    *,
    same_weights: bool,
) -> tuple[Decision, tuple[str, ...]]:
    """Ask challenger and champion for the same cells, each at its own address, and compare.

    Returns
    -------
    decision
        "promote" if nothing speaks against it, "undecided" if one could not be asked.
    reasons
        A sentence for each figure.
    """
    endpoint = Endpoint.of(settings.names.endpoint, client)
    if endpoint.address:
        return "promote", (
            "Not probed: a route-optimised endpoint has no address for one served entity.",
        )
    asked = []
    for name in reversed(names):  # cells that the champion refuses say nothing about the other
        try:
            asked.append(_asked(replace(endpoint, address=endpoint.url_of(name)), cells))
        except (InvalidRequest, EndpointError) as error:
            status = error.http_status if isinstance(error, EndpointError) else 400
            if name == names[0] and not is_infrastructure(status):
                return "roll back", (f"The challenger alone does not answer probes: {error}",)
            return "undecided", (f"{name} could not be probed: {error}",)
    theirs, ours = asked
    return compared(ours, theirs, cells.labels, same_weights=same_weights)


@dataclass(frozen=True)
class Probed:
    """The answers of one version: float ``[cells, width]``, and a status for each cell."""

    rows: NDArray[np.float32]
    status: NDArray[np.str_]

    @property
    def has_failed(self) -> NDArray[np.bool_]:
        return np.char.startswith(self.status, FAILED)


def _asked(endpoint: Endpoint, cells: Reference) -> Probed:
    data = AnnData(cells.counts)
    data.var_names = cells.genes
    with warnings.catch_warnings(action="ignore"):  # the verdict says which cells failed
        embed(data, endpoint, request_prefix=f"{MARK}-probe")
    return Probed(np.asarray(data.obsm[OBSM_KEY]), data.obs[STATUS_COLUMN].to_numpy(str))


def compared(
    ours: Probed, theirs: Probed, labels: Sequence[str], *, same_weights: bool
) -> tuple[Decision, tuple[str, ...]]:
    """Compare what challenger and champion answered, cell by cell, as `probe` returns it.

    A cell that the champion answers and the challenger does not speaks against the challenger.
    """
    lost = ours.has_failed & ~theirs.has_failed
    if lost.any():
        said = ", ".join(sorted({*ours.status[lost].tolist()}))
        reason = f"{lost.sum()} of {len(lost)} cells, which the champion answers: {said}."
        if said == f"{FAILED}: timed_out":
            return "undecided", (f"The challenger did not answer in time for {reason}",)
        return "roll back", (f"The challenger does not answer for {reason}",)
    both = ~(ours.has_failed | theirs.has_failed)
    types = np.asarray(labels)[both]
    found = likeness.compare(
        theirs.rows[both], ours.rows[both], same_weights=same_weights, labels=types
    )
    if found.passed:
        return "promote", found.reasons
    return "roll back", tuple(each for each in found.reasons if each.endswith("failed."))


def since(before: tuple[int, int] | None, now: tuple[int, int]) -> Arm:
    """Return what was answered between two looks; counters of a process that is new begin at 0."""
    if before is None or now[0] < before[0]:
        before = (0, 0)
    return Arm(now[0] - before[0], now[1] - before[1])


def _running(settings: Settings) -> Manifest:
    found = WorkingTree().find(settings)
    if found is None:
        raise DeployError(f"{settings.environment} has no release manifest, so no canary runs")
    return found


def _require_served(client: WorkspaceClient, settings: Settings, manifest: Manifest) -> None:
    live, name = traffic.live(client, settings), settings.environment
    wanted = traffic.wanted(manifest)
    if live is None or any(live.get(entity) != share for entity, share in wanted.items()):
        raise DeployError(
            f"{name}: the manifest wants {_shown(wanted)}, the endpoint has "
            f"{_shown(live or {}) or 'nothing'}: `scgpt deploy {name}` first"
        )


def _shown(shares: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {share} %" for name, share in shares.items())
