"""Data sets of a window, read back from the tables of requests and cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from scgpt_databricks.model.batch.payloads import UNKNOWN
from scgpt_databricks.model.contract import CELL_EMBEDDINGS
from scgpt_databricks.model.evidence.reference import (
    CELLS_OF_A_DATA_SET,
    MOST_DATA_SETS,
    common_genes,
    known_share,
    lost_share,
)
from scgpt_databricks.model.judge.drift import Sample

pa: Any = pyarrow
pc: Any = pyarrow.compute

REPLAYED = "scgpt-replay-"
"""Begins the ids of requests that a canary repeats; they are none of the users'."""

Read = Callable[[str, Sequence[str]], Iterator[Any]]
"""Kind of table and its columns -> batches of rows of the window."""


@dataclass(frozen=True)
class Window:
    """A span of time, its end left out."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Requests:
    """The requests of one version in a window.

    Parameters
    ----------
    served_entity
        Its name; that of the newest request.
    digests
        Digest of a model -> requests that it answered.
    data_sets
        The newest data sets.
    whole
        float64 ``[data sets]``: share of the requests with whole numbers; NaN: not known.
    of
        Request -> position of its data set.
    """

    served_entity: str
    digests: Counter[str]
    data_sets: tuple[str, ...]
    whole: NDArray[np.float64]
    of: dict[str, int]


def requests_of(read: Read) -> dict[int, Requests]:
    """Return the answered requests for embeddings of cells, by version."""
    columns = ("databricks_request_id", "request_time", "version", "served_entity", "data_set")
    more = ("client_request_id", "model_digest", "task", "status_code", "whole_numbers")
    found: dict[int, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for batch in read("requests", [*columns, *more]):
        for row in batch.to_pylist():
            is_replayed = str(row["client_request_id"] or "").startswith(REPLAYED)
            is_answered = row["status_code"] == 200 and row["task"] in (CELL_EMBEDDINGS, None)
            if is_answered and not is_replayed and row["version"] is not None:
                found[row["version"]][row["data_set"]].append(row)
    return {version: _requests(by_set) for version, by_set in sorted(found.items())}


def _requests(by_set: dict[str, list[dict[str, Any]]]) -> Requests:
    newest = sorted(by_set.items(), key=lambda item: max(r["request_time"] for r in item[1]))
    chosen = newest[-MOST_DATA_SETS:]
    rows = [row for _, many in by_set.items() for row in many]
    whole = [
        [float(row["whole_numbers"]) for row in many if row["whole_numbers"] is not None]
        for _, many in chosen
    ]
    return Requests(
        str(max(rows, key=lambda row: row["request_time"])["served_entity"]),
        Counter(row["model_digest"] for row in rows if row["model_digest"]),
        tuple(name for name, _ in chosen),
        np.array([np.mean(values) if values else np.nan for values in whole]),
        {row["databricks_request_id"]: at for at, (_, many) in enumerate(chosen) for row in many},
    )


@dataclass(frozen=True)
class Cells:
    """A sample, and what freezing it needs beside."""

    sample: Sample
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    genes: list[str]
    rates: NDArray[np.float64]


def cells_of(
    read: Read,
    requests: Requests,
    *,
    digest: str | None,
    common: tuple[list[str], NDArray[np.float64]] | None = None,
) -> Cells:
    """Return the first cells of each data set.

    Parameters
    ----------
    digest
        Embeddings of other models are left out.
    common
        Genes of the reference and the share of cells that express each; None: found here.
    """
    parts = list(_first_cells(read, requests, digest))
    rows = pa.concat_tables(parts) if parts else None
    if rows is not None and 0 < rows["embedding"].null_count < rows.num_rows:
        rows = rows.filter(pc.is_valid(rows["embedding"]))  # of the others nothing is compared
    counts = [_column(rows, name, UNKNOWN).astype(np.int64) for name in _COUNTS]
    genes, usual, lost = _lost(read, requests, common)
    sample = Sample(
        requests.data_sets,
        _column(rows, "data_set", 0).astype(np.int64),
        np.log1p(_column(rows, "library_size", np.nan)),
        np.where(counts[0] >= 0, known_share(counts[0], counts[1]), np.nan),
        _vectors(rows),
        requests.whole,
        lost,
    )
    return Cells(sample, counts[0], counts[1], genes, usual)


_COUNTS = ("matched_genes", "unknown_genes")


def _first_cells(read: Read, requests: Requests, digest: str | None) -> Iterator[Any]:
    """Yield at most so many cells of each data set, and none whose answer was not logged."""
    columns = ("databricks_request_id", "model_digest", "library_size", *_COUNTS, "embedding")
    room = np.full(len(requests.data_sets), CELLS_OF_A_DATA_SET)
    known = pa.array([*requests.of], pa.string())
    places = np.fromiter(requests.of.values(), np.int64, len(requests.of))
    for batch in read("cells", columns):
        at = pc.index_in(batch["databricks_request_id"], known)
        fine = pc.is_valid(at)
        if digest is not None:
            ours = pc.equal(batch["model_digest"], digest)
            fine = pc.and_(fine, pc.or_kleene(ours, pc.is_null(batch["model_digest"])))
        fine = pc.fill_null(fine, False)
        batch, at = batch.filter(fine), at.filter(fine)
        if not batch.num_rows:
            continue
        of = places[np.asarray(at)]
        taken = []
        for row, data_set in enumerate(of.tolist()):
            if room[data_set]:
                room[data_set] -= 1
                taken.append(row)
        if taken:
            table = pa.Table.from_batches([batch.take(pa.array(taken))])
            yield table.append_column("data_set", pa.array(of[taken]))
        if not room.any():
            return


def _column(rows: Any, name: str, missing: float) -> NDArray[Any]:
    if rows is None:
        return np.empty(0)
    found = rows[name].combine_chunks()
    return np.asarray(pc.fill_null(found.cast(pa.float64()), missing))


def _vectors(rows: Any) -> NDArray[np.float32] | None:
    """Return the embeddings; None where not every cell has one of the same width."""
    if rows is None or rows["embedding"].null_count:
        return None
    lists = rows["embedding"].combine_chunks()
    flat = np.asarray(lists.flatten(), np.float32)
    width = len(flat) // len(lists)
    return flat.reshape(len(lists), width) if width * len(lists) == len(flat) and width else None


def _lost(
    read: Read, requests: Requests, common: tuple[list[str], NDArray[np.float64]] | None
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return the common genes, their usual rates, and what each data set lost of them."""
    n = len(requests.data_sets)
    cells = np.zeros(n)
    place = {gene: at for at, gene in enumerate(common[0])} if common is not None else {}
    times: list[Counter[int]] = [Counter() for _ in range(n)]
    for batch in read("detection", ("databricks_request_id", "cells", "genes", "detected")):
        for row in batch.to_pylist():
            data_set = requests.of.get(row["databricks_request_id"])
            if data_set is None or not row["cells"]:
                continue
            cells[data_set] += row["cells"]
            for gene, count in zip(row["genes"], row["detected"], strict=True):
                where = place.setdefault(gene, len(place)) if common is None else place.get(gene)
                if where is not None:
                    times[data_set][where] += count
    rates = np.full((n, len(place)), np.nan)
    for at in np.flatnonzero(cells):
        rates[at] = 0
        rates[at, [*times[at]]] = np.array([*times[at].values()]) / cells[at]
    logged = np.isfinite(rates).all(axis=1) & (cells > 0)
    names = [*place]
    if common is None:
        chosen = common_genes(rates[logged], names)
        names, rates = [names[at] for at in chosen], rates[:, chosen]
        usual = rates[logged].mean(axis=0) if logged.any() else np.empty(0)
    else:
        usual = common[1]
    lost = np.full(n, np.nan)
    if logged.any():
        lost[logged] = lost_share(rates[logged], usual)
    return names, usual, lost
