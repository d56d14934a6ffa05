"""Every place in which a command on versions can be disturbed, and the state that must come of it.

A command is run once undisturbed, to see which routes each of its steps calls. Then each of these
calls goes wrong in each way, and the process ends before each step. The same command again must
lead to the state of the undisturbed run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from mlflow import MlflowClient
from starlette.routing import compile_path

from scgpt_databricks.infra import release
from scgpt_databricks.infra.release import Served
from scgpt_databricks.local_workspace.server.app import AREAS
from scgpt_databricks.model import registry
from scgpt_databricks.scripts import volume
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.release import canary, operation, steps, traffic
from scgpt_databricks.scripts.release.approve import approve
from scgpt_databricks.scripts.release.build import build_for
from scgpt_databricks.scripts.release.canary import How, Trial
from scgpt_databricks.scripts.release.candidates import served_as
from scgpt_databricks.scripts.release.point import WorkingTree, point_to
from scgpt_databricks.scripts.release.promote import Request, promote
from scgpt_databricks.scripts.release.rollback import rollback
from scgpt_databricks.scripts.release.steps import Outcome, Step
from tests.unit.scripts.release.faults import Killed
from tests.unit.scripts.release.lab import Lab, empty

TIMEOUT_S = 5
"""Patience of the clients with answers that are to come too late."""
PATIENCE_S = 120
"""Their patience else: a busy machine is no disturbance."""

FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "503": {"status": 503},
    "timeout": {"delay_s": TIMEOUT_S + 0.5, "drop": True},
    "lost answer": {"drop": True, "when": "after"},
}
BEFORE = "before the first step"
_DISCOVERY = "/.well-known/"  # of clients, which do without it


@dataclass(frozen=True)
class Command:
    """A command, and how an environment is made ready for it."""

    name: str
    environment: str
    reset: Callable[[], None]
    run: Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One disturbance: a route of a step that goes wrong, or the end of the process before it."""

    command: str
    step: str
    route: str = ""
    fault: str = "killed before it"
    paths: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Row:
    """How a case went."""

    command: str
    step: str
    route: str
    fault: str
    first: str
    """``done``, or the error's type."""
    again: str
    converged: bool


@dataclass
class Watcher:
    """Knows which step is at work, and disturbs it."""

    lab: Lab
    monkeypatch: pytest.MonkeyPatch
    step: str = BEFORE
    seen: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """(step, route) -> the paths that were called."""
    steps: list[str] = field(default_factory=list)
    case: Case | None = None
    is_noting: bool = False

    def __post_init__(self) -> None:
        self._routes = _routes()
        send = requests.Session.send
        self.monkeypatch.setattr(operation, "run", self._run)

        def noted(session: requests.Session, request: Any, **more: Any) -> Any:
            self._note(str(request.method), urlsplit(request.url).path)
            return send(session, request, **more)

        self.monkeypatch.setattr(requests.Session, "send", noted)

    def enter(self, step: str) -> None:
        """Begin a step."""
        if step == self.step:
            return
        self.step = step
        self.steps.append(step)
        if self.case is None:
            return
        self._disarm()
        if step == self.case.step:
            if not self.case.route:
                raise Killed
            self._arm()

    @contextmanager
    def command(self, case: Case | None) -> Iterator[None]:
        """Watch one run of a command."""
        self.case, self.step, self.steps = case, BEFORE, []
        self._wait_for(TIMEOUT_S if case and case.fault == "timeout" else PATIENCE_S)
        try:
            if case is not None and case.route and case.step == BEFORE:
                self._arm()
            yield
        finally:
            self._disarm()
            self.case = None

    def _wait_for(self, seconds: int) -> None:
        """Set the patience of the clients."""
        self.monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(seconds))
        config = self.lab.folder / "databrickscfg"
        line = f"http_timeout_seconds = {seconds}"
        config.write_text(re.sub(r"http_timeout_seconds = \d+", line, config.read_text()))

    def _run(self, every: Sequence[Step], **more: Any) -> list[Outcome]:
        return steps.run([replace(step, done=self._entering(step)) for step in every], **more)

    def _entering(self, step: Step) -> Callable[[], bool]:
        def done() -> bool:
            self.enter(step.name)
            return step.done()

        return done

    def _arm(self) -> None:
        assert self.case is not None
        method, _, _ = self.case.route.partition(" ")
        for path in self.case.paths:
            rule = {"method": method, "path": path, "times": 0, **FAULTS[self.case.fault]}
            self.lab.call("POST", "/_local/faults", **rule)

    def _disarm(self) -> None:
        self.lab.call("DELETE", "/_local/faults")

    def _note(self, method: str, path: str) -> None:
        if path.startswith(("/_local/", _DISCOVERY)) or not self.is_noting:
            return
        template = next(t for m, pattern, t in self._routes if m == method and pattern.match(path))
        self.seen.setdefault((self.step, f"{method} {template}"), set()).add(_pattern(path))


def _routes() -> list[tuple[str, re.Pattern[str], str]]:
    modules = [import_module(f"scgpt_databricks.local_workspace.{area}") for area in AREAS]
    return [
        (route.method, compile_path(route.pattern)[0], route.pattern)
        for module in modules
        for route in module.routes.table
    ]


def _pattern(path: str) -> str:
    """Return a path without what differs from run to run: numbers, times, ids."""
    changing = r"\d+|\d{8}T[\d.]+Z-\w+\.json|(m-)?[0-9a-f]{16,}|[0-9a-f-]{36}"
    return "/".join(
        "*" if re.fullmatch(changing, segment) else segment for segment in path.split("/")
    )


def cases(command: Command, watcher: Watcher) -> list[Case]:
    """Run a command undisturbed and return all that can disturb it."""
    command.reset()
    watcher.seen.clear()
    watcher.is_noting = True
    with watcher.command(None):
        command.run()
    watcher.is_noting = False
    faults = [
        Case(command.name, step, route, fault, tuple(sorted(paths)))
        for number, ((step, route), paths) in enumerate(watcher.seen.items())
        # A read that fails changes nothing, whichever way it fails: each way in turn.
        for fault in ([list(FAULTS)[number % len(FAULTS)]] if _reads(route) else FAULTS)
    ]
    return [*faults, *(Case(command.name, step) for step in watcher.steps)]


def _reads(route: str) -> bool:
    return route.startswith(("GET ", "HEAD ")) or route.endswith("create-download-url")


def disturbed(command: Command, case: Case, watcher: Watcher, wanted: object) -> Row:
    """Disturb a command, run it again, and compare the state with that of an undisturbed run."""
    command.reset()
    first = _outcome(command, watcher, case)
    again = _outcome(command, watcher, None)
    found = state(watcher.lab, command.environment)
    return Row(case.command, case.step, case.route, case.fault, first, again, found == wanted)


def _outcome(command: Command, watcher: Watcher, case: Case | None) -> str:
    try:
        with watcher.command(case):
            command.run()
    except (Exception, Killed) as error:  # noqa: BLE001 - whatever it is, the next run goes on
        return type(error).__name__
    return "done"


def state(lab: Lab, name: str) -> dict[str, Any]:
    """Return all that a command may change, with versions numbered by their order."""
    versions = sorted(lab.versions(name), key=lambda each: each.number)
    rank = {version.number: place for place, version in enumerate(versions, 1)}
    named = f"{lab.settings(name).names.served_entity(0)}".removesuffix("0")
    live = lab.live(name)
    return {
        "manifest": [
            (rank[each.version], each.traffic, each.role) for each in _manifest(lab, name)
        ],
        "aliases": {alias: rank[number] for alias, number in lab.aliases(name).items()},
        "endpoint": live and {rank[int(k.removeprefix(named))]: v for k, v in live.items()},
        "versions": [
            (each.status, {k: v for k, v in each.tags.items() if k != registry.COPIED_FROM})
            for each in versions
        ],
        "history": [
            (
                entry.operation,
                entry.state,
                _by_rank(entry.before, rank),
                _by_rank(entry.after, rank),
            )
            for entry in lab.history(name)
        ],
        "canary": _trial(lab, name),
    }


def _manifest(lab: Lab, name: str) -> Sequence[Served]:
    found = WorkingTree().find(lab.settings(name))
    return found.served if found else ()


def _by_rank(shares: dict[int, int], rank: dict[int, int]) -> dict[int, int]:
    return {rank[number]: share for number, share in shares.items()}


def _trial(lab: Lab, name: str) -> int | None:
    with connected(lab.settings(name)) as client:
        found = canary.trial(client, lab.settings(name))
    return found.percent if found else None


@dataclass(frozen=True)
class Stage:
    """Versions that the commands work on: two of prod, which serves from them, and one of dev."""

    lab: Lab
    one: int
    two: int

    @classmethod
    def made(cls, lab: Lab, files: Path) -> Stage:
        numbers = [
            lab.register("prod", files, engine_digest=digit * 64).number for digit in ("1", "2")
        ]
        lab.release("dev", lab.register("dev", files))
        stage = cls(lab, *numbers)
        stage._serve({stage.one: (100, release.CHAMPION), stage.two: (0, release.PREVIOUS)})
        lab.deploy("prod")
        return stage

    def commands(self, checkpoint: Path, watcher: Watcher) -> list[Command]:
        """All commands; a build's steps are those that it tells."""
        lab, two, why = self.lab, self.two, How(why="seen")
        prod = lab.settings("prod")
        copied = Request(lab.settings("dev"), lab.settings("staging"))

        def quiet(_: str) -> None:
            return None

        def built() -> object:
            return build_for(
                "main", checkpoint, folder=lab.folder, clean_environment=False,
                notify=watcher.enter,
            )  # fmt: skip

        return [
            Command("build", "main", self._nothing, built),
            Command("promote", "staging", self._unfinished_copy,
                    lambda: promote(copied, report=quiet)),
            Command("approve", "prod", self._alone, lambda: approve(prod, two)),
            Command("canary start", "prod", self._taken_back,
                    lambda: canary.start(prod, two, 10, again=True, report=quiet)),
            Command("canary promote", "prod", self._tried,
                    lambda: canary.promote(prod, how=why, now=True, report=quiet)),
            Command("canary abort", "prod", self._tried,
                    lambda: canary.abort(prod, how=why, report=quiet)),
            Command("rollback", "prod", self._warm,
                    lambda: rollback(prod, why="seen", report=quiet)),
        ]  # fmt: skip

    def _nothing(self) -> None:
        """main holds no version."""
        empty(self.lab, "main")

    def _unfinished_copy(self) -> None:
        """staging serves nothing; somebody's copy stopped half way."""
        empty(self.lab, "staging")
        tags = [{"key": key, "value": "1" * 64} for key in registry.DIGESTS]
        name = self.lab.settings("staging").names.full_model
        path = "/api/2.0/mlflow/unity-catalog/model-versions/create"
        self.lab.call("POST", path, name=name, source="somewhere", tags=tags)

    def _alone(self) -> None:
        """The first serves, the second is in the registry."""
        self._serve({self.one: (100, release.CHAMPION)})

    def _taken_back(self) -> None:
        """The same; the second was tried and rolled back before."""
        self._serve({self.one: (100, release.CHAMPION)}, {self.two: "it was slow"})

    def _tried(self) -> None:
        """A canary of the second."""
        self._serve({self.one: (90, release.CHAMPION), self.two: (10, release.CHALLENGER)})
        settings = self.lab.settings("prod")
        with connected(settings) as client:
            trial = Trial(challenger=self.two, champion=self.one, percent=10)
            volume.write(client, settings.names.canary, trial)

    def _warm(self) -> None:
        """The second serves, the first is warm."""
        self._serve({self.one: (0, release.PREVIOUS), self.two: (100, release.CHAMPION)})

    def _serve(
        self, shares: dict[int, tuple[int, str]], marks: dict[int, str] | None = None
    ) -> None:
        """Let manifest, aliases and endpoint say this, and the history nothing."""
        settings = self.lab.settings("prod")
        shutil.rmtree(self._volume / "history", ignore_errors=True)
        (self._volume / "canary.json").unlink(missing_ok=True)
        with connected(settings) as client:
            versions = {each.number: each for each in registry.listed(settings.names.full_model)}
            approval = registry.approval_tag("prod")
            for number, version in versions.items():
                mark = (marks or {}).get(number)
                registry.tag(version, {registry.ROLLED_BACK: mark, approval: None})
            point_to(settings, [
                served_as(versions[number], "x").model_copy(update={"traffic": share, "role": role})
                for number, (share, role) in shares.items()
            ])  # fmt: skip
            self._name({role: number for number, (_, role) in shares.items()})
            manifest = WorkingTree().find(settings)
            assert manifest is not None
            if traffic.live(client, settings) not in (None, traffic.wanted(manifest)):
                traffic.apply(client, settings, manifest)

    def _name(self, roles: dict[str, int]) -> None:
        client, model = MlflowClient(), self.lab.settings("prod").names.full_model
        now = registry.aliases(model)
        for alias in {*now, *roles}:
            if now.get(alias) == roles.get(alias):
                continue
            if alias in roles:
                client.set_registered_model_alias(model, alias, str(roles[alias]))
            else:
                client.delete_registered_model_alias(model, alias)

    @property
    def _volume(self) -> Path:
        return self.lab.workspace.files / "Volumes" / "prod" / "scgpt" / "artifacts"
