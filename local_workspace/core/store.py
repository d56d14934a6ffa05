"""The one SQLite store of a local workspace: JSON documents by kind and key."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class Store:
    """Documents that survive a killed process.

    Every write is its own durable transaction unless it happens inside :meth:`transaction`, which
    makes a group of writes all happen or none. Safe to use from several threads of one process.

    Parameters
    ----------
    path
        SQLite file; made when absent.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._db.execute("BEGIN IMMEDIATE")
                yield
                if self._depth == 1:
                    self._db.execute("COMMIT")
            except BaseException:
                if self._depth == 1:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE kind=? AND key=?", (kind, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, key: str, body: Document) -> None:
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO documents VALUES (?,?,?)", (kind, key, json.dumps(body))
            )

    def delete(self, kind: str, key: str) -> bool:
        with self.transaction():
            done = self._db.execute("DELETE FROM documents WHERE kind=? AND key=?", (kind, key))
            return done.rowcount > 0

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Document]]:
        """Return all documents of a kind whose key starts with `prefix`, sorted by key."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key, body FROM documents WHERE kind=? AND substr(key,1,?)=? ORDER BY key",
                (kind, len(prefix), prefix),
            ).fetchall()
        return [(key, json.loads(body)) for key, body in rows]

    def next_number(self, name: str) -> int:
        """1, 2, 3, ... for each name; a number is never given twice."""
        with self.transaction():
            row = self._db.execute(
                "INSERT INTO counters VALUES (?,1) ON CONFLICT(name) DO UPDATE SET value=value+1"
                " RETURNING value",
                (name,),
            ).fetchone()
            return int(row[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()
