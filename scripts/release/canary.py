"""Begin and end a canary: a challenger beside the champion, on a share of the requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from scgpt_databricks.infra import release
from scgpt_databricks.infra.errors import ReleaseError
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model import registry

from .. import volume
from ..connection import connected
from ..ledger import Entry, Ledger, shares, shown
from . import traffic
from .branch import require_repository
from .candidates import require_agreement, served_as
from .operation import Moved, Operation, Report, alone
from .point import WorkingTree, point_to, points_to
from .review import Review
from .steps import Step

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


MARK = "scgpt-replay"
"""Begins the ids of a canary's own requests; what operators read leaves them out."""


class Trial(BaseModel):
    """The memory of a canary: a file in the volume, so that any machine goes on with it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    challenger: int
    champion: int
    percent: int
    """Share of the requests; 0 if both are warm and only replays and probes compare them."""
    begun: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    judged: dict[str, Any] | None = None
    """The counts so far, as `model.judge.verdict.Canary` saves them."""
    seen: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Served entity -> requests and errors in the endpoint's metrics at the last look."""
    likeness: tuple[str, ...] | None = None
    """The sentences of the probes; None before they were sent."""


@dataclass(frozen=True)
class How:
    """The options that all three operations take."""

    why: str = ""
    pull_request: bool = False
    resume: bool = False
    dry_run: bool = False


def trial(client: WorkspaceClient, settings: Settings) -> Trial | None:
    """Return the canary that the volume knows of."""
    return volume.read(client, settings.names.canary, Trial)


def challenger(manifest: Manifest | None) -> Served | None:
    """Return the challenger that a manifest names."""
    served = manifest.served if manifest else ()
    return next((each for each in served if each.role == release.CHALLENGER), None)


def no_canary(name: str) -> str:
    """Say that an environment has no challenger."""
    return f"no canary runs in {name}: `scgpt canary start {name}` begins one"


def start(
    settings: Settings,
    version: int | None,
    percent: int,
    *,
    again: bool = False,
    how: How | None = None,
    report: Report,
) -> Moved:
    """Let the manifest give a share of the requests to a version.

    Parameters
    ----------
    version
        By default the version at the alias ``challenger``.
    percent
        0 keeps it warm without requests, for a switch at once (blue-green).
    again
        Try a version whose canary was rolled back before.

    Raises
    ------
    ReleaseError
        Nothing is released yet, another canary runs, the version is the champion, was never
        validated, or was rolled back; the share is none; manifest and registry disagree.
    RegistryError
        There is no such version, or it is not ready.
    """
    how, name, model = how or How(), settings.environment, settings.names.full_model
    if not 0 <= percent < 100:
        raise ReleaseError(
            f"{percent} % of the requests of {name}: give a challenger 1 to 99, or 0 to keep it "
            "warm without any"
        )
    with alone(settings, "canary start"), connected(settings) as client:
        current = _released(settings)
        number = version or registry.aliases(model).get(registry.CHALLENGER)
        if number is None:
            raise ReleaseError(f"{name} has no alias challenger: name the version with --version")
        _require_none_other(name, challenger(current), number, percent)
        candidate = registry.ready(model, number)
        for each in (candidate, registry.ready(model, current.champion.version)):
            require_agreement(current, each)
        _require_fit(name, current, candidate, again=again)
        served = _with(current, served_as(candidate), percent)
        fresh = Trial(challenger=number, champion=current.champion.version, percent=percent)
        first = [
            Step(
                "take the mark of the last rollback away",
                lambda: registry.ROLLED_BACK not in registry.get(model, number).tags,
                lambda: _mark(model, number, None),
            ),
            Step(
                "make room for what will be seen",
                lambda: _same(trial(client, settings), fresh),
                lambda: volume.write(client, settings.names.canary, fresh),
            ),
        ]
        goal = (current.champion.version, number)
        return _move(
            settings, client, "canary start", number, served, goal, how, report, first=first
        )


def promote(settings: Settings, *, how: How | None = None, report: Report, now: bool) -> Moved:
    """Let the manifest give all requests to the challenger; the champion stays warm.

    With `now` the requests move at once, by the API; else the next deploy moves them.

    Raises
    ------
    ReleaseError
        No canary runs, or manifest and registry disagree about the challenger.
    """
    how = how or How()
    with alone(settings, "canary promote"), connected(settings) as client:
        current = _released(settings)
        number = _number(settings, client, current, "canary promote")
        require_agreement(current, registry.ready(settings.names.full_model, number))
        served = [_shared(each, number, warm=current.champion.version) for each in current.served]
        goal = (number, None)
        wanted = current.model_copy(update={"served": tuple(served)})
        first = [traffic.move(client, settings, wanted)] if now else []
        return _move(
            settings, client, "canary promote", number, served, goal, how, report, first=first
        )


def abort(settings: Settings, *, how: How | None = None, report: Report) -> Moved:
    """Take all requests from the challenger at once, and then out of the manifest.

    The version is marked, so that no deploy of an older manifest gives it requests again.

    Raises
    ------
    ReleaseError
        No canary runs.
    """
    how, model = how or How(), settings.names.full_model
    with alone(settings, "canary abort"), connected(settings) as client:
        current = _released(settings)
        number = _number(settings, client, current, "canary abort")
        entity = settings.names.served_entity(number)
        # It stays warm until the deploy: requests move before anything is taken down.
        zero = current.model_copy(update={"served": tuple(_without_requests(current))})
        served = [each for each in current.served if each.version != number]
        served = [_shared(each, current.champion.version) for each in served]
        reason = how.why or "aborted by hand"
        first = [
            Step(
                "take the requests from the challenger",
                lambda: not (traffic.live(client, settings) or {}).get(entity),
                lambda: traffic.apply(client, settings, zero),
            ),
            Step(
                "mark the version as rolled back",
                lambda: registry.ROLLED_BACK in registry.get(model, number).tags,
                lambda: _mark(model, number, reason),
            ),
        ]
        goal = (current.champion.version, None)
        return _move(
            settings, client, "canary abort", number, served, goal, how, report, first=first
        )


def _move(
    settings: Settings,
    client: WorkspaceClient,
    operation: str,
    tried: int,
    served: Sequence[Served],
    goal: tuple[int, int | None],
    how: How,
    report: Report,
    *,
    first: Sequence[Step],
) -> Moved:
    """Do the steps of one operation on a version that is or was tried.

    `goal` names champion and challenger afterwards.
    """
    if how.pull_request:
        require_repository(settings.folder)
    current, model = _released(settings), settings.names.full_model
    review = Review(settings, current, tried, operation.replace(" ", "-"), how.pull_request)
    after = {each.version: each.traffic for each in served}
    entry = Entry(
        operation=operation,
        what=f"version {tried}",
        by=str(client.current_user.me().user_name),
        why=how.why,
        before=shares(current),
        facts={"version": tried},
    )
    work = Operation(Ledger(client, settings), entry, lambda: after)

    def point() -> None:
        point_to(settings, served, review.place)
        review.write(f"{settings.environment}: {operation}: {shown(shares(current))} -> "
                     f"{shown(after)}. {how.why}".strip())  # fmt: skip

    def named() -> bool:
        found = registry.aliases(model)
        return (found.get(registry.CHAMPION), found.get(registry.CHALLENGER)) == goal

    work.effects = [
        *first,
        Step("point the manifest", lambda: points_to(settings, served, review.place), point),
        Step("move the aliases", named, lambda: registry.point_aliases(model, *goal)),
        *([_forget(settings, client)] if goal[1] is None else []),
        *review.steps(),
    ]
    report(f"{settings.environment}: {shown(shares(current))} -> {shown(after)}")
    outcomes = work.run(report, dry_run=how.dry_run, resume=how.resume)
    return Moved(settings.environment, work.entry.before, after, outcomes, review.next(outcomes))


def _forget(settings: Settings, client: WorkspaceClient) -> Step:
    return Step(
        "remove what was seen of the canary",
        lambda: trial(client, settings) is None,
        lambda: volume.remove(client, settings.names.canary),
    )


def _released(settings: Settings) -> Manifest:
    current = WorkingTree().find(settings)
    if current is None:
        raise ReleaseError(
            f"{settings.environment} has no release manifest, so there is no champion to compare "
            f"with: build and release a version first"
        )
    return current


def _number(settings: Settings, client: WorkspaceClient, current: Manifest, operation: str) -> int:
    """Return the challenger, or that of the same operation which was cut off."""
    if (tried := challenger(current)) is not None:
        return tried.version
    begun = Ledger(client, settings).open()
    if begun is not None and begun.operation == operation:
        return int(begun.facts["version"])
    raise ReleaseError(no_canary(settings.environment))


def _require_none_other(name: str, tried: Served | None, number: int, percent: int) -> None:
    if tried is None or (tried.version, tried.traffic) == (number, percent):
        return
    raise ReleaseError(
        f"a canary of version {tried.version} on {tried.traffic} % runs in {name}: end it first, "
        f"by `scgpt canary promote {name}` or `scgpt canary abort {name}`"
    )


def _require_fit(name: str, current: Manifest, candidate: registry.Version, *, again: bool) -> None:
    if candidate.number == current.champion.version:
        raise ReleaseError(
            f"version {candidate.number} is the champion of {name} already: name another one"
        )
    if not candidate.validated:
        raise ReleaseError(
            f"{candidate.name} lacks the tag validated = true: no build has compared its answers. "
            "Register it with `scgpt build`, which validates before it registers"
        )
    before = candidate.tags.get(registry.ROLLED_BACK)
    if before is not None and not again:
        raise ReleaseError(
            f"the canary of {candidate.name} was rolled back ({before}). If it is to be tried "
            "anew, say so with --again"
        )


def _with(current: Manifest, candidate: Served, percent: int) -> list[Served]:
    """Return what is served beside a challenger; the champion gives the share up."""
    candidate = candidate.model_copy(update={"role": release.CHALLENGER, "traffic": percent})
    others = [each for each in current.served if each.version != candidate.version]
    return [
        each.model_copy(update={"traffic": 100 - percent}) if each == current.champion else each
        for each in others
    ] + [candidate]


def _without_requests(current: Manifest) -> list[Served]:
    share = {release.CHAMPION: 100}
    return [each.model_copy(update={"traffic": share.get(each.role, 0)}) for each in current.served]


def _shared(each: Served, number: int, warm: int | None = None) -> Served:
    """Return a served version after all requests went to one; the one before stays warm."""
    if each.version == number:
        return each.model_copy(update={"role": release.CHAMPION, "traffic": 100})
    if each.version == warm:
        return each.model_copy(update={"role": release.PREVIOUS, "traffic": 0})
    return each


def _same(found: Trial | None, fresh: Trial) -> bool:
    of = ("challenger", "champion", "percent")
    return found is not None and all(getattr(found, key) == getattr(fresh, key) for key in of)


def _mark(model: str, number: int, reason: str | None) -> None:
    registry.tag(registry.get(model, number), {registry.ROLLED_BACK: reason and reason[:1000]})
