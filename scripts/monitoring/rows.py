"""Rows of our tables, made from rows of an inference table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.model.batch.payloads import UNKNOWN, CellFacts, Facts, read_payload

from .delta import arrow_schema

pa: Any = pyarrow  # its annotations cover too little to check against
pc: Any = pyarrow.compute

_NAME_AND_VERSION = re.compile(r".+-([1-9]\d{0,8})")
_LAST_NUMBER = re.compile(r"-\d+$")

_NEEDED = {"databricks_request_id": (), "status_code": (), "request": (), "response": ()}
_TIMES = {"request_time": "request_time", "timestamp_ms": "request_time"}
_OPTIONAL = {
    "served_entity_id": ("served_entity_id",),
    "execution_duration_ms": ("execution_duration_ms", "execution_time_ms"),
    "requester": ("requester",),
    "client_request_id": ("client_request_id",),
}
"""Column here -> its names in tables of both generations."""


@dataclass(frozen=True)
class Entity:
    """A served entity, as the inference table names it by its id."""

    name: str
    version: int | None


def _by_name(served: str | None) -> Entity | None:
    """Read an entity that has no id but its name, as the servers on Ray write it: scgpt-3."""
    found = _NAME_AND_VERSION.fullmatch(served or "")
    return Entity(str(served), int(found[1])) if found else None


def source_columns(names: Sequence[str], table: str) -> dict[str, str]:
    """Return our name -> name in a table, of the columns that are read.

    Columns that nobody knows are left alone; those of legacy tables have other names.

    Raises
    ------
    DeployError
        It lacks a column that no unpacking can do without.
    """
    lacking = [name for name in _NEEDED if name not in names]
    time = next((name for name in _TIMES if name in names), None)
    if time is None:
        lacking.append("request_time")
    if lacking:
        raise DeployError(
            f"{table} is no inference table: it has no column {', '.join(lacking)}. Its columns: "
            f"{', '.join(names)}"
        )
    found = {name: name for name in _NEEDED} | {"request_time": str(time)}
    for name, known in _OPTIONAL.items():
        there = next((each for each in known if each in names), None)
        if there is not None:
            found[name] = there
    if "request_metadata" in names:  # legacy: the version's number lies there
        found["request_metadata"] = "request_metadata"
    return found


_TYPES = {
    "databricks_request_id": pa.string(),
    "status_code": pa.int32(),
    "request": pa.string(),
    "response": pa.string(),
    "served_entity_id": pa.string(),
    "execution_duration_ms": pa.int64(),
    "requester": pa.string(),
    "client_request_id": pa.string(),
    "request_metadata": pa.map_(pa.string(), pa.string()),
}
"""Column -> its type in an inference table."""
_MOMENT = pa.timestamp("us", tz="UTC")
_BEGIN, _END = -62_135_596_800, 253_402_300_800
"""Seconds of the years 1 to 9999, which are all that a date can be of."""


def usable(batch: Any) -> tuple[Any, Any]:
    """Return the rows that have an id and a time, and the others as rows that are set aside.

    Raises
    ------
    DeployError
        A column holds what no inference table does.
    """
    batch = _typed(batch)
    fine = pc.and_(batch["databricks_request_id"].is_valid(), batch["request_time"].is_valid())
    if fine.true_count == len(fine):
        return batch, _set_aside(batch.slice(0, 0), [], [])
    broken = batch.filter(pc.invert(fine))
    no_time = "it has no request_time in the years 1 to 9999"
    reasons = [
        no_time if request else "it has no databricks_request_id"
        for request in broken["databricks_request_id"].to_pylist()
    ]
    return batch.filter(fine), _set_aside(broken, ["row"] * broken.num_rows, reasons)


def _typed(batch: Any) -> Any:
    """Give each column the type that it has in an inference table."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = _TYPES.get(name, column.type)
        try:
            columns.append(_moments(column) if name == "request_time" else column.cast(kind))
        except pa.ArrowException as error:
            raise DeployError(
                f"the table is no inference table: column {name} is {column.type}: {error}"
            ) from error
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _moments(times: Any) -> Any:
    """Return moments, null where they are in no year. Legacy tables count milliseconds."""
    if pa.types.is_integer(times.type):
        unit, numbers = 1_000, times.cast(pa.int64())
    else:
        unit, numbers = 1_000_000, times.cast(_MOMENT, safe=False).cast(pa.int64())
    known = pc.and_(pc.greater_equal(numbers, _BEGIN * unit), pc.less(numbers, _END * unit))
    return pc.multiply(pc.if_else(known, numbers, None), 1_000_000 // unit).cast(_MOMENT)


Means = Mapping[int, NDArray[np.float32]]
"""Version -> mean embedding of its baseline."""


class Rows:
    """Rows of all tables, made from rows of an inference table."""

    def __init__(self, entities: Mapping[str, Entity], means: Means | None = None) -> None:
        self._entities, self._means = entities, means or {}

    def unpack(self, batch: Any) -> dict[str, Any]:
        """Unpack usable rows: kind of table -> record batch."""
        texts = zip(batch["request"], batch["response"], batch["status_code"], strict=True)
        facts = [
            read_payload(request.as_py(), response.as_py(), int(status.as_py() or 0))
            for request, response, status in texts
        ]
        whose = self._whose(batch, facts)
        return {
            "requests": self._requests(batch, facts, whose),
            "cells": self._cells(facts, whose),
            "detection": _detection(facts, whose),
            "set_aside": _malformed(facts, whose),
        }

    def _whose(self, batch: Any, facts: Sequence[Facts]) -> dict[str, Any]:
        """Return the columns that say whose request it is; all tables repeat some of them."""
        ids = _optional(batch, "served_entity_id")
        entities = [self._entities.get(str(each)) or _by_name(each) for each in ids]
        legacy = [dict(each or ()) for each in _optional(batch, "request_metadata")]
        versions = [
            each.version if each else number(old.get("model_version"))
            for each, old in zip(entities, legacy, strict=True)
        ]
        names = _optional(batch, "client_request_id")
        requests = batch["databricks_request_id"].to_pylist()
        return {
            "databricks_request_id": batch["databricks_request_id"],
            "request_time": batch["request_time"],
            "request_date": batch["request_time"].cast(pa.date32()),
            "served_entity_id": ids,
            "served_entity": [each.name if each else None for each in entities],
            "version": versions,
            "model_digest": [each.digest for each in facts],
            "requester": _optional(batch, "requester"),
            "client_request_id": names,
            "data_set": [
                _LAST_NUMBER.sub("", name) if name else request
                for name, request in zip(names, requests, strict=True)
            ],
        }

    def _requests(self, batch: Any, facts: Sequence[Facts], whose: Mapping[str, Any]) -> Any:
        scalars = [self._scalars(each, v) for each, v in zip(facts, whose["version"], strict=True)]
        names = [*dict.fromkeys(name for each in scalars for name in each)]
        known = {
            **whose,
            **{name: [each.get(name) for each in scalars] for name in names},
            "status_code": batch["status_code"],
            "execution_duration_ms": _optional(batch, "execution_duration_ms"),
            "request_bytes": pc.binary_length(batch["request"]).cast(pa.int64()),
            "response_bytes": pc.binary_length(batch["response"]).cast(pa.int64()),
            "unpacked_at": [datetime.now(UTC)] * len(facts),
        }
        return _batch("requests", known, len(facts))

    def _scalars(self, facts: Facts, version: int | None) -> dict[str, Any]:
        known: dict[str, Any] = {
            "form": facts.form,
            "task": facts.task,
            "reason": facts.reason,
            "cells": facts.n_cells,
            "whole_numbers": facts.whole_numbers,
        }
        cells = facts.cells
        if facts.sums is not None:
            matched, unknown, truncated = facts.sums
            seen = matched + unknown
            known |= {
                "matched_genes": matched,
                "unknown_genes": unknown,
                "truncated_genes": truncated,
                "tokens": matched - truncated + int(facts.n_cells or 0),
                "coverage": matched / seen if seen else None,
            }
        if cells is None or not len(cells):
            return known
        if (cells.truncated >= 0).all():
            known["truncated_cells"] = int((cells.truncated > 0).sum())
        sizes = cells.library_size[np.isfinite(cells.library_size)]
        known["library_size_median"] = float(np.median(sizes)) if len(sizes) else None
        if cells.embeddings is not None:
            mean = self._means.get(version) if version is not None else None
            with np.errstate(over="ignore"):  # infinite, as the numbers of no model of ours are
                known["embedding_norm"] = float(np.linalg.norm(cells.embeddings, axis=1).mean())
                if mean is not None and len(mean) == cells.embeddings.shape[1]:
                    far = np.linalg.norm(cells.embeddings - mean, axis=1)
                    known["reference_distance"] = float(far.mean())
        return known

    def _cells(self, facts: Sequence[Facts], whose: Mapping[str, Any]) -> Any:
        parts = [each.cells for each in facts]
        lengths = [0 if part is None else len(part) for part in parts]
        there = [part for part in parts if part is not None]
        known = _repeated(whose, lengths)
        known |= {
            "cell": np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]),
            "cell_id": [name for part in there for name in part.ids],
            "library_size": _or_null(there, "library_size", pa.float64()),
            "detected_genes": _or_null(there, "detected", pa.int32()),
            "matched_genes": _or_null(there, "matched", pa.int32()),
            "unknown_genes": _or_null(there, "unknown", pa.int32()),
            "truncated_genes": _or_null(there, "truncated", pa.int32()),
            "embedding": _vectors(there),
        }
        return _batch("cells", known, sum(lengths))


def _detection(facts: Sequence[Facts], whose: Mapping[str, Any]) -> Any:
    there = [int(bool(each.detection)) for each in facts]
    found = [each for each in facts if each.detection]
    each_one = [each.detection for each in found]
    ends = pa.array([0, *accumulate(map(len, each_one))], pa.int32())
    genes = pa.array([*chain.from_iterable(each_one)], pa.string())
    times = pa.array([*chain.from_iterable(each.values() for each in each_one)], pa.int32())
    known = _repeated(whose, there)
    known |= {
        "cells": [each.n_cells for each in found],
        "genes": pa.ListArray.from_arrays(ends, genes),
        "detected": pa.ListArray.from_arrays(ends, times),
    }
    return _batch("detection", known, len(found))


def _malformed(facts: Sequence[Facts], whose: Mapping[str, Any]) -> Any:
    there = [int(each.malformed is not None) for each in facts]
    found = [each.malformed for each in facts if each.malformed is not None]
    rows = pa.table({name: _column(values) for name, values in _repeated(whose, there).items()})
    return _set_aside(rows, [part for part, _ in found], [reason for _, reason in found])


def _set_aside(rows: Any, parts: list[str], reasons: list[str]) -> Any:
    known = {
        "databricks_request_id": rows["databricks_request_id"],
        "request_time": rows["request_time"],
        "request_date": rows["request_time"].cast(pa.date32()),
        "served_entity_id": _optional(rows, "served_entity_id"),
        "part": parts,
        "reason": reasons,
        "unpacked_at": [datetime.now(UTC)] * len(parts),
    }
    return _batch("set_aside", known, len(parts))


def _repeated(whose: Mapping[str, Any], lengths: Sequence[int]) -> dict[str, Any]:
    """Repeat each request's columns, so often as it has rows."""
    at = pa.array(np.repeat(np.arange(len(lengths)), lengths))
    return {name: _column(values).take(at) for name, values in whose.items()}


def _batch(kind: str, known: Mapping[str, Any], rows: int) -> Any:
    schema = arrow_schema(TABLES[kind])
    columns = [
        _cast(known[field.name], field.type) if field.name in known else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(values: Any, kind: Any) -> Any:
    if isinstance(values, list):
        return pa.array(values, kind)
    found = _column(values)
    return found if found.type == kind else found.cast(kind)


def _column(values: Any) -> Any:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values)


def _or_null(parts: Sequence[CellFacts], name: str, kind: Any) -> Any:
    """Return a figure of all cells; null where it is not known."""
    if not parts:
        return pa.array([], kind)
    values = np.concatenate([getattr(part, name) for part in parts])
    missing = ~np.isfinite(values) if values.dtype.kind == "f" else values == UNKNOWN
    return pa.array(values, mask=missing).cast(kind)


def _vectors(parts: Sequence[CellFacts]) -> Any:
    """Return the embeddings of all cells as lists; null where the answer holds none."""
    lengths, flat, missing = [np.zeros(1, np.int64)], [np.empty(0, np.float32)], []
    for part in parts:
        has = part.embeddings is not None
        width = part.embeddings.shape[1] if part.embeddings is not None else 0
        lengths.append(np.full(len(part), width))
        missing.append(np.full(len(part), not has))
        if part.embeddings is not None:
            flat.append(part.embeddings.ravel())
    ends = np.cumsum(np.concatenate(lengths)).astype(np.int32)
    mask = pa.array(np.concatenate(missing)) if missing else pa.array([], pa.bool_())
    return pa.ListArray.from_arrays(ends, pa.array(np.concatenate(flat)), mask=mask)


def _optional(batch: Any, name: str) -> Any:
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    return batch[name].to_pylist()


def number(text: object) -> int | None:
    return int(str(text)) if re.fullmatch(r"\d{1,9}", str(text)) else None
