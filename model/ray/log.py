"""Requests and answers in a Delta table with the columns of the AI Gateway's inference tables."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow
from deltalake import write_deltalake

_log = logging.getLogger("ray.serve")
pa: Any = pyarrow  # its annotations cover too little to check against

FIELD_LIMIT = 1_048_576
"""Bytes of a request or an answer that are kept; a longer one becomes null with an error code."""
SCHEMA = pa.schema(
    [
        ("databricks_request_id", pa.string()),
        ("request_date", pa.date32()),
        ("client_request_id", pa.string()),
        ("request_time", pa.timestamp("us", tz="UTC")),
        ("status_code", pa.int32()),
        ("sampling_fraction", pa.float64()),
        ("execution_duration_ms", pa.int64()),
        ("request", pa.string()),
        ("response", pa.string()),
        ("logging_error_codes", pa.list_(pa.string())),
        ("served_entity_id", pa.string()),
        ("requester", pa.string()),
    ]
)
_PAUSE_S = 1.0
_MOST_WAITING = 10_000


@dataclass(frozen=True)
class Entry:
    """One request and its answer."""

    request_id: str
    client_request_id: str | None
    at: datetime
    status: int
    milliseconds: int
    request: bytes
    response: bytes
    served_entity: str
    requester: str

    def record(self) -> dict[str, Any]:
        """Return the row of the table."""
        bodies = {"request": self.request, "response": self.response}
        texts = {
            name: body.decode(errors="replace") if len(body) <= FIELD_LIMIT else None
            for name, body in bodies.items()
        }
        return {
            "databricks_request_id": self.request_id,
            "request_date": self.at.date(),
            "client_request_id": self.client_request_id,
            "request_time": self.at,
            "status_code": self.status,
            "sampling_fraction": 1.0,
            "execution_duration_ms": self.milliseconds,
            **texts,
            "logging_error_codes": [
                f"MAX_{name.upper()}_SIZE_EXCEEDED" for name, text in texts.items() if text is None
            ],
            "served_entity_id": self.served_entity,
            "requester": self.requester,
        }


class InferenceLog:
    """Appends rows to a Delta table, a moment after their requests were answered.

    Parameters
    ----------
    table
        A folder or a URI; made with the first row. Several replicas may append to one table.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._waiting: deque[Entry] = deque()
        self._lock = asyncio.Lock()
        self._task = asyncio.ensure_future(self._run())

    def add(self, entry: Entry) -> None:
        """Keep a row for the next write; a table that cannot be written loses the oldest."""
        if len(self._waiting) == _MOST_WAITING:
            lost = self._waiting.popleft()
            _log.error("the inference log lost request %s", lost.request_id)
        self._waiting.append(entry)

    async def flush(self) -> None:
        """Write all rows that wait."""
        async with self._lock:
            rows = list(self._waiting)
            if rows:
                await asyncio.to_thread(self._write, rows)
                for row in rows:
                    if self._waiting and self._waiting[0] is row:
                        self._waiting.popleft()

    async def close(self) -> None:
        """Write what waits, and end."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_S)
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - the rows are kept; the next round tries again
                _log.exception("writing the inference log")

    def _write(self, rows: list[Entry]) -> None:
        write_deltalake(
            self._table,
            pa.Table.from_pylist([row.record() for row in rows], SCHEMA),
            mode="append",
            configuration={"delta.enableChangeDataFeed": "true"},
        )


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)
