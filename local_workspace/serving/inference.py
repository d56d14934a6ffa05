"""AI-Gateway inference tables: one row for each request, in a real Delta table.

A row is in the store before its request is answered, and moves to the Delta table a moment later:
a killed instance loses no row and writes none twice (each commit has the number of its last row).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from contextlib import suppress
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import pyarrow
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from ..catalog import access, securables
from ..catalog.securables import register_table
from ..core.errors import invalid
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from ..identity.principals import find

_log = logging.getLogger(__name__)

pa: Any = pyarrow  # its annotations cover too little to check against

FIELD_LIMIT = 1_048_576
"""Bytes of a request or response that are kept; a longer one becomes null with an error code."""

_KIND, _NUMBER, _WRITER = "inference_rows", "inference_row", "inference-writer"
_OWNER_PROPERTY = "serving_endpoint"
_BATCH = 50
_PAUSE_S = 1.0

_COLUMNS: tuple[tuple[str, Any, str], ...] = (
    ("databricks_request_id", pa.string(), "string"),
    ("request_date", pa.date32(), "date"),
    ("client_request_id", pa.string(), "string"),
    ("request_time", pa.timestamp("us", tz="UTC"), "timestamp"),
    ("status_code", pa.int32(), "int"),
    ("sampling_fraction", pa.float64(), "double"),
    ("execution_duration_ms", pa.int64(), "bigint"),
    ("request", pa.string(), "string"),
    ("response", pa.string(), "string"),
    ("logging_error_codes", pa.list_(pa.string()), "array<string>"),
    ("served_entity_id", pa.string(), "string"),
    ("requester", pa.string(), "string"),
)
SCHEMA = pa.schema([(name, kind) for name, kind, _ in _COLUMNS])


_LONGEST = 255  # a folder of that name holds the table


def table_of(endpoint: Document) -> str | None:
    """Return the full name of the table that an endpoint logs to; ``None`` when it does not."""
    config = endpoint.get("ai_gateway", {}).get("inference_table_config") or {}
    if not config.get("enabled"):
        return None
    prefix = config.get("table_name_prefix") or endpoint["name"]
    return securables.key(f"{config['catalog_name']}.{config['schema_name']}.{prefix}_payload")


def open_table(
    workspace: Workspace, endpoint: Document, caller: Principal, before: Document | None = None
) -> None:
    """Check and make the table of an endpoint whose gateway is about to be stored.

    An endpoint that is created again goes on with the table of its namesake.

    Parameters
    ----------
    before
        The endpoint as it was: an enabled table cannot move.

    Raises
    ------
    ApiError
        404 without catalog or schema, 403 when caller or creator lack a privilege, 400 when the
        name is taken or an enabled table would move.
    """
    name, old = table_of(endpoint), table_of(before) if before else None
    if name is None or name == old:
        return
    if old is not None:
        raise invalid(
            f"The inference table is {old}: catalog, schema and prefix cannot change while it is "
            "enabled. Disable it first."
        )
    securables.checked_name({"name": name.split(".", 2)[2]})
    if len(name.encode()) > _LONGEST:
        raise invalid(f"Table {name!r}: the local workspace keeps at most {_LONGEST} bytes a name.")
    creator = find(workspace, endpoint["creator"])
    for principal in (caller, creator):
        if principal is not None:
            schema = name.rpartition(".")[0]
            access.require(workspace, principal, "schemas", schema, "CREATE_TABLE")
    _make(workspace, name, endpoint)


def _make(workspace: Workspace, name: str, endpoint: Document) -> None:
    known = workspace.store.get("tables", name)
    if known is not None:
        if known.get("properties", {}).get(_OWNER_PROPERTY) != endpoint["name"]:
            raise invalid(
                f"Table '{name}' exists already. Drop it or choose another table_name_prefix."
            )
        return
    path = workspace.tables / name
    configuration = {"delta.enableChangeDataFeed": "true"}
    DeltaTable.create(str(path), SCHEMA, mode="ignore", configuration=configuration)
    columns = [
        {"name": column, "type_text": text, "type_name": text.split("<")[0].upper(), "position": i}
        for i, (column, _, text) in enumerate(_COLUMNS)
    ]
    properties = {_OWNER_PROPERTY: endpoint["name"]}
    register_table(
        workspace,
        name,
        owner=endpoint["creator"],
        columns=columns,
        storage_location=path.as_uri(),
        properties=properties,
    )


class Writer:
    """Keeps rows in the store at once and moves them to the Delta tables, which only it writes."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._waiting = [(int(row["logged_ms"]), key) for key, row in workspace.store.items(_KIND)]
        self._lock, self._many = asyncio.Lock(), asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="inference-writer")

    def record(self, table: str, row: dict[str, Any], request: bytes, response: bytes) -> None:
        """Keep one row durably.

        Parameters
        ----------
        table
            Full name.
        row
            ``databricks_request_id``, ``request_time_ms``, ``status_code``,
            ``execution_duration_ms``, ``served_entity_id``, ``requester``.
        request, response
            Bodies as they were on the wire.
        """
        store, now = self._workspace.store, self._workspace.now_ms()
        row = row | _logged(request, response) | {"logged_ms": now}
        with store.transaction():
            # The number first: rows are written in the order of their keys.
            key = f"{store.next_number(_NUMBER):012d}/{table}"
            store.put(_KIND, key, row)
        self._waiting.append((now, key))
        if len(self._waiting) >= _BATCH:
            self._many.set()

    async def flush(self) -> None:
        """Write every row that is due now."""
        async with self._lock:
            control = self._workspace.store.get("control", "inference") or {}
            due_ms = self._workspace.now_ms() - 1000 * float(control.get("delay_s", 0))
            copies = float(control.get("duplicates", 0))
            while batch := [key for _, key in takewhile(lambda e: e[0] <= due_ms, self._waiting)][
                :_BATCH
            ]:
                await asyncio.to_thread(_write, self._workspace, batch, copies)
                del self._waiting[: len(batch)]

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._many.wait(), _PAUSE_S)
            self._many.clear()
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - the rows are kept; the next round tries again
                _log.exception("writing inference tables")
                await asyncio.sleep(_PAUSE_S)


def _logged(request: bytes, response: bytes) -> Document:
    """Return the columns that come from the bodies."""
    row: Document = {"client_request_id": _client_request_id(request), "logging_error_codes": []}
    for column, body in (("request", request), ("response", response)):
        row[column] = body.decode(errors="replace") if len(body) <= FIELD_LIMIT else None
        if row[column] is None:
            row["logging_error_codes"].append(f"MAX_{column.upper()}_SIZE_EXCEEDED")
    return row


def _client_request_id(request: bytes) -> str | None:
    if b"client_request_id" not in request:
        return None
    try:
        value = json.loads(request)["client_request_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


def _write(workspace: Workspace, keys: list[str], duplicates: float) -> None:
    """Move rows to their tables, in the order of their numbers."""
    by_table: dict[str, list[tuple[int, Document]]] = {}
    for key in keys:
        number, _, table = key.partition("/")
        row = workspace.store.get(_KIND, key) or {}
        by_table.setdefault(table, []).append((int(number), row))
    for table, rows in by_table.items():
        _append(workspace, table, rows, duplicates)
    with workspace.store.transaction():
        for key in keys:
            workspace.store.delete(_KIND, key)


def _append(
    workspace: Workspace, table: str, rows: list[tuple[int, Document]], duplicates: float
) -> None:
    path = str(workspace.tables / table)
    if workspace.store.get("tables", table) is None or not DeltaTable.is_deltatable(path):
        _log.warning("%s was dropped: %d rows are lost", table, len(rows))
        return
    written = DeltaTable(path).transaction_version(_WRITER) or 0
    new = [(number, row) for number, row in rows if number > written]
    if not new:
        return
    records = [_record(row) for number, row in new for _ in range(_copies(number, duplicates))]
    write_deltalake(
        path,
        pa.Table.from_pylist(records, SCHEMA),
        mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction(_WRITER, new[-1][0])]),
    )


def _copies(number: int, duplicates: float) -> int:
    """How often a row is delivered: 1, and `duplicates` times more on average, spread evenly."""
    return 1 + math.floor(number * duplicates) - math.floor((number - 1) * duplicates)


def _record(row: Document) -> dict[str, Any]:
    time = datetime.fromtimestamp(row["request_time_ms"] / 1000, UTC)
    known = {name: row.get(name) for name in SCHEMA.names}
    return known | {"request_time": time, "request_date": time.date(), "sampling_fraction": 1.0}


def of(workspace: Workspace) -> Writer:
    """Return the running instance's writer."""
    writer: Writer = workspace.runtime["inference"]
    return writer
