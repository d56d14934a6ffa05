"""Versions that requests ask for: looked up and compared before anything is loaded."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import mlflow.models
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature

from .. import registry
from ..errors import RegistryError
from ..judge import signatures
from .problems import Refusal
from .rows import Api

_log = logging.getLogger("ray.serve")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_ALIAS = re.compile(r"[\w-]{1,255}", re.ASCII)
_RESERVED = re.compile(r"v?\d+|latest", re.IGNORECASE)  # MLflow takes no alias of this form
_THREADS = 4
_FRESH_S = 1.0  # a request waits so long for where an alias points to now, if it is known


@dataclass(frozen=True)
class Known:
    """A version that exists, is ready and has a signature.

    Parameters
    ----------
    number
        Of the version.
    api
        Its typed side.
    digest
        Of its checkpoint, as the registry has it; empty where nobody recorded one.
    """

    number: int
    api: Api
    digest: str


def find(model: str, number: int) -> Known:
    """Read a version and its signature from the registry; none of its code runs.

    Raises
    ------
    RegistryError
        ``no_such_version``, ``not_ready`` or ``no_signature``.
    """
    version = registry.ready(model, number)
    signature = read_signature(model, number)
    return Known(number, Api(signature), version.tags.get(registry.CHECKPOINT, ""))


def read_signature(model: str, number: int) -> ModelSignature:
    """Return the signature of a version (``no_signature`` where it has none)."""
    signature: ModelSignature | None = mlflow.models.get_model_info(
        f"models:/{model}/{number}"
    ).signature
    if signature is None:
        raise RegistryError(
            "no_signature",
            f"{model} version {number} was logged without a signature, from which its API is "
            "made; log it again with `signature=infer_signature(...)`.",
        )
    return signature


def resolve(model: str, name: str) -> int:
    """Return the number of the version that a number or an alias names.

    Raises
    ------
    Refusal
        400 ``malformed_version``.
    RegistryError
        ``no_such_version``: the model has no such alias.
    """
    text = checked(name)
    if _NUMBER.fullmatch(text):
        return int(text)
    number = registry.aliases(model).get(text)
    if number is None:
        raise RegistryError("no_such_version", f"{model} has no alias {text!r}.")
    return number


def checked(name: str) -> str:
    """Return a version's name without the ``@`` of an alias (400 ``malformed_version``)."""
    text = name.removeprefix("@")
    if _NUMBER.fullmatch(text) and text == name:
        return text
    if not _ALIAS.fullmatch(text) or _RESERVED.fullmatch(text):
        raise Refusal(
            400,
            "malformed_version",
            f"serve_multiplexed_model_id is {name[:80]!r}; it must be the number of a version "
            "(3), or an alias (champion).",
        )
    return text


class Versions:
    """The versions of one model, asked for by name.

    What was found stays known, so that versions go on answering while the registry is away.

    Parameters
    ----------
    model
        Full name.
    default
        Number or alias that stands for requests that name no version.
    timeout_s, refresh_s
        As in ``Settings``.
    """

    def __init__(self, model: str, default: str, *, timeout_s: float, refresh_s: float) -> None:
        self.model, self.default_name = model, checked(default)
        self._timeout_s, self._refresh_s = timeout_s, refresh_s
        self._known: dict[int, Known] = {}
        self._aliases: dict[str, int] = {}
        self._read_at = -1e9
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="registry")
        self._asking: dict[Any, asyncio.Task[None]] = {}

    async def named(self, name: str) -> Known:
        """Return the version of this name; an empty one is the default.

        Raises
        ------
        Refusal
            400 ``malformed_version``, 404 ``no_such_version``, ``not_ready`` or ``no_signature``,
            503 ``registry_unavailable``.
        """
        text = checked(name or self.default_name)
        if _NUMBER.fullmatch(text):
            return await self.numbered(int(text))
        return await self.numbered(await self._at_alias(text))

    async def numbered(self, number: int) -> Known:
        """Return the version of this number; see :meth:`named`."""
        if number not in self._known:
            await self._ask(number, lambda: self._find(number), self._timeout_s)
        return self._known[number]

    async def _at_alias(self, alias: str) -> int:
        """Return where an alias points to; the last known place if the registry is away."""
        if alias not in self._aliases or time.monotonic() - self._read_at > self._refresh_s:
            wait_s = _FRESH_S if alias in self._aliases else self._timeout_s
            try:
                await self._ask("aliases", self._read_aliases, wait_s)
            except Refusal as error:
                if error.status != 503 or alias not in self._aliases:
                    raise
                _log.warning("alias %s stays at version %d: %s", alias, self._aliases[alias], error)
            self._read_at = time.monotonic()
        number = self._aliases.get(alias)
        if number is None:
            raise Refusal(404, "no_such_version", f"{self.model} has no alias {alias!r}.")
        return number

    def _find(self, number: int) -> None:
        """Keep what the registry answers, however late."""
        self._known[number] = find(self.model, number)

    def _read_aliases(self) -> None:
        self._aliases = registry.aliases(self.model)

    async def _ask(self, what: Any, ask: Callable[[], None], wait_s: float) -> None:
        """Ask the registry once for all requests that want the same, in a thread."""
        task = self._asking.get(what)
        if task is None:
            task = asyncio.ensure_future(_in(self._pool, ask))
            self._asking[what] = task
            task.add_done_callback(lambda done: self._done(what, done))
        try:
            await asyncio.wait_for(asyncio.shield(task), min(wait_s, self._timeout_s))
        except RegistryError as error:
            missing = f"{self.model} has no version {what}; its registry lists those there are."
            message = missing if error.code == "no_such_version" else error.message
            raise Refusal(404, error.code, message) from error
        except (MlflowException, OSError, TimeoutError) as error:
            _log.warning("the registry does not answer: %s", error)
            raise Refusal(
                503,
                "registry_unavailable",
                "The model registry does not answer. Versions that are loaded go on answering; "
                "try this one again later.",
                headers={"Retry-After": "5"},
            ) from error

    def _done(self, what: Any, task: asyncio.Task[None]) -> None:
        self._asking.pop(what, None)
        if not task.cancelled():
            task.exception()  # each who waited was told


async def _in(pool: ThreadPoolExecutor, ask: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(pool, ask)


def check_compatible(default: Known, asked: Known) -> None:
    """Refuse a version that cannot take the place of the default one.

    Raises
    ------
    Refusal
        409 ``incompatible_version`` with the differences.
    """
    if asked.number == default.number:
        return
    found = signatures.compare(default.api.signature.to_dict(), asked.api.signature.to_dict())
    if not found.compatible:
        raise Refusal(
            409,
            "incompatible_version",
            f"Version {asked.number} cannot take the place of version {default.number}, for "
            f"which this API was made: {found.breaking[0].sentence}",
            differences=found.breaking,
        )
