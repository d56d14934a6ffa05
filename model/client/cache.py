"""Answers that are kept: by the cell's tokens, the model's digest and the params.

What a run had answered when it stopped is there for the next one. Without a place for them they
stay in this process, and only until a run over the data set has ended well.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ..errors import InvalidRequest
from .answered import NO_KNOWN_GENE, OK, Answered

_TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID"
_FILE = "answers.sqlite"
_JUDGES = ("min_known_fraction", "allow_imputed", "task")  # params that change no row
_AT_ONCE = 500  # keys in a query


class Cache:
    """Rows of cells, each by a key.

    Parameters
    ----------
    folder
        Holds them in a file that several runs may use at a time; None: this process holds them.

    Raises
    ------
    InvalidRequest
        ``invalid_cache``: the folder cannot be written, or holds another kind of file.
    """

    def __init__(self, folder: Path | None) -> None:
        self.is_kept = folder is not None
        try:
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = ":memory:" if folder is None else str(folder / _FILE)
            self._database = sqlite3.connect(
                place, timeout=60, isolation_level=None, check_same_thread=False
            )
            self._database.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise InvalidRequest(
                "invalid_cache",
                f"the cache {folder} cannot be used: {error}. Name another folder, or none.",
            ) from error
        self._lock, self._is_full = Lock(), False

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Answered]:
        """Return the rows that are there, by key; each of one cell."""
        found: dict[bytes, Answered] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            with self._lock:
                rows = self._database.execute(
                    f"SELECT key, row FROM answers WHERE key IN ({marks})",  # noqa: S608 - marks
                    some,
                ).fetchall()
            found |= {key: _read(row) for key, row in rows}
        return found

    def keep(self, keys: Sequence[bytes], rows: Answered) -> None:
        """Keep the rows of cells, but not those that failed; a full disk costs the cache alone."""
        counts = np.stack([rows.matched, rows.unknown, rows.truncated], axis=1).astype("<u4")
        vectors = rows.embeddings.astype("<f4")
        there = [
            (key, counts[i].tobytes() + vectors[i].tobytes())
            for i, key in enumerate(keys)
            if not rows.has_failed[i]
        ]
        try:
            with self._lock:
                self._database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", there)
        except sqlite3.Error as error:
            if not self._is_full:
                warnings.warn(f"answers are no longer kept in the cache: {error}.", stacklevel=2)
            self._is_full = True

    def done(self) -> None:
        """Forget what only an unfinished run needs."""
        if not self.is_kept:
            with self._lock:
                self._database.execute("DELETE FROM answers")


_HERE = Cache(None)


def cache_at(folder: str | Path | None) -> Cache:
    """Return the cache in a folder, or that of this process."""
    if folder is None:
        return _HERE
    if not isinstance(folder, str | Path) or not str(folder):
        raise InvalidRequest("invalid_cache", f"cache is {folder!r}; it must name a folder.")
    return Cache(Path(folder).expanduser())


def cache_salt(digest: str, params: Mapping[str, Any]) -> bytes:
    """Return what the keys of one model and one set of params begin with."""
    asked = {name: value for name, value in sorted(params.items()) if name not in _JUDGES}
    text = json.dumps([digest, asked])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _read(row: bytes) -> Answered:
    matched, unknown, truncated = (np.frombuffer(row[:12], "<u4")[:, None]).astype(np.int64)
    vectors = np.frombuffer(row[12:], "<f4").astype(np.float32)[None]
    status = np.where(matched > 0, OK, NO_KNOWN_GENE).astype("U64")
    return Answered(vectors, matched, unknown, truncated, status)
