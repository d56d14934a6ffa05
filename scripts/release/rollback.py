"""Let an environment serve an earlier version again: requests first, then the manifest."""

from __future__ import annotations

from datetime import UTC, datetime

from scgpt_databricks.infra import release
from scgpt_databricks.infra.errors import ReleaseError
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model import registry

from ..connection import connected
from ..ledger import Entry, Ledger, shares, shown
from . import traffic
from .branch import require_repository
from .candidates import require_agreement, require_no_canary, served_as
from .operation import Moved, Operation, Report, alone
from .point import WorkingTree, point_to, points_to
from .review import Review
from .steps import Step


def rollback(
    settings: Settings,
    version: int | None = None,
    *,
    why: str = "",
    pull_request: bool = False,
    report: Report,
    dry_run: bool = False,
    resume: bool = False,
) -> Moved:
    """Give all requests to a version, by default to the one before.

    The others stay ready without requests, so that nothing is built where the version still serves.

    Raises
    ------
    ReleaseError
        There is no such version, none before, or a canary runs.
    DeployError
        A workspace or the repository failed. The same command goes on from there.
    """
    if pull_request:
        require_repository(settings.folder)
    with alone(settings, "rollback"), connected(settings) as client:
        current = WorkingTree().find(settings)
        if current is None:
            name = settings.environment
            raise ReleaseError(f"{name} has no release manifest, so there is nothing to roll back")
        require_no_canary(settings, current)
        ledger = Ledger(client, settings)
        goal = version or _goal(settings, current, ledger)
        manifest = _manifest(settings, current, goal)
        report(f"{settings.environment}: {shown(shares(current))} -> {shown(shares(manifest))}")
        review = Review(settings, current, goal, "rollback", wanted=pull_request)
        entry = Entry(
            operation="rollback",
            what=f"to version {goal}",
            by=str(client.current_user.me().user_name),
            why=why,
            before=shares(current),
            facts={"to": goal, "from": current.champion.version},
        )
        work = Operation(ledger, entry, lambda: shares(manifest))
        work.effects = _effects(work, manifest, review)
        outcomes = work.run(report, dry_run=dry_run, resume=resume)
        return Moved(
            settings.environment,
            work.entry.before,
            shares(manifest),
            outcomes,
            review.next(outcomes),
        )


def _effects(work: Operation, manifest: Manifest, review: Review) -> list[Step]:
    client, settings = work.ledger.client, work.ledger.settings
    model, goal = settings.names.full_model, manifest.champion.version

    def is_marked() -> bool:
        taken_back = work.entry.facts["from"]
        return registry.ROLLED_BACK not in registry.get(model, goal).tags and (
            taken_back == goal or registry.ROLLED_BACK in registry.get(model, taken_back).tags
        )

    def mark() -> None:
        reason = work.entry.why or "no reason was given"
        registry.tag(registry.get(model, goal), {registry.ROLLED_BACK: None})
        if (taken_back := work.entry.facts["from"]) != goal:
            found = registry.get(model, taken_back)
            registry.tag(found, {registry.ROLLED_BACK: reason[:1000]})

    def point() -> None:
        point_to(settings, manifest.served, review.place)
        review.write(f"All requests are back at version {goal}. {work.entry.why}".strip())

    no_endpoint = traffic.live(client, settings) is None
    return [
        *([] if no_endpoint else [traffic.move(client, settings, manifest)]),
        # Until the manifest is merged, no deploy gives that version requests again.
        Step("mark the version that is taken back", is_marked, mark),
        Step(
            "point the manifest",
            lambda: points_to(settings, manifest.served, review.place),
            point,
        ),
        Step(
            "move the aliases",
            lambda: registry.aliases(model).get(registry.CHAMPION) == goal,
            lambda: registry.point_aliases(model, goal),
        ),
        *review.steps(),
    ]


def _goal(settings: Settings, current: Manifest, ledger: Ledger) -> int:
    """Return the version before the one that is live."""
    begun = ledger.open()
    if begun is not None and begun.operation == "rollback":
        return int(begun.facts["to"])
    serving = current.champion.version
    warm = [each.version for each in current.served if each.role == release.PREVIOUS]
    before = registry.aliases(settings.names.full_model).get(registry.PREVIOUS)
    found = warm[-1] if warm else before
    if found is None or found == serving:
        raise ReleaseError(
            f"{settings.environment} has no version before {serving}: name one with --to; "
            f"`scgpt versions {settings.environment}` lists them"
        )
    mark = registry.get(settings.names.full_model, found).tags.get(registry.ROLLED_BACK)
    if mark is not None:
        raise ReleaseError(
            f"version {found} of {settings.environment} was rolled back ({mark}): if it is to "
            f"serve again, say so with --to {found}"
        )
    return found


def _manifest(settings: Settings, current: Manifest, goal: int) -> Manifest:
    """Return the manifest that gives all requests to a version."""
    version = registry.ready(settings.names.full_model, goal)
    require_agreement(current, version)
    served = {each.version: each for each in current.served}
    served.setdefault(goal, served_as(version))
    return current.model_copy(
        update={
            "served": tuple(_shared(each, goal) for _, each in sorted(served.items())),
            "created_at": datetime.now(UTC),
        }
    )


def _shared(each: Served, goal: int) -> Served:
    role, share = (release.CHAMPION, 100) if each.version == goal else (release.PREVIOUS, 0)
    return each.model_copy(update={"role": role, "traffic": share})
