"""A process for each statement: its memory has a limit, and it can be stopped at any time.

A fork server that has loaded DuckDB already starts them in a few milliseconds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait

import duckdb

from . import execution
from .execution import Into, Result
from .query import Query, SqlError

MEMORY_LIMIT = 2 << 30
"""Bytes that one statement may take, with all its values."""

_CONTEXT = multiprocessing.get_context("forkserver")
# Opening a Delta table imports these: with them in the server, no statement waits for that.
_CONTEXT.set_forkserver_preload([__name__, "pandas", "pyarrow.dataset"])


async def run(
    query: Query,
    sources: Mapping[str, object],
    row_limit: int | None,
    into: Into | None = None,
) -> Result:
    """Run a prepared query; when the task is cancelled, its process is killed.

    Parameters
    ----------
    sources
        Content of each table, as :func:`.query.sources` gives it.
    row_limit
        Rows to return at most.
    into
        Where the rows go instead of being returned.

    Raises
    ------
    SqlError
        DuckDB refused it, or it needs more memory than :data:`MEMORY_LIMIT`.
    """
    worker = _Worker(query, sources, row_limit, into)
    try:
        return await asyncio.to_thread(worker.result)
    finally:
        worker.stop()


class _Worker:
    def __init__(self, *task: object) -> None:
        self._answers, self._sender = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_work, args=(self._sender, *task), daemon=True)
        self._stopped = False

    def result(self) -> Result:
        """Start the process and wait for its answer."""
        self._process.start()
        self._sender.close()
        if self._stopped:
            self._process.kill()
        try:
            answer: Result | SqlError = self._answers.recv()
        except EOFError:
            answer = _too_large()
        self._process.join()
        if isinstance(answer, SqlError):
            raise answer
        return answer

    def stop(self) -> None:
        """Kill the process; harmless when it has ended or has yet to begin."""
        self._stopped = True
        if self._process.pid:
            self._process.kill()


def _work(
    answers: Connection,
    query: Query,
    sources: Mapping[str, object],
    row_limit: int | None,
    into: Into | None,
) -> None:
    """Be the process: send a result, or the error."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    answer: Result | SqlError
    try:
        with execution.connect(query, sources) as connection:
            if into is None:
                answer = execution.run(connection, query, row_limit)
            else:
                answer = execution.insert(connection, query, into)
    except SqlError as error:
        answer = error
    except (MemoryError, duckdb.OutOfMemoryException):
        answer = _too_large()
    answers.send(answer)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _too_large() -> SqlError:
    return SqlError(
        f"[OUT_OF_MEMORY] The statement needs more than {MEMORY_LIMIT >> 30} GiB of memory. "
        "Read fewer rows or columns, or make shorter values."
    )
