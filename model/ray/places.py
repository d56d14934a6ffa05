"""A bounded number of loaded versions, none of which leaves while a request uses it.

Ray's own multiplexing unloads a good model before it loads the next one, takes a model away from
requests that use it, and lets one load wait for another. Here a version is loaded first, beside the
others; only then does the least recently used one leave, after its last request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from .problems import Refusal

MOST_LOADS = 2
"""Versions that load at a time, beyond the places."""


class Loaded(Protocol):
    """A loaded version."""

    bytes: int

    async def close(self) -> None:
        """Give its memory back."""


L = TypeVar("L", bound=Loaded)


@dataclass(eq=False)
class _Entry(Generic[L]):
    key: int
    task: asyncio.Task[L] = field(init=False)
    uses: int = 0
    model: L | None = None  # once it has a place


class Places(Generic[L]):
    """Loaded versions by their number.

    Parameters
    ----------
    load
        Loads a version; it raises a ``Refusal``.
    most
        Versions that stay loaded.
    most_bytes
        What they may take together; 0: no limit.
    place_timeout_s, retry_load_s
        As in ``Settings``.
    evicted
        Told the number of a version that leaves.
    """

    def __init__(
        self,
        load: Callable[[int], Awaitable[L]],
        *,
        most: int,
        most_bytes: int = 0,
        place_timeout_s: float = 60,
        retry_load_s: float = 10,
        evicted: Callable[[int], None] = lambda key: None,
    ) -> None:
        self._load, self._evicted = load, evicted
        self._most, self._most_bytes = most, most_bytes
        self._place_timeout_s, self._retry_load_s = place_timeout_s, retry_load_s
        self._entries: dict[int, _Entry[L]] = {}  # the least recently used first
        self._leaving: list[_Entry[L]] = []
        self._loads = asyncio.Semaphore(MOST_LOADS)
        self._room = asyncio.Lock()
        self._changed = asyncio.Event()
        self._failed: dict[int, tuple[float, Refusal]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def loaded(self) -> list[int]:
        """The versions that have a place."""
        return [key for key, entry in self._entries.items() if entry.model is not None]

    def failure(self, key: int) -> Refusal | None:
        """Return why the last load of a version failed."""
        return self._failed.get(key, (0.0, None))[1]

    def _check(self, key: int) -> None:
        """Refuse a version that failed to load a moment ago, without another load."""
        until, error = self._failed.get(key, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error

    @asynccontextmanager
    async def use(self, key: int) -> AsyncIterator[L]:
        """Lend a version, loaded where it is not; nobody takes it away meanwhile.

        Raises
        ------
        Refusal
            503: it does not load, it is too large, or all places stay in use.
        """
        self._check(key)
        entry = self._entries.pop(key, None) or self._new(key)
        self._entries[key] = entry
        entry.uses += 1
        try:
            # The load goes on for the others where this request ends.
            yield await asyncio.shield(entry.task)
        finally:
            entry.uses -= 1
            self._released(entry)

    def discard(self, model: L) -> None:
        """Forget a version whose process ended; the next request loads it anew."""
        for entry in list(self._entries.values()):
            if entry.model is model:
                self._leave(entry)

    async def close(self) -> None:
        """Close all versions."""
        for entry in list(self._entries.values()):
            entry.task.cancel()
            self._leave(entry)
        for entry in self._leaving:
            entry.uses = 0
            self._released(entry)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _new(self, key: int) -> _Entry[L]:
        entry = _Entry[L](key)
        entry.task = asyncio.ensure_future(self._loaded(entry))
        return entry

    async def _loaded(self, entry: _Entry[L]) -> L:
        try:
            async with self._loads:
                model = await self._load(entry.key)
                try:
                    await asyncio.wait_for(self._make_room(entry, model), self._place_timeout_s)
                except BaseException:
                    await model.close()
                    raise
        except TimeoutError:
            error = Refusal(
                503,
                "no_place",
                f"All {self._most} places for versions stay in use. Try again later, or raise "
                "max_models.",
                headers={"Retry-After": "5"},
            )
            self._forget(entry)
            raise error from None
        except Refusal as error:
            self._forget(entry)
            self._failed[entry.key] = (time.monotonic() + self._retry_load_s, error)
            raise
        except BaseException:
            self._forget(entry)
            raise
        self._failed.pop(entry.key, None)
        return model

    def _forget(self, entry: _Entry[L]) -> None:
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]

    async def _make_room(self, entry: _Entry[L], model: L) -> None:
        """Wait until the model fits; the least recently used versions leave for it."""
        if self._most_bytes and model.bytes > self._most_bytes:
            raise Refusal(
                503,
                "version_too_large",
                f"The version takes {model.bytes:,} bytes; max_model_bytes is "
                f"{self._most_bytes:,}.",
            )
        async with self._room:
            while not self._fits(model, also=self._leaving):
                self._changed.clear()
                staying = [entry for entry in self._entries.values() if entry.model is not None]
                if staying and not self._fits(model, also=[]):
                    # One in use leaves after its last request.
                    self._leave(next((e for e in staying if not e.uses), staying[0]))
                else:
                    await self._changed.wait()
            entry.model = model

    def _fits(self, model: L, *, also: list[_Entry[L]]) -> bool:
        others = [e.model for e in [*self._entries.values(), *also] if e.model is not None]
        taken = sum(each.bytes for each in others) + model.bytes
        return len(others) < self._most and not 0 < self._most_bytes < taken

    def _leave(self, entry: _Entry[L]) -> None:
        self._forget(entry)
        self._leaving.append(entry)
        self._evicted(entry.key)
        self._released(entry)

    def _released(self, entry: _Entry[L]) -> None:
        if entry in self._leaving and not entry.uses:
            task = asyncio.ensure_future(self._closed(entry))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._changed.set()

    async def _closed(self, entry: _Entry[L]) -> None:
        try:
            if entry.model is not None:
                await entry.model.close()
        finally:
            if entry in self._leaving:
                self._leaving.remove(entry)
            self._changed.set()
