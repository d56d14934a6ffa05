"""Requests side by side: as many as an endpoint answers without making them wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition
from typing import TypeVar

CONCURRENCY = 16  # a small endpoint answers 4 at a time, a large one 16 and more

_REMEMBERED = 256  # answers
_EASY, _CROWDED = 2.0, 3.0  # times as long as the quickest of these

Job = TypeVar("Job")
Made = TypeVar("Made")


class Pace:
    """The number of requests that may be under way; it follows what answers tell.

    It begins with one. It doubles while answers stay quick, grows by one a round once they did
    not, shrinks where they take three times as long as the quickest, and halves on 429.

    Parameters
    ----------
    most
        It never exceeds this.
    """

    def __init__(self, most: int = CONCURRENCY) -> None:
        self.most, self.limit = most, 1.0
        self._active, self._was_crowded = 0, False
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        self._changed = Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until another request may go out; it is under way for the length of the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._active < int(self.limit))
            self._active += 1
        try:
            yield
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def answered(self, seconds: float, work: int) -> None:
        """Take note of an answer: how long it took, and how much there was to do."""
        if not work:
            return
        with self._changed:
            self._recent.append(seconds / work)
            slowness = self._recent[-1] / max(min(self._recent), 1e-12)
            if slowness < _EASY:
                self.limit += 1 / self.limit if self._was_crowded else 1
            else:
                self._was_crowded = True
                if slowness > _CROWDED:
                    self.limit *= 0.9
            self.limit = min(max(self.limit, 1.0), self.most)
            self._changed.notify_all()

    def refused(self) -> None:
        """Take note that the endpoint had no room for a request."""
        with self._changed:
            self._was_crowded = True
            self.limit = max(self.limit / 2, 1.0)


def in_order(
    jobs: Iterable[Job], do: Callable[[Job], Made], most: int, stop: Callable[[], None]
) -> Iterator[Made]:
    """Yield ``do(job)`` of each job in order; at most `most` are done at a time, in threads.

    Parameters
    ----------
    jobs
        Made where the iterator is asked, a few ahead.
    do
        What it raises comes out at its turn; the jobs after it are given up.
    most
        Threads.
    stop
        Called when the rest is given up, to wake those that wait.
    """
    errors: list[BaseException] = []

    def attempt(job: Job) -> Made:
        try:
            return do(job)
        except BaseException as error:
            errors.append(error)
            stop()
            raise

    def result(done: Future[Made]) -> Made:
        if done.exception() is not None:
            raise errors[0]  # the others were given up because of it
        return done.result()

    pool = ThreadPoolExecutor(most, thread_name_prefix="ask")
    ahead: deque[Future[Made]] = deque()
    finished = False
    try:
        for job in jobs:
            ahead.append(pool.submit(attempt, job))
            while ahead and (len(ahead) >= 2 * most or ahead[0].done()):
                yield result(ahead.popleft())
        while ahead:
            yield result(ahead.popleft())
        finished = True
    finally:
        if not finished:
            stop()
        pool.shutdown(wait=finished, cancel_futures=True)
