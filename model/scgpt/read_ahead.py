"""Read the next piece of work while one is under way: tokenising beside the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Read = TypeVar("Read")
Made = TypeVar("Made")


def read_ahead(
    read: Callable[[Job], Read], use: Callable[[Read], Made], jobs: Sequence[Job]
) -> Iterator[Made]:
    """``use(read(job))`` of each job, in order; the next job is read while one is in use.

    Never more than two of what is read are alive: one in use and one ahead. A single job starts no
    thread. What either function raises comes out at its turn.

    Parameters
    ----------
    read
        Runs in a thread of its own, one job at a time.
    use
        Runs where the iterator is asked.
    jobs
        In the order of the answers.
    """
    if len(jobs) < 2:
        yield from (use(read(job)) for job in jobs)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        ahead = reader.submit(read, jobs[0])
        for job in jobs[1:]:
            found = ahead.result()
            ahead = reader.submit(read, job)
            yield use(found)
        yield use(ahead.result())


def one_behind(made: Iterable[Made]) -> Iterator[Made]:
    """Yield each thing when the next one has been begun: work on a GPU that is fetched later."""
    before: list[Made] = []
    for each in made:
        yield from before
        before = [each]
    yield from before
