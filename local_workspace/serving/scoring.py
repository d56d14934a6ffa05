"""Scoring processes: one real ``mlflow models serve`` per served entity, watched and restarted."""

from __future__ import annotations

import asyncio
import logging
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from ..catalog import versions
from ..core.children import Child, ChildError, free_port
from ..core.store import Document
from ..core.workspace import Workspace
from ..identity import secret_scopes

_log = logging.getLogger(__name__)

EXECUTION_LIMIT_S = 297
"""The platform's limit for one request to a model."""

_TOOLS = Path(sys.executable).parent
_START_LIMIT_S = 1200.0
_ATTEMPTS = 3
_PAUSE_S = 1.0
# MLflow's own traceback comes last; the cause is above it.
_TAIL_LINES = 60
_STABLE_S = 60.0
_DYING_S = 1.0

# The environment may hold a development install of a repository: a served version must not see it.
_SITECUSTOMIZE = """\
import sys
sys.meta_path[:] = [f for f in sys.meta_path if not f.__module__.startswith("__editable__")]
roots = (sys.prefix, sys.base_prefix, sys.exec_prefix)
sys.path[:] = [p for p in sys.path if p.startswith(roots)]
"""


def command(model: Path, port: int) -> list[str]:
    """Return the command that serves a model folder on a port of loopback."""
    serve = [str(_TOOLS / "mlflow"), "models", "serve", "--model-uri", str(model)]
    where = ["--host", "127.0.0.1", "--port", str(port), "--timeout", str(EXECUTION_LIMIT_S)]
    return [*serve, "--env-manager", "local", *where]


def build_log(workspace: Workspace, spec: Document) -> str:
    """Return the log of the image that is not built: the model's requirements, and what is here."""
    name, version = spec["entity_name"], spec["entity_version"]
    python = platform.python_version()
    lines = [
        f"Served entity {spec['name']}: {name} version {version}",
        f"The local workspace builds no image: it serves with its own packages, Python {python}.",
    ]
    wanted = versions.folder(workspace, name, version) / "requirements.txt"
    for text in wanted.read_text().splitlines() if wanted.exists() else ():
        package = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        try:
            here = metadata.version(package)
        except (metadata.PackageNotFoundError, ValueError):
            here = "none"
        lines.append(f"requirement {text}: {here} is installed")
    return "\n".join(lines) + "\n"


class Scorer:
    """The process of one served entity, kept alive until :meth:`stop`.

    A request that comes while a proven process is being restarted can wait for :meth:`settled`, as
    for one that was scaled to zero.

    Parameters
    ----------
    entity
        The stored entity: ``id`` and ``spec``.
    proven
        It has served before. A first start that fails is final: it is the deployment's
        failure; later ones are tried again, :data:`_ATTEMPTS` times.
    """

    def __init__(self, workspace: Workspace, entity: Document, *, proven: bool) -> None:
        spec = entity["spec"]
        self.id, self.name = str(entity["id"]), str(spec["name"])
        self.model = versions.folder(workspace, spec["entity_name"], spec["entity_version"])
        self.folder = workspace.folder / "scoring" / self.id
        self.log = _log_of(workspace, entity)
        self.failure: str | None = None
        self.url = ""
        self._variables = secret_scopes.resolved(workspace, spec.get("environment_vars") or {})
        self._proven = proven
        self._settled = asyncio.Event()
        self._ready = False
        self._requests = 0
        self._child: Child | None = None
        self._task = asyncio.create_task(self._keep_alive(), name=f"scoring-{self.name}")

    @property
    def ready(self) -> bool:
        return self._ready

    async def settled(self, timeout_s: float | None = None) -> bool:
        """Wait until it answers or has failed for good; whether it answers."""
        try:
            await asyncio.wait_for(self._settled.wait(), timeout_s)
        except TimeoutError:
            return False
        return self._ready

    async def has_ended(self) -> bool:
        """Return whether the process is gone; one that is dying has a moment to be."""
        assert self._child is not None
        child, deadline = self._child, time.monotonic() + _DYING_S
        while child.alive and time.monotonic() < deadline:  # noqa: ASYNC110 - as in _gone
            await asyncio.sleep(0.05)
        return not child.alive

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Around each request: a process that is replaced ends after its last one."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def drain(self) -> None:
        """Wait until no request uses it."""
        while self._requests:  # noqa: ASYNC110 - replaced processes are few
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._ready = False
        if self._child is not None:
            await asyncio.to_thread(self._child.stop)

    async def _keep_alive(self) -> None:
        left = _ATTEMPTS if self._proven else 1
        while True:
            started = time.monotonic()
            self._child = self._launch()
            try:
                await self._child.wait_healthy(f"{self.url}/ping", _START_LIMIT_S)
                self._ready = True
                self._settled.set()
                await self._gone()
                self._ready = False
                self._settled.clear()
                problem = self._problem("ended while it was serving")
                lived = time.monotonic() - started
                left = _ATTEMPTS if not self._proven or lived > _STABLE_S else left
                self._proven = True
            except ChildError:
                ended = not self._child.alive
                problem = self._problem("ended while it was starting" if ended else "is too slow")
                await asyncio.to_thread(self._child.stop)
            left -= 1
            _log.warning("%d attempts left: %s", left, problem)
            if left == 0:
                break
            await asyncio.sleep(_PAUSE_S * (_ATTEMPTS - left))
        self.failure = problem
        self._settled.set()

    def _problem(self, what: str) -> str:
        assert self._child is not None
        return f"Served entity {self.name} {what}. {self._child.tail(_TAIL_LINES)}"

    def _launch(self) -> Child:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        site = self.folder / "site"
        site.mkdir(parents=True, exist_ok=True)
        (site / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        return Child.start(
            f"scoring-{self.name}",
            command(self.model, port),
            {
                **self._variables,
                "PATH": f"{_TOOLS}:/usr/local/bin:/usr/bin:/bin",
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
                "PYTHONPATH": str(site),
                "PYTHONUNBUFFERED": "1",
            },
            self.log,
            self.folder,
        )

    async def _gone(self) -> None:
        assert self._child is not None
        while self._child.alive:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.25)


class Fleet:
    """All scoring processes of an instance, by id of the served entity."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._scorers: dict[str, Scorer] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def get(self, entity_id: str) -> Scorer | None:
        return self._scorers.get(entity_id)

    def log(self, entity: Document) -> str:
        """Return the output of an entity's process, also of one that has ended."""
        path = _log_of(self._workspace, entity)
        return path.read_text(errors="replace") if path.exists() else ""

    def ready(self, entities: list[Document]) -> bool:
        """Return whether every one of these served entities answers."""
        return all((found := self.get(entity["id"])) and found.ready for entity in entities)

    def ensure(self, entity: Document, *, proven: bool) -> Scorer:
        """Return the process of an entity, started when there is none."""
        found = self.get(entity["id"])
        if found is None or found.failure:
            found = Scorer(self._workspace, entity, proven=proven)
            self._scorers[entity["id"]] = found
        return found

    def retire(self, entity_ids: set[str]) -> None:
        """End processes that nobody is sent to any more, each after its last request."""
        for entity_id in entity_ids & set(self._scorers):
            task = asyncio.create_task(_end(self._scorers.pop(entity_id)))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """End all processes now."""
        self.retire(set(self._scorers))
        ending = list(self._ending)
        await asyncio.sleep(0)  # a task that is cancelled before it has begun would end nothing
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


async def _end(scorer: Scorer) -> None:
    try:
        await scorer.drain()
    finally:
        await scorer.stop()


def _log_of(workspace: Workspace, entity: Document) -> Path:
    return workspace.logs / f"scoring-{entity['spec']['name']}-{entity['id'][:8]}.log"
