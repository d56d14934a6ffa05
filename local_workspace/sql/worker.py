"""A process for each statement: its memory has a limit, and it can be stopped at any time.

A fork server that has loaded DuckDB already starts them in a few milliseconds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait

import duckdb

from ..core.workspace import Principal, Workspace
from . import execution
from .ai_query import Answer, Asked, asker
from .errors import SqlError
from .execution import Into, Result
from .query import Query, sources

MEMORY_LIMIT = 2 << 30
"""Bytes that one statement may take, with all its values."""

_CONTEXT = multiprocessing.get_context("forkserver")
# Opening a Delta table imports these: with them in the server, no statement waits for that.
_CONTEXT.set_forkserver_preload([__name__, "pandas", "pyarrow.dataset"])


async def run(
    workspace: Workspace,
    principal: Principal,
    query: Query,
    row_limit: int | None,
    into: Into | None = None,
) -> Result:
    """Run a prepared query for a principal; when the task is cancelled, its process is killed.

    Parameters
    ----------
    row_limit
        Rows to return at most.
    into
        Where the rows go instead of being returned.

    Raises
    ------
    SqlError
        DuckDB refused it, or it needs more memory than :data:`MEMORY_LIMIT`.
    """
    loop, ask = asyncio.get_running_loop(), asker(workspace, principal)

    def ask_there(asked: Asked) -> Answer:  # the process has no network
        return asyncio.run_coroutine_threadsafe(ask(asked), loop).result()

    worker = _Worker(ask_there, query, sources(workspace, principal, query), row_limit, into)
    try:
        return await asyncio.to_thread(worker.result)
    finally:
        worker.stop()


class _Worker:
    def __init__(self, ask: Callable[[Asked], Answer], *task: object) -> None:
        self._ask = ask
        self._answers, self._sender = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(self._sender, *task), daemon=True)
        self._stopped = False

    def result(self) -> Result:
        """Start the process and wait for its answer; ask endpoints for it meanwhile."""
        self._process.start()
        self._sender.close()
        if self._stopped:
            self._process.kill()
        try:
            answer: Result | SqlError | Asked = self._answers.recv()
            while isinstance(answer, tuple):
                self._answers.send(self._ask(answer))
                answer = self._answers.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
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
    turn = threading.Lock()

    def send(asked: Asked) -> Answer:
        with turn:  # DuckDB has several threads
            answers.send(asked)
            found: Answer = answers.recv()
            return found

    try:
        with execution.connect(query, sources, send) as connection:
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
