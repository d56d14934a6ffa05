"""The deployment: a replica that answers requests to all versions of one model."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import LoggingConfig

from .app import build_app
from .handle import Batches, Handle, Size, process_ended, size_of, start
from .log import Entry, InferenceLog, now
from .metrics import Metrics
from .places import Places
from .problems import Refusal
from .process import set_uris
from .rows import Question
from .settings import TOKEN_VARIABLE, Settings
from .split import Pending, Tally, counted, falls_on_second
from .versions import Known, Versions, check_compatible, find, resolve

_log = logging.getLogger("ray.serve")
_LEFT = 499  # the client was gone before the answer
_NOTHING = Size(0, 0)
_TELL_S = 1.0  # between two messages to the tally
MAX_ONGOING_REQUESTS = 256  # more than batches ever hold, or they would not fill


@dataclass(frozen=True)
class Answer:
    """An answer, and who gave it."""

    body: bytes
    version: int
    digest: str


@dataclass
class _Seen:
    """A request, and what came of it so far."""

    request_id: str
    requester: str
    body: bytes
    at: datetime = field(default_factory=now)
    began: float = field(default_factory=time.perf_counter)
    known: Known | None = None
    second: bool | None = None
    question: Question | None = None
    size: Size = _NOTHING
    status: int = _LEFT
    code: str = ""
    text: bytes = b""

    @property
    def version(self) -> str:
        """Return its number; empty where the request names none that there is."""
        return str(self.known.number) if self.known else ""

    def entry(self, name: str, seconds: float) -> Entry:
        """Return it for the inference log, with bodies as MLflow's servers have them."""
        before, after = self.question.around if self.question else (b"", b"")
        return Entry(
            self.request_id,
            self.question.client_request_id if self.question else None,
            self.at,
            self.status,
            round(1000 * seconds),
            before + self.body + after,
            b'{"predictions": ' + self.text + b"}" if self.status == 200 else self.text,
            f"{name}-{self.version}" if self.known else name,
            self.requester,
        )


class Server:
    """One replica.

    Parameters
    ----------
    model
        Full name in the registry.
    default
        Number or alias of the version that answers requests which name none.
    settings
        As JSON.

    Raises
    ------
    Refusal
        The default version, or that of the split, cannot be served.
    """

    async def __init__(  # type: ignore[misc] # Serve awaits it
        self, model: str, default: str, settings: dict[str, Any]
    ) -> None:
        self.model, self.settings = model, Settings(**settings)
        self.token = os.environ.get(TOKEN_VARIABLE, "")
        if self.settings.require_token and not self.token:
            raise RuntimeError(f"{TOKEN_VARIABLE} is not set, and require_token is.")
        set_uris(self.settings.tracking_uri, self.settings.registry_uri)
        # MLflow tries again for minutes, which is longer than a request waits.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        limit = str(max(1, int(self.settings.registry_timeout_s)))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", limit)
        self.metrics = Metrics(model)
        self.versions = Versions(
            model,
            default,
            timeout_s=self.settings.registry_timeout_s,
            refresh_s=self.settings.refresh_s,
        )
        self.places: Places[Handle] = Places(
            self._load,
            most=self.settings.max_models,
            most_bytes=self.settings.max_model_bytes,
            place_timeout_s=self.settings.place_timeout_s,
            retry_load_s=self.settings.retry_load_s,
            evicted=self.metrics.evicted,
        )
        self._batches = Batches(self.settings, self.metrics.batch)
        self._log = InferenceLog(self.settings.log_table) if self.settings.log_table else None
        self._pending, self._rolled_back = Pending(), False
        self.default = await self.versions.named("")
        await self._warm(self.default)
        if self.settings.split is not None:
            await self._warm(await self._second())
        self._tasks = [asyncio.ensure_future(self._follow_alias())]
        if self.settings.split is not None:
            self._tasks.append(asyncio.ensure_future(self._tell_tally()))

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the HTTP side, after the signature is known."""
        return build_app(self)

    async def check_health(self) -> None:
        """Tell Serve that a replica whose default version does not load is of no use."""
        if (failure := self.places.failure(self.default.number)) is not None:
            raise failure

    async def answer(
        self, body: bytes, asked: str, headers: Mapping[str, str], request_id: str, requester: str
    ) -> Answer:
        """Answer one request.

        Parameters
        ----------
        asked
            Value of the header ``serve_multiplexed_model_id``; empty: none was named.
        headers
            Among them that of the split.
        requester
            For the inference log.

        Raises
        ------
        Refusal
            With its status.
        """
        seen = _Seen(request_id, requester, body)
        try:
            seen.known, seen.second = await self._choose(asked, headers)
            check_compatible(self.default, seen.known)
            seen.question = seen.known.api.read(body)
            seen.size = await size_of(seen.question)
            seen.text, digest = await self._ask(seen.known, seen.question, seen.size.tokens)
            seen.status = 200
            return Answer(seen.text, seen.known.number, digest)
        except Refusal as error:
            seen.status, seen.code, seen.text = error.status, error.code, error.body(request_id)
            if error.trace:
                _log.error("version %s: %s", seen.version, error.trace)
            if seen.known is not None:
                error.headers = {**error.headers, "X-Model-Version": seen.version}
            raise
        except Exception:
            seen.status = 500
            raise
        finally:
            self._record(seen)

    def _record(self, seen: _Seen) -> None:
        """Count a request for metrics and the verdict, and log it."""
        seconds = time.perf_counter() - seen.began
        rows = seen.question.rows if seen.question else 0
        self.metrics.request(seen.version, seen.status, seconds, rows, seen.size.cells)
        if seen.second is not None and seen.question is not None and seen.status != _LEFT:
            self._pending.add(second=seen.second, arm=counted(seen.status, seen.code))
        if self._log is not None:
            self._log.add(seen.entry(self.model.rpartition(".")[2], seconds))

    async def tally(self) -> dict[str, Any]:
        """Return the verdict on the split, with the requests of all replicas."""
        await self._tell()
        found: dict[str, Any] = await self._tally().verdict.remote()
        return {**found, "rolled_back": self._rolled_back}

    async def close(self) -> None:
        """Write what waits and end all processes."""
        for task in self._tasks:
            task.cancel()
        with suppress(RayError):
            await self._tell()
        if self._log is not None:
            await self._log.close()
        await self.places.close()

    async def _choose(self, asked: str, headers: Mapping[str, str]) -> tuple[Known, bool | None]:
        """Return the version of a request; with a split, also if it is the second one."""
        if asked:
            return await self.versions.named(asked), None
        split = self.settings.split
        if split is None:
            return self.default, None
        sticky = headers.get(split.sticky_header) if split.sticky_header else None
        if not self._rolled_back and falls_on_second(split, sticky):
            with suppress(Refusal):  # a second version that is gone leaves its share to the first
                return await self._second(), True
        return self.default, False

    async def _second(self) -> Known:
        assert self.settings.split is not None
        known = await self.versions.named(self.settings.split.version)
        check_compatible(self.default, known)
        return known

    async def _ask(self, known: Known, question: Question, tokens: int) -> tuple[bytes, str]:
        async with self.places.use(known.number) as handle:
            try:
                found = await self._batches.answer(known.number, handle, question, tokens)
            except RayActorError as error:
                raise process_ended() from error
            return found, handle.digest

    async def _load(self, number: int) -> Handle:
        began = time.perf_counter()
        known = await self.versions.numbered(number)
        try:
            handle = await start(self.model, known, self.settings)
        except Refusal:
            self.metrics.loaded(number, "failed", time.perf_counter() - began)
            raise
        self.metrics.loaded(number, "loaded", time.perf_counter() - began)
        handle.ended.add_done_callback(lambda _: self.places.discard(handle))
        return handle

    async def _warm(self, known: Known) -> None:
        async with self.places.use(known.number):
            return

    async def _follow_alias(self) -> None:
        """Move the default version when its alias moves, once the new one is loaded."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            try:
                known = await self.versions.named("")
                if known.number != self.default.number:
                    check_compatible(self.default, known)
                    await self._warm(known)
                    _log.info("the default moves from %d to %d", self.default.number, known.number)
                    self.default = known
            except Refusal as error:
                _log.warning("the default stays at version %d: %s", self.default.number, error)

    async def _tell_tally(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            with suppress(RayError):
                await self._tell()

    async def _tell(self) -> None:
        if self.settings.split is not None and (counts := self._pending.take()) is not None:
            found = await self._tally().add.remote(*counts)
            if found["decision"] == "roll back" and not self._rolled_back:
                _log.error("version %s is rolled back: %s", self.settings.split.version, found)
                self._rolled_back = True

    def _tally(self) -> Any:
        """Return the counts that all replicas share, for these two versions."""
        assert self.settings.split is not None
        split = self.settings.split
        return (
            ray.remote(Tally)
            .options(
                name=f"scgpt-split-{self.model}-{split.version}-{split.weight}",
                namespace="serve",
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
            )
            .remote(split.model_dump())
        )


def deployment_from_model_name(
    model_name: str,
    default_version: str = "1",
    *,
    settings: Settings | None = None,
    **options: Any,
) -> serve.Deployment:
    """Make a deployment of a registered model from its name alone; ``.bind()`` makes it run.

    The signature of the default version is read now, and none of its code runs.

    Parameters
    ----------
    model_name
        In the registry that MLflow points to.
    default_version
        Number or alias of the version for requests that name none.
    settings
        Those that differ from their defaults.
    options
        Of ``serve.deployment``: ``autoscaling_config``, ``num_replicas``, ``ray_actor_options``.

    Raises
    ------
    RegistryError
        The registry has no such model or version, or the version has no signature.
    Refusal
        ``malformed_version``.
    """
    import mlflow

    chosen = settings or Settings()
    set_uris(chosen.tracking_uri, chosen.registry_uri)
    chosen = chosen.model_copy(
        update={
            "tracking_uri": mlflow.get_tracking_uri(),
            "registry_uri": mlflow.get_registry_uri(),
        }
    )
    find(model_name, resolve(model_name, default_version))
    return _deployment(model_name, default_version, chosen, options)


def _deployment(
    model: str, default: str, settings: Settings, options: Mapping[str, Any]
) -> serve.Deployment:
    class Bound(Server):
        """A server whose arguments are known, so that `bind()` takes none."""

        async def __init__(self) -> None:  # type: ignore[misc]
            await super().__init__(model, default, settings.model_dump())

    defaults = {
        "name": "scgpt",
        "max_ongoing_requests": MAX_ONGOING_REQUESTS,
        "logging_config": LoggingConfig(encoding="JSON", enable_access_log=True),
        "health_check_period_s": 5,
        "graceful_shutdown_timeout_s": 300,
    }
    return serve.deployment(**{**defaults, **options})(serve.ingress()(Bound))


def autoscaling(least: int, most: int, ongoing: float = 32) -> AutoscalingConfig:
    """Return settings that keep `ongoing` requests on each replica."""
    return AutoscalingConfig(min_replicas=least, max_replicas=most, target_ongoing_requests=ongoing)
