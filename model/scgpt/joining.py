"""Requests that arrive together share batches.

Many callers with a cell each would keep a GPU waiting between small batches, and a processor's
threads in each other's way. Requests of like options are therefore put together while another one
is computed. Nobody who is alone waits. A row has the same answer as alone, since no row depends on
its company.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import EngineError

VARIABLE = "SCGPT_JOIN_MS"
WAIT_MS, MOST_WAIT_MS = 3.0, 100.0

Sent = TypeVar("Sent")
Common = TypeVar("Common")
Made = TypeVar("Made")


def wait_ms() -> float:
    """Milliseconds for which a request waits for others; 0: each is computed alone.

    Raises
    ------
    EngineError
        ``invalid_variable``.
    """
    said = os.environ.get(VARIABLE, "")
    try:
        wait = float(said) if said else WAIT_MS
    except ValueError:
        wait = -1.0
    if not 0 <= wait <= MOST_WAIT_MS:
        raise EngineError(
            "invalid_variable",
            f"{VARIABLE} is {said!r}; it must be milliseconds, 0 .. {MOST_WAIT_MS:g}. "
            "0 computes each request alone.",
        )
    return wait


@dataclass(eq=False)
class _Group(Generic[Sent, Made]):
    """Requests that are computed together: what they sent, and where their answers go."""

    sent: list[Sequence[Sent]] = field(default_factory=list)
    answers: list[Future[list[Made]]] = field(default_factory=list)
    size: int = 0
    full: threading.Event = field(default_factory=threading.Event)


class Joined(Generic[Sent, Common, Made]):
    """Compute requests of several threads together.

    The first request of a group leads it: it waits for others, and for the group before it, and
    computes for all. Its wait is bounded, and there is none where no other request is under way.

    Parameters
    ----------
    compute
        Called with the parts of all requests of a group, and what they have in common, which can
        be hashed; returns a result for each part. One group is computed at a time.
    most
        Size at which a group takes no more requests. A larger request is computed by itself, beside
        the groups.
    wait_ms
        The longest wait for others.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Sent], Common], list[Made]],
        most: Callable[[], int],
        wait_ms: float,
    ) -> None:
        self._compute, self._most, self._wait_s = compute, most, wait_ms / 1000
        self._open: dict[Common, _Group[Sent, Made]] = {}
        self._inside = 0
        self._state, self._turn = threading.Lock(), threading.Lock()

    def __call__(self, sent: Sequence[Sent], common: Common, size: int) -> list[Made]:
        """Return a result for each part of a request of this size."""
        if not self._wait_s or size >= self._most():
            return self._compute(sent, common)
        with self._under_way():
            group, answer, leads = self._join(sent, common, size)
            if leads:
                self._lead(group, common)
            return answer.result()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._state:
            self._inside += 1
        try:
            yield
        finally:
            with self._state:
                self._inside -= 1

    def _join(
        self, sent: Sequence[Sent], common: Common, size: int
    ) -> tuple[_Group[Sent, Made], Future[list[Made]], bool]:
        """Add a request to the group that is open, or open one; say if the request leads it."""
        answer: Future[list[Made]] = Future()
        with self._state:
            group = self._open.get(common)
            leads = group is None or group.size + size > self._most()
            if group is None or leads:
                if group is not None:
                    group.full.set()
                group = self._open[common] = _Group()
            group.sent.append(sent)
            group.answers.append(answer)
            group.size += size
            return group, answer, leads

    def _lead(self, group: _Group[Sent, Made], common: Common) -> None:
        if self._inside > 1:
            group.full.wait(self._wait_s)
        with self._turn:
            with self._state:
                if self._open.get(common) is group:
                    del self._open[common]
            try:
                self._answer(group, common)
            except BaseException as error:  # nobody may wait for ever
                for answer in group.answers:
                    if not answer.done():
                        answer.set_exception(error)
                raise

    def _answer(self, group: _Group[Sent, Made], common: Common) -> None:
        """Give each request its part; where they fail together, each has its own fate."""
        if len(group.sent) > 1:
            try:
                made = self._compute([part for sent in group.sent for part in sent], common)
            except Exception:  # noqa: BLE001 - whose fault it is shows when each is alone
                made = []
            if made:
                start = 0
                for sent, answer in zip(group.sent, group.answers, strict=True):
                    answer.set_result(made[start : start + len(sent)])
                    start += len(sent)
                return
        for sent, answer in zip(group.sent, group.answers, strict=True):
            try:
                answer.set_result(self._compute(sent, common))
            except Exception as error:  # noqa: BLE001 - the request's own thread raises it
                answer.set_exception(error)
