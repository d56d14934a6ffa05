"""Walk through HDF5 files as their reader will, each in a process that may crash: a script.

HDF5 trusts what a file says of itself. A damaged one can end the process that reads it, hold it
for ever or take gigabytes, and no exception tells. So this process takes a path per line (JSON),
forks, and the fork walks: every group, attribute, data set and list of chunks; of the data, short
texts and the names of rows, for these hold pointers. It answers with a line of JSON: null, or how
the walk ended.

Imports nothing of this package, to start fast: ``trial.py`` runs it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

READ = 1 << 20  # bytes of texts, at most, that are read as a trial
_AT_ONCE = 1 << 16  # rows of an index
_NO_MEMORY = re.compile("memory allocation|(not|n't|unable to) allocate", re.IGNORECASE)


class NoMemoryError(Exception):
    """HDF5 asked for more than is allowed."""


def main() -> None:
    """Answer each line until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    seconds, memory = map(int, sys.argv[1:])
    answer("ready")
    for line in sys.stdin:
        answer(walk_apart(json.loads(line), seconds, memory))


def answer(said: str | None) -> None:
    """Write a line of JSON."""
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def walk_apart(path: str, seconds: int, memory: int) -> str | None:
    """Walk in a fork with so much of the processor and of memory; say how it ended, if not well."""
    child = os.fork()
    if not child:
        os._exit(_limited(path, seconds, memory))
    _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"takes more than {seconds} seconds"
    if number:
        return f"ends the process that does it ({signal.Signals(number).name})"
    return f"takes more than {memory >> 20} MiB of memory" if os.WEXITSTATUS(status) else None


def _limited(path: str, seconds: int, memory: int) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # Linux alone tells and bounds addresses
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        with _damages(), h5py.File(path, "r", locking=False) as file:
            for item in _items(file):
                _look_at(item, memory)
    except (MemoryError, NoMemoryError):
        return 1
    return 0


def _items(file: h5py.File) -> Iterator[Any]:
    """Yield what can be opened, each once; links into other files are not followed."""
    waiting: list[Any] = [file["/"]]
    seen = set()
    while waiting:
        item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        yield item
        with _damages():
            for name in item if isinstance(item, h5py.Group) else ():
                with _damages():
                    if isinstance(item.get(name, getlink=True), h5py.HardLink):
                        waiting.append(item[name])


def _look_at(item: Any, memory: int) -> None:
    index = None
    with _damages():
        for name in item.attrs:
            with _damages():
                value = item.attrs[name]
                index = value if name == "_index" else index
    if index is not None:
        with _damages():
            stored = item[index]
            step = max(_AT_ONCE, *(stored.chunks or (0,)))  # each chunk is unpacked once
            small = _chunk_bytes(stored) < memory // 4  # the reader refuses others
            for start in range(0, len(stored) if small else 0, step):
                stored[start : start + step]
    if isinstance(item, h5py.Dataset):
        with _damages():
            if item.chunks:
                item.id.chunk_iter(lambda _: None)
            if item.dtype.hasobject and max(item.nbytes, _chunk_bytes(item)) <= READ:
                item[()]


def _chunk_bytes(stored: h5py.Dataset) -> float:
    chunk = np.prod(stored.chunks or (0,), dtype=np.float64)
    return float(chunk) * int(stored.dtype.itemsize)


class _damages(suppress):  # noqa: N801 - used as suppress is
    """Go on after what a damaged part raises, which its reader will say; not without memory."""

    def __init__(self) -> None:
        super().__init__(Exception)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if isinstance(error, (MemoryError, NoMemoryError)):
            return False
        if error is not None and _NO_MEMORY.search(str(error)):
            raise NoMemoryError(str(error))
        return super().__exit__(kind, error, trace)


if __name__ == "__main__":
    main()
