"""Promote a version from one environment to the next."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from scgpt_databricks.infra import release
from scgpt_databricks.infra.errors import RefusedError, ReleaseError
from scgpt_databricks.infra.release import Served
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model import registry
from scgpt_databricks.model.judge import gates
from scgpt_databricks.model.judge.gates import Gate
from scgpt_databricks.model.registry import Version

from ..connection import connected, variables
from ..ledger import Entry, Ledger, shares
from . import copy, evidence
from .branch import require_repository
from .candidates import (
    require_agreement,
    require_no_canary,
    require_not_taken_back,
    served_as,
)
from .evidence import Reference
from .operation import Operation, Report, alone
from .point import WorkingTree, point_to, points_to
from .review import Review
from .steps import Outcome, Step
from .text import described

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

LABELS = "bulk_labels"
"""Column of cell types of the cells that are asked for by default."""


@dataclass(frozen=True)
class Request:
    """The options of a promotion."""

    source: Settings
    target: Settings
    version: int | None = None
    """A version of the source's model; None for the champion there."""
    cells: Path | None = None
    labels: str = LABELS
    waived: Collection[str] = ()
    why: str = ""
    keep_previous: bool = False
    """The champion stays ready beside it, without requests."""
    pull_request: bool = False
    challenger: bool = False
    """It gets the alias challenger, for a canary; the manifest stays as it is."""


@dataclass(frozen=True)
class Promoted:
    """How a promotion ended."""

    source: str
    target: str
    version: int
    copy: int | None
    gates: list[Gate]
    steps: list[Outcome]
    text: str
    """The same for reviewers, in Markdown."""
    next: str


def promote(
    request: Request, *, report: Report, dry_run: bool = False, resume: bool = False
) -> Promoted:
    """Copy a version into the next environment, judge it there, and point the manifest to it.

    Each step is looked up before it is done: a promotion that was cut off is run again.

    Raises
    ------
    RefusedError
        A gate refused, or nobody approved the version; the manifest is as it was.
    ReleaseError
        The environments do not follow each other, or manifest and registry disagree.
    DeployError
        A workspace or the repository failed. The same command goes on from there.
    """
    source, target = request.source, request.target
    _require_way(source, target)
    gates.check_waivers(request.waived)
    cells = evidence.reference(request.cells, request.labels)
    if request.pull_request:
        require_repository(target.folder)
    with ExitStack() as stack:
        stack.enter_context(alone(target, "promote"))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scgpt-promote-")))
        # Read before the target is: one process points to one workspace at a time.
        with connected(source):
            candidate = _candidate(source, request.version)
            files = scratch if dry_run else copy.download(candidate, _folder(scratch, "candidate"))
        client = stack.enter_context(connected(target))
        work = _Promotion(request, candidate, files, cells, client, scratch, report)
        outcomes = work.operation.run(report, dry_run=dry_run, resume=resume)
        return Promoted(
            source.environment,
            target.environment,
            candidate.number,
            work.copy.number if work.copy else None,
            work.judged,
            outcomes,
            work.operation.entry.facts.get("text", ""),
            work.next(outcomes),
        )


def _require_way(source: Settings, target: Settings) -> None:
    """Refuse to promote downwards, or past an environment."""
    wanted = target.promotion.source
    if source.environment == wanted:
        return
    name = target.environment
    if wanted is None:
        raise ReleaseError(
            f"nothing is promoted to {name}: its file names no promotion.source, so versions are "
            f"built there, by `scgpt build {name} --checkpoint DIR`"
        )
    raise ReleaseError(
        f"versions come to {name} from {wanted}, not from {source.environment}: "
        f"`scgpt promote {wanted} {name}`, after {wanted} has what {name} is to get"
    )


def _candidate(source: Settings, number: int | None) -> Version:
    model = source.names.full_model
    manifest = WorkingTree().find(source)
    if number is None:
        if manifest is None:
            raise ReleaseError(
                f"{source.environment} has no release manifest, so it serves nothing yet: release "
                "a version there, or name one of its model with --version"
            )
        number = manifest.champion.version
    version = registry.ready(model, number)
    if manifest is not None:
        require_agreement(manifest, version)
    return version


@dataclass
class _Promotion:
    """One promotion at work; the process points to the target."""

    request: Request
    candidate: Version
    files: Path
    """The candidate's."""
    cells: Reference
    client: WorkspaceClient
    scratch: Path
    report: Report
    copy: Version | None = None

    def __post_init__(self) -> None:
        self.model = self.target.names.full_model
        self.current = WorkingTree().find(self.target)
        require_no_canary(self.target, self.current)
        registry.aliases(self.model)  # says so where the model is missing
        self.champion = None
        if self.current:
            self.champion = registry.ready(self.model, self.current.champion.version)
            require_agreement(self.current, self.champion)
        if copied := self._found():
            require_not_taken_back(self.target, copied)
        if self.request.challenger:
            _require_a_champion(self.target, self._serves_it if self.current else None)
        ledger = Ledger(self.client, self.target)
        entry = Entry(
            operation="promote",
            what=f"{self.request.source.environment} version {self.candidate.number}",
            by=str(self.client.current_user.me().user_name),
            why=self.request.why,
            before=shares(self.current),
        )
        self.operation = Operation(ledger, entry, self._after, self._effects())

    @property
    def target(self) -> Settings:
        return self.request.target

    @cached_property
    def review(self) -> Review:
        """The review of the change; there is nothing to review where nothing changes."""
        source, number = self.request.source.environment, self.candidate.number
        wanted = self.request.pull_request and not self._serves_it
        return Review(self.target, self.current, f"{number}-of-{source}", "promote", wanted=wanted)

    def next(self, outcomes: Sequence[Outcome]) -> str:
        """Say what comes next."""
        if self.request.challenger and all(each.state != "to do" for each in outcomes):
            return f"scgpt canary start {self.target.environment}"
        return self.review.next(outcomes)

    @property
    def _serves_it(self) -> bool:
        served = self.current and self.current.champion.version
        return self.copy is not None and served == self.copy.number

    @property
    def judged(self) -> list[Gate]:
        return [Gate(**gate) for gate in self.operation.entry.facts.get("gates", [])]

    def _after(self) -> dict[int, int]:
        return shares(self.review.place.find(self.target))

    def _effects(self) -> list[Step]:
        steps = [
            Step("judge the gates", self._is_judged, self._judge),
            Step("copy the version", self._is_copied, self._copy),
            Step("compare the copy with its source", self._is_compared, self._compare),
            Step("remove unfinished copies", self._is_clean, self._clean),
            Step("ask for an approval", self._is_approved, self._refuse_unapproved),
        ]
        if self.request.challenger:
            return [*steps, Step("name the challenger", self._is_released, self._name)]
        steps.append(Step("point the manifest", self._is_pointed, self._point))
        if self.review.branch is None:
            return [*steps, Step("move the aliases", self._are_moved, self._move)]
        return [*steps, *self.review.steps()]

    def _is_judged(self) -> bool:
        return "gates" in self.operation.entry.facts or (self._is_copied() and self._is_released())

    def _judge(self) -> None:
        request, copied, champion = self.request, self._found(), self.champion
        beside = (
            (champion, copy.download(champion, _folder(self.scratch, "champion")))
            if champion
            else None
        )
        self.report("measuring the version beside the champion")
        found = evidence.gather(
            (self.candidate, self.files),
            beside,
            approval_needed=self.target.approval_needed,
            cells=self.cells,
            approved_by=copied.approved_by(self.target.environment) if copied else "",
            scratch=self.scratch,
        )
        limits = gates.Limits(
            slowdown=self.target.promotion.slowdown,
            licences=frozenset(self.target.promotion.licences),
        )
        judged = gates.report(found, waived=request.waived, limits=limits)
        for gate in judged:
            self.report(f"  {gate.state:6}  {gate.name}: {gate.sentence}")
        # A person approves the copy, which is made once all other gates are passed.
        failed = [each for each in judged if each.state == "failed" and each.name != "approval"]
        text = described(self.request.source.environment, self.target.environment, found, judged)
        self.operation.note(facts={"gates": [asdict(gate) for gate in judged], "text": text})
        if failed:
            names = ", ".join(gate.name for gate in failed)
            raise RefusedError(
                f"{self.target.environment}: refused by {names}; nothing was copied:\n  "
                + "\n  ".join(f"{gate.name}: {gate.sentence}" for gate in failed)
            )
        self.operation.keep()

    def _found(self) -> Version | None:
        self.copy = registry.find(self.model, self.candidate.digests)
        return self.copy

    def _is_copied(self) -> bool:
        return self._found() is not None

    def _copy(self) -> None:
        same = variables(self.request.source) == variables(self.target)
        run_id = self.candidate.run_id if same else None
        copy.register(self.candidate, self.files, self.model, run_id=run_id or None)

    def _is_compared(self) -> bool:
        return self.copy is not None and registry.VALIDATED in self.copy.tags

    def _compare(self) -> None:
        assert self.copy is not None
        files = copy.download(self.copy, _folder(self.scratch, "copy"))
        copy.require_equal(self.files, files, self.copy.name)
        said = str(self.candidate.validated).lower()
        self.copy = registry.tag(self.copy, {registry.VALIDATED: said})

    def _is_clean(self) -> bool:
        return not copy.unfinished(self.model, self.candidate.digests)

    def _clean(self) -> None:
        copy.remove(copy.unfinished(self.model, self.candidate.digests))

    def _is_approved(self) -> bool:
        if not self.target.approval_needed or "approval" in self.request.waived:
            return True
        return self.copy is not None and bool(self.copy.approved_by(self.target.environment))

    def _refuse_unapproved(self) -> None:
        assert self.copy is not None
        name = self.target.environment
        raise RefusedError(
            f"{name}: all other gates are passed, but nobody approved {self.copy.name}. An "
            f"approver runs `scgpt approve {name} {self.copy.number}`; then run this command again"
        )

    @property
    def _served(self) -> list[Served]:
        assert self.copy is not None
        served = [served_as(self.copy, self.candidate.run_id)]
        if self.current and self._serves_it:
            return list(self.current.served)
        if self.request.keep_previous and self.current:
            warm = {"traffic": 0, "role": release.PREVIOUS}
            served.append(self.current.champion.model_copy(update=warm))
        return served

    def _is_released(self) -> bool:
        if not self.request.challenger:
            return self._is_pointed()
        found = registry.aliases(self.model).get(registry.CHALLENGER)
        return self.copy is not None and found == self.copy.number

    def _name(self) -> None:
        assert self.copy is not None
        assert self.current is not None
        registry.point_aliases(self.model, self.current.champion.version, self.copy.number)

    def _is_pointed(self) -> bool:
        return self.copy is not None and points_to(self.target, self._served, self.review.place)

    def _point(self) -> None:
        point_to(self.target, self._served, self.review.place)
        self.review.write(self.operation.entry.facts["text"])

    def _are_moved(self) -> bool:
        found = registry.aliases(self.model)
        return self.copy is not None and found.get(registry.CHAMPION) == self.copy.number

    def _move(self) -> None:
        assert self.copy is not None
        registry.point_aliases(self.model, self.copy.number)


def _folder(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir()
    return folder


def _require_a_champion(target: Settings, serves_it: bool | None) -> None:
    """Refuse a challenger that has no other version to be compared with."""
    name = target.environment
    if serves_it is None:
        raise ReleaseError(
            f"{name} serves nothing yet, so there is no champion to compare a challenger with: "
            "leave --challenger out"
        )
    if serves_it:
        raise ReleaseError(f"{name} serves this version already: it cannot challenge itself")
