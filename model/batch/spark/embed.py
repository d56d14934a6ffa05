"""Rows of cells to rows of embeddings, inside a Spark worker. Knows Arrow, and no session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ...cells.cells import Cells
from ...cells.imputed import check_data_set
from ...cells.known_genes import CheckedCells, check_known_fraction
from ...contract import PACKED
from ...errors import EngineError, InvalidRequest, ScgptError
from ...scgpt.read_ahead import read_ahead
from ...serve.engine import Engine
from ...wire.embeddings import CellEmbeddings
from .engines import Model, engine_of
from .rows import read_cell, together

CELL_DIGEST, MODEL_DIGEST, VECTOR = "cell_digest", "model_digest", "embedding"
ERROR_CODE, ERROR = "error_code", "error"
_COUNTED = ("matched_genes", "unknown_genes", "truncated_genes")
EMBEDDING_COLUMNS = pa.schema(
    [
        (CELL_DIGEST, pa.string()),
        (MODEL_DIGEST, pa.string()),
        (VECTOR, pa.list_(pa.float32())),
        *((name, pa.int64()) for name in _COUNTED),
        (ERROR_CODE, pa.string()),
        (ERROR, pa.string()),
    ]
)
"""A table of embeddings; a row whose cell cannot be embedded says why and has no vector."""
EMBEDDING_DDL = (
    f"{CELL_DIGEST} string, {MODEL_DIGEST} string, {VECTOR} array<float>, "
    f"{', '.join(f'{name} bigint' for name in _COUNTED)}, {ERROR_CODE} string, {ERROR} string"
)

_GROUP = 512  # cells in memory twice: one group is computed while the next is read
_OF_ONE_CELL = ("out_of_memory",)  # codes of the engine that say something about a cell


@dataclass(frozen=True)
class Judged:
    """The judgement of some cells, and the model that judges them.

    Parameters
    ----------
    model_digest
        The model's digest.
    code, message
        The reason to refuse the cells; empty if there is none.
    """

    model_digest: str
    code: str
    message: str


JUDGED_COLUMNS = pa.schema([(name, pa.string()) for name in ("model_digest", "code", "message")])
JUDGED_DDL = "model_digest string, code string, message string"
Batches = Iterable[pa.RecordBatch]


def embedding(model: Model) -> Callable[[Batches], Batches]:
    """Return the function for ``mapInArrow``: ``cell_digest`` and ``packed`` to embeddings."""
    return partial(_embed, model)


def judging(model: Model, least: float, *, allow_imputed: bool) -> Callable[[Batches], Batches]:
    """Return the function for ``mapInArrow`` that judges all rows of one partition together.

    Parameters
    ----------
    model
        The model.
    least, allow_imputed
        As ``min_known_fraction`` and ``allow_imputed`` of a request.
    """
    return partial(_judge, model, least, allow_imputed)


def _embed(model: Model, batches: Batches) -> Batches:
    """Embed rows in groups; the batches of the network are made of a whole group."""
    engine = None
    for batch in batches:
        engine = engine or _loaded(model)
        groups = [batch.slice(at, _GROUP) for at in range(0, batch.num_rows, _GROUP)]
        yield from read_ahead(_Group.read, partial(_embedded, engine), groups)


def _loaded(model: Model) -> Engine:
    """Load the engine; what fails there is no cell's fault and ends the job in a sentence."""
    try:
        return engine_of(model)
    except ScgptError as error:
        raise RuntimeError(error.tagged()) from error


@dataclass
class _Group:
    """Some rows: cells, and the reason where there is none."""

    digests: list[str]
    cells: list[Cells | None]
    reasons: dict[int, ScgptError]

    @classmethod
    def read(cls, rows: pa.RecordBatch) -> _Group:
        """Decode rows, each by itself."""
        cells: list[Cells | None] = []
        reasons: dict[int, ScgptError] = {}
        for i, packed in enumerate(rows.column(PACKED).to_pylist()):
            try:
                cells.append(read_cell(packed))
            except InvalidRequest as error:
                cells.append(None)
                reasons[i] = error
        return cls(rows.column(CELL_DIGEST).to_pylist(), cells, reasons)


def _embedded(engine: Engine, group: _Group) -> pa.RecordBatch:
    good = [(i, cells) for i, cells in enumerate(group.cells) if cells is not None]
    found: dict[int, tuple[CellEmbeddings, int]] = {}
    for places, result in _results(engine, good, group.reasons):
        found |= {place: (result, at) for at, place in enumerate(places)}
    digest = next(iter(found.values()))[0].digest if found else _digest(engine)
    vectors = [found[i][0].embeddings[found[i][1]] if i in found else None for i in _rows(group)]
    counts = [
        [int(getattr(found[i][0], name)[found[i][1]]) if i in found else None for i in _rows(group)]
        for name in ("matched", "unknown", "truncated")
    ]
    reasons = [group.reasons.get(i) for i in _rows(group)]
    return pa.record_batch(
        [
            pa.array(group.digests, pa.string()),
            pa.array([digest] * len(group.digests), pa.string()),
            _lists(vectors),
            *(pa.array(each, pa.int64()) for each in counts),
            pa.array([reason and reason.code for reason in reasons], pa.string()),
            pa.array([reason and reason.message for reason in reasons], pa.string()),
        ],
        schema=EMBEDDING_COLUMNS,
    )


def _rows(group: _Group) -> range:
    return range(len(group.digests))


def _results(
    engine: Engine, good: Sequence[tuple[int, Cells]], reasons: dict[int, ScgptError]
) -> Iterator[tuple[list[int], CellEmbeddings]]:
    """Embed cells together; where one of them ends that, each by itself."""
    if not good:
        return
    try:
        yield [i for i, _ in good], _compute(engine, [cells for _, cells in good])
    except (EngineError, InvalidRequest) as error:
        if isinstance(error, EngineError) and error.code not in _OF_ONE_CELL:
            raise RuntimeError(error.tagged()) from error
        if len(good) == 1:
            reasons[good[0][0]] = error
            return
        for one in good:
            yield from _results(engine, [one], reasons)


def _compute(engine: Engine, cells: Sequence[Cells]) -> CellEmbeddings:
    sent = CheckedCells.of(together(cells), engine.vocab)
    (found,) = engine.embed_cells([sent], engine.options())
    return found


def _digest(engine: Engine) -> str:
    return engine.embed_genes(None, slice(0, 1)).digest


def _lists(vectors: Sequence[Any]) -> pa.Array:
    """Make lists of float32 arrays, null where there is none, without a Python number."""
    lengths = [0 if vector is None else len(vector) for vector in vectors]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    there = [vector for vector in vectors if vector is not None]
    numbers = np.concatenate(there) if there else np.empty(0, np.float32)
    missing = pa.array([vector is None for vector in vectors])
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(numbers), mask=missing)


def _judge(model: Model, least: float, allow_imputed: bool, batches: Batches) -> Batches:
    engine = _loaded(model)
    groups = [_Group.read(batch) for batch in batches]
    cells = [each for group in groups for each in group.cells if each is not None]
    judged = Judged(_digest(engine), "", "")
    try:
        _check(engine, cells, least, allow_imputed=allow_imputed)
    except InvalidRequest as error:
        judged = Judged(judged.model_digest, error.code, error.message)
    yield pa.record_batch(
        [[judged.model_digest], [judged.code], [judged.message]], schema=JUDGED_COLUMNS
    )


def _check(engine: Engine, cells: list[Cells], least: float, *, allow_imputed: bool) -> None:
    """Refuse cells as a request with all of them would be."""
    if not cells:
        return
    sent = CheckedCells.of(together(cells), engine.vocab)
    check_known_fraction(engine.vocab, [sent], least)
    if not allow_imputed:
        check_data_set([sent.cells.counts])
