"""Have a process of its own walk through a file before this one opens it (see ``walk.py``)."""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock

from ..errors import InvalidRequest

SECONDS = 5  # of the processor that a walk may take
MEMORY = 1 << 30  # bytes, beside what Python and HDF5 take

_log = logging.getLogger(__name__)


class _Walker:
    """The process that walks; it starts with the first file and ends with this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._of = 0

    def ask(self, path: Path) -> str | None:
        """Return how the walk through a file failed; None where it did not, or nobody walks."""
        with self._lock:
            try:
                process = self._ready()
                assert process.stdin
                process.stdin.write(f"{json.dumps(str(path))}\n")
                process.stdin.flush()
                return _answer(process)
            except (OSError, ValueError) as error:
                _log.warning("%s is opened without a trial: %s", path, error)
                self.close()
                return None

    def start(self) -> None:
        """Start the process, if it can be had."""
        with self._lock, suppress(OSError, ValueError):
            self._ready()

    def close(self) -> None:
        """End the process; the next file starts another."""
        if self._process and self._of == os.getpid():
            self._process.communicate()  # its input ends, so it does
        self._process = None

    def _ready(self) -> subprocess.Popen[str]:
        if self._process is None or self._of != os.getpid():  # a fork has its parent's
            self._process, self._of = _start(), os.getpid()
            _answer(self._process)
        return self._process


def _answer(process: subprocess.Popen[str]) -> str | None:
    assert process.stdout
    answer: str | None = json.loads(process.stdout.readline())
    return answer


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            str(Path(__file__).with_name("walk.py")),
            str(SECONDS),
            str(MEMORY),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OPENBLAS_NUM_THREADS": "1",  # of no use there; each takes memory
        },
    )


_walker = _Walker()
atexit.register(_walker.close)


def prepare() -> None:
    """Start the process, so that the first file need not wait for it."""
    _walker.start()


def try_file(path: Path) -> None:
    """Refuse a file that cannot be walked through with bounded time and memory.

    The same file is tried once, until it is written to.

    Raises
    ------
    InvalidRequest
        ``not_anndata``: HDF5 crashes on it, never ends, or takes too much memory.
    OSError
        It is not there.
    """
    found = path.stat()
    _try(path, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)  # a refusal is not kept
def _try(path: Path, *_state: int) -> None:
    why = _walker.ask(path)
    if why:
        raise InvalidRequest(
            "not_anndata",
            f"{path.name} is no AnnData file: it is damaged, for reading it {why}. Fetch it "
            "again, or write it again with adata.write_h5ad.",
        )
