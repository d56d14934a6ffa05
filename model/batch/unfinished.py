"""The work of a run so far: a folder beside its target, which the next run may go on with.

Each piece of rows is a file of its own, written in order, so that every file system will do.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from scgpt_databricks.whole_file import TargetError, draft, write_text

from ..cells.job_options import COUNTED
from ..client.answered import Answered
from ..errors import InvalidRequest

_JOB, _ORIGIN, _HOLDER, _ROWS = "job.json", "origin.json", "holder.json", ".rows"
SILENT_S = 15 * 60
"""Seconds after which a run on another machine that kept nothing new is taken for ended."""


class Unfinished:
    """The folder of one target, held by one run at a time; a context manager.

    Parameters
    ----------
    target
        The file that is written at the end.

    Attributes
    ----------
    done, resumed_at
        Cells that are kept; those of them that an earlier run kept.
    origin
        Where the answers came from, as ``uns["scgpt"]`` says it.

    Raises
    ------
    InvalidRequest
        On entering: ``target_in_use``, with who holds it.
    TargetError
        On entering: the folder cannot be made.
    """

    def __init__(self, target: Path) -> None:
        resolved = target.resolve()
        self.target = target
        self.folder = resolved.with_name(resolved.name + ".unfinished")
        self.done = self.resumed_at = 0
        self.origin: Mapping[str, Any] = {}
        self._is_finished = False

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._hold()
        except OSError as error:
            raise TargetError(f"{self.target} cannot be written: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the folder may be gone
            (self.folder / _HOLDER).unlink()
        os.close(self._lock)
        if self._is_finished or not self._pieces():
            shutil.rmtree(self.folder, ignore_errors=True)

    def go_on(self, job: Mapping[str, Any]) -> None:
        """Find what an earlier run of this very job has done; forget another's."""
        if _read(self.folder / _JOB) != job:
            self.clear()
            write_text(self.folder / _JOB, json.dumps(job))
        for start, stop, path in self._pieces():
            if start == self.done and _is_whole(path):
                self.done = stop
            else:
                path.unlink()
        self.resumed_at = self.done
        self.origin = _read(self.folder / _ORIGIN)

    def clear(self) -> None:
        """Forget all rows."""
        self.done = self.resumed_at = 0
        for _, _, path in self._pieces():
            path.unlink()

    def add(self, answer: Answered, origin: Mapping[str, Any]) -> None:
        """Keep the next rows."""
        stop = self.done + len(answer.embeddings)
        counts = np.stack([getattr(answer, name) for name in COUNTED], axis=1)
        if origin != self.origin:
            write_text(self.folder / _ORIGIN, json.dumps(origin))
            self.origin = origin
        piece = self.folder / f"{self.done:012}-{stop:012}{_ROWS}"
        with draft(piece) as path, path.open("wb") as file:
            np.save(file, answer.embeddings)
            np.save(file, counts)
            np.save(file, answer.status)
        self.done = stop

    def rows(self) -> Iterator[tuple[int, Answered]]:
        """Yield the number of the first cell and the rows of each piece, in order."""
        for start, _, path in self._pieces():
            yield start, _load(path)

    def finish(self) -> None:
        """Say that the target is there: the folder goes on leaving."""
        self._is_finished = True

    def _pieces(self) -> list[tuple[int, int, Path]]:
        found = []
        for path in sorted(self.folder.glob(f"[0-9]*{_ROWS}")):
            start, stop = path.stem.split("-")
            found.append((int(start), int(stop), path))
        return found

    def _hold(self) -> int:
        """Take the folder; a lock on its holder's name tells that the holder lives."""
        holder = self.folder / _HOLDER
        for _ in range(2):
            try:
                with holder.open("x") as file:
                    json.dump(_me(), file)
            except FileExistsError:
                if self._is_alive(holder):
                    break
                holder.unlink(missing_ok=True)
                continue
            lock = os.open(holder, os.O_RDONLY)
            if _locked(lock) is not False:
                return lock
            os.close(lock)
            break
        raise self._in_use(_read(holder))

    def _is_alive(self, holder: Path) -> bool:
        try:
            trial = os.open(holder, os.O_RDONLY)
        except FileNotFoundError:
            return False
        locked = _locked(trial)
        os.close(trial)
        if locked is False:
            return True
        who = _read(holder)
        if who.get("host") == socket.gethostname():
            return locked is None and _runs(who["pid"])
        newest = max(path.stat().st_mtime for path in self.folder.iterdir())
        return time.time() - newest < SILENT_S

    def _in_use(self, who: Mapping[str, Any]) -> InvalidRequest:
        by = "{user}@{host} (process {pid}) since {since}".format_map(who) if who else "another run"
        return InvalidRequest(
            "target_in_use",
            f"{self.target} is being written by {by}. Wait for it, or name another file. "
            f"If that run has ended, delete {self.folder / _HOLDER}.",
        )


def _load(path: Path) -> Answered:
    with path.open("rb") as file:
        vectors, counts, status = np.load(file), np.load(file), np.load(file)
    matched, unknown, truncated = counts.T
    return Answered(vectors, matched, unknown, truncated, status)


def _is_whole(path: Path) -> bool:
    try:
        _load(path)
    except (OSError, ValueError, EOFError):
        return False
    return True


def _me() -> dict[str, Any]:
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}",
    }


def _locked(file: int) -> bool | None:
    """Lock an open file: False where somebody else has it, None where there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
