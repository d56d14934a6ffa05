"""Facts of a logged request and its answer: about the request, and about each of its cells.

Nothing is guessed: what the log does not hold is None, and what cannot be understood is set aside
with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cells.cells import Cells
from ..cells.checks import check_gene_count
from ..contract import (
    CELL_EMBEDDINGS,
    CELL_TASKS,
    GENE_EMBEDDINGS,
    GENES_IN_CONTEXT,
    GUIDE_COLUMNS,
    PACKED,
    is_text,
)
from ..errors import ScgptError, find_tag
from ..wire.codec import decode_embeddings
from ..wire.genes_in_context import decode_genes_in_context
from ..wire.rows import read_rows

REQUEST, RESPONSE = "request", "response"
UNKNOWN = -1
"""Stands for a number of genes that the log does not hold."""

_COUNTS = ("matched_genes", "unknown_genes", "truncated_genes")
_LONGEST_REASON = 300
_MOST = 2**31 - 1  # the tables' columns hold no larger number


@dataclass(frozen=True)
class CellFacts:
    """Facts of some cells, in the order of the request.

    Parameters
    ----------
    ids
        Name of each cell.
    library_size
        float64 ``[cells]``: sum of the values; NaN where the request was not logged.
    detected
        int64 ``[cells]``: genes with a value; -1 where the request was not logged.
    matched, unknown, truncated
        int64 ``[cells]``, as the model counted them; -1 where the answer was not logged.
    embeddings
        float32 ``[cells, dim]``; None where the answer holds none.
    """

    ids: list[str]
    library_size: NDArray[np.float64]
    detected: NDArray[np.int64]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]
    embeddings: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Facts:
    """Facts of one request.

    Parameters
    ----------
    form
        ``guide``, ``packed``, or ``path`` where a file was named; None: not logged.
    task
        The task that was asked for; None: not logged.
    reason
        Code of a refusal, or why facts are missing; None: all is known.
    malformed
        Part of the row that cannot be understood, and why; nothing else is then known.
    digest
        The model that answered.
    cells
        One entry for each cell that was asked about and can be told apart from the others.
    n_cells
        Cells that the answer or else the request is about; None: not known.
    sums
        Matched, unknown and truncated genes, added up over the cells, and the truncated cells.
    whole_numbers
        All values are whole numbers; None where the request was not logged.
    detection
        Gene -> cells of the request that express it, where some do.
    """

    form: str | None = None
    task: str | None = None
    reason: str | None = None
    malformed: tuple[str, str] | None = None
    digest: str | None = None
    cells: CellFacts | None = None
    n_cells: int | None = None
    sums: tuple[int, int, int] | None = None
    whole_numbers: bool | None = None
    detection: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Asked:
    """The cells of a request; of each row of input, one entry."""

    form: str
    task: str
    rows: list[Cells] | None


@dataclass(frozen=True)
class _Answered:
    """The cells that an answer is about; ``rows`` says of which row of input each is."""

    digest: str
    rows: NDArray[np.int64]
    cells: CellFacts | None
    n_cells: int
    sums: tuple[int, int, int]


class _Malformed(Exception):  # noqa: N818 - a finding about a payload
    """A part of a row cannot be understood."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason)
        self.part = part
        self.reason = reason.encode(errors="backslashreplace").decode()[:_LONGEST_REASON]


def read_payload(request: str | None, response: str | None, status: int) -> Facts:
    """Read a logged request and its answer.

    Parameters
    ----------
    request, response
        Bodies as they were on the wire; None: the platform did not log them.
    status
        Status of the answer.
    """
    if status >= 400:
        return _refused(request, response, status)
    try:
        asked = None if request is None else _read(REQUEST, request, _asked)
        task = asked.task if asked else None
        answered = (
            None
            if response is None
            else _read(RESPONSE, response, lambda body: _answered(body, task))
        )
    except _Malformed as found:
        return Facts(reason="malformed", malformed=(found.part, found.reason))
    missing = [n for n, text in ((REQUEST, request), (RESPONSE, response)) if text is None]
    reason = f"{missing[0]}_not_logged" if len(missing) == 1 else None
    facts = Facts(
        form=asked.form if asked else None,
        task=task,
        reason="not_logged" if len(missing) == 2 else reason,
        digest=answered.digest if answered else None,
    )
    return _with_cells(facts, asked, answered)


def _refused(request: str | None, response: str | None, status: int) -> Facts:
    """Return why a request was refused; its cells were never embedded."""
    tag = find_tag(response or "")
    form = task = None
    if request is not None:
        try:
            columns, _, params = _body(_loads(request))
            form, task = _form(columns, params), _task(columns, params)
        except (ScgptError, *_NOT_OURS):
            form = task = None  # it may have been refused for that
    code = tag[0] if tag else _problem_code(response)
    return Facts(form=form, task=task, reason=code or f"http_{status}")


def _problem_code(response: str | None) -> str | None:
    """Return the code of a problem object, as the servers on Ray answer it."""
    try:
        code = _loads(response or "null")["code"]
    except _NOT_OURS:
        return None
    return code if isinstance(code, str) else None


_NOT_OURS = (
    *(ValueError, TypeError, KeyError, AttributeError),
    *(IndexError, OverflowError, RecursionError),
)
"""Raised by JSON that is none, or none of scGPT's."""


def _read(part: str, text: str, read: Any) -> Any:
    try:
        return read(_loads(text))
    except ScgptError as error:
        raise _Malformed(part, error.tagged()) from None
    except json.JSONDecodeError as error:
        raise _Malformed(part, f"it is no JSON: {error}") from None
    except _NOT_OURS as error:
        said = f"it is none of scGPT's ({type(error).__name__}: {error})"
        raise _Malformed(part, said) from None


def _loads(text: str) -> Any:
    """Read JSON; refuse halves of surrogate pairs, which no table can hold."""
    found = json.loads(text)
    # A payload is long and holds no backslash as a rule; one character is found far faster.
    escapes = "\\" in text and ("\\ud" in text or "\\uD" in text)
    if escapes and not is_text(json.dumps(found, ensure_ascii=False)):
        raise ValueError("a text holds half of a surrogate pair, which is no character")
    return found


# --- the request ---


def _asked(body: Any) -> _Asked:
    columns, rows, params = _body(body)
    form, task = _form(columns, params), _task(columns, params)
    if form == "path":
        return _Asked(form, task, None)
    if task not in CELL_TASKS:
        return _Asked(form, task, [])
    labels = {str(params["group_by"])} if params.get("group_by") else set()
    read = [row.required_cells() for row in read_rows(rows, labels)]
    for cells in read:
        check_gene_count(cells.genes, cells.counts.shape[1])
    return _Asked(form, task, [_without_zeros(cells) for cells in read])


def _without_zeros(cells: Cells) -> Cells:
    """Leave out zeros that a matrix stores: each value that is left is of a detected gene."""
    if cells.counts.data.all():
        return cells
    counts = cells.counts.copy()
    counts.eliminate_zeros()
    return replace(cells, counts=counts)


def _body(body: Any) -> tuple[list[str], list[dict[str, Any]], Mapping[str, Any]]:
    """Return columns, rows and params of a request's body."""
    if "dataframe_split" in body:
        split = body["dataframe_split"]
        columns = [str(name) for name in split["columns"]]
        rows = [dict(zip(columns, line, strict=True)) for line in split["data"]]
    else:
        rows = [dict(row) for row in body["dataframe_records"]]
        columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    params = body.get("params") or {}
    return columns, rows, {name: value for name, value in params.items() if value is not None}


def _form(columns: Sequence[str], params: Mapping[str, Any]) -> str:
    if params.get("input_data_path"):
        return "path"
    if PACKED in columns:
        return "packed"
    if {*columns} & {*GUIDE_COLUMNS}:
        return "guide"
    raise ValueError(f"columns are {', '.join(map(repr, columns))[:100] or 'none'}")


def _task(columns: Sequence[str], params: Mapping[str, Any]) -> str:
    default = CELL_EMBEDDINGS if PACKED in columns else GENE_EMBEDDINGS
    return str(params.get("task") or default)


# --- the answer ---


def _answered(body: Any, task: str | None) -> _Answered:
    lines = [dict(line) for line in body["predictions"]]
    digests = {line["model_digest"] for line in lines}
    if len(digests) != 1:
        raise ValueError(f"it names {len(digests)} models")
    (digest,) = digests
    is_packed = "packed" in lines[0]
    if is_packed:
        read = decode_genes_in_context if task == GENES_IN_CONTEXT else decode_embeddings
        parts = [_unpacked(read(line["packed"])) for line in lines]
    else:
        parts = [_of_lines(lines)]
    rows = [_bounded(int(line["input_row"])) for line in lines]
    cells = _joined([part for part, _, _ in parts])
    of_each = (
        np.repeat(rows, [len(part) if part else 0 for part, _, _ in parts])
        if is_packed
        else np.asarray(rows if cells is not None else [])
    )
    sums = np.sum([found for _, _, found in parts], axis=0)
    return _Answered(
        str(digest),
        of_each.astype(np.int64),
        cells,
        _bounded(sum(count for _, count, _ in parts)),
        (int(sums[0]), int(sums[1]), int(sums[2])),
    )


def _unpacked(answer: Any) -> tuple[CellFacts | None, int, list[int]]:
    """Return cells, their number and their sums of genes, of a packed answer of any kind."""
    counts = _counts([answer.matched, answer.unknown, answer.truncated])
    sums = [int(each.sum()) for each in counts]
    if getattr(answer, "grouped", False):
        return None, int(answer.cells.sum()), sums
    if not len(answer.matched):  # about genes, which are no cells
        return None, 0, [0, 0, 0]
    return _told(answer.names, counts, getattr(answer, "embeddings", None)), len(counts[0]), sums


def _of_lines(lines: Sequence[Mapping[str, Any]]) -> tuple[CellFacts | None, int, list[int]]:
    """Return the same of an answer in JSON."""
    if "matched_genes" not in lines[0]:
        return None, 0, [0, 0, 0]
    counts = _counts([np.array([line[name] for line in lines], np.int64) for name in _COUNTS])
    sums = [int(each.sum()) for each in counts]
    if "group" in lines[0]:
        return None, sum(int(line["cells"]) for line in lines), sums
    embeddings = None
    if "embedding" in lines[0]:
        with np.errstate(over="ignore"):  # what is infinite then is refused
            embeddings = np.array([line["embedding"] for line in lines], np.float32)
    return _told([str(line["id"]) for line in lines], counts, embeddings), len(lines), sums


def _counts(counts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    for each in counts:
        if each.ndim != 1:
            raise ValueError("a number of genes is a list")
        if len(each):
            _bounded(int(each.min()))
            _bounded(int(each.max()))
    return counts


def _bounded(number: int) -> int:
    if not 0 <= number <= _MOST:
        raise ValueError(f"a number is {number:.3g}: it must be 0 to {_MOST:,}")
    return number


def _told(
    ids: list[str], counts: list[NDArray[np.int64]], embeddings: NDArray[np.float32] | None
) -> CellFacts:
    if embeddings is not None and not (embeddings.ndim == 2 and np.isfinite(embeddings).all()):
        raise ValueError("an embedding is no list of finite numbers")
    if not is_text("".join(ids)):
        raise ValueError("an id holds half of a surrogate pair, which is no character")
    unsent = np.full(len(ids), np.nan), np.full(len(ids), UNKNOWN)
    return CellFacts(ids, *unsent, counts[0], counts[1], counts[2], embeddings)


def _joined(parts: Sequence[CellFacts | None]) -> CellFacts | None:
    known = [part for part in parts if part is not None]
    if len(known) < 2:
        return known[0] if known else None
    vectors = [part.embeddings for part in known if part.embeddings is not None]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in known])
        for name in ("library_size", "detected", "matched", "unknown", "truncated")
    }
    embeddings = np.concatenate(vectors) if vectors else None
    return CellFacts([name for part in known for name in part.ids], **arrays, embeddings=embeddings)


# --- both together ---


def _with_cells(facts: Facts, asked: _Asked | None, answered: _Answered | None) -> Facts:
    if answered is not None:
        facts = replace(facts, cells=answered.cells, n_cells=answered.n_cells, sums=answered.sums)
    if asked is None or asked.rows is None:
        return facts
    values = [row.counts.data for row in asked.rows]
    if asked.rows:
        whole = all(bool((np.floor(each) == each).all()) for each in values)
        facts = replace(facts, whole_numbers=whole, detection=_detection(asked.rows))
    if answered is None:
        sent = _joined([_sent(row) for row in asked.rows])
        n_cells = sum(row.counts.shape[0] for row in asked.rows)
        return replace(facts, cells=sent, n_cells=n_cells)
    if answered.cells is None:
        return facts
    library, detected = answered.cells.library_size, answered.cells.detected
    for number, row in enumerate(asked.rows):
        places = np.flatnonzero(answered.rows == number)
        of = _positions(row, answered.cells.ids, places)
        sent = _sent(row)
        found = of >= 0
        library[places[found]] = sent.library_size[of[found]]
        detected[places[found]] = sent.detected[of[found]]
    return facts


def _sent(row: Cells) -> CellFacts:
    n = row.counts.shape[0]
    unknown = np.full(n, UNKNOWN)
    detected = np.diff(row.counts.indptr).astype(np.int64)
    sizes, there = np.zeros(n), detected > 0
    starts = row.counts.indptr[:-1][there]
    if len(starts):
        sizes[there] = np.add.reduceat(row.counts.data, starts, dtype=np.float64)
    return CellFacts(_names(row), sizes, detected, unknown, unknown.copy(), unknown.copy())


def _names(row: Cells) -> list[str]:
    return row.ids or [str(i) for i in range(row.counts.shape[0])]


def _positions(row: Cells, answered: Sequence[str], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where in the request each cell of the answer stands; -1 where that is not known.

    A filter may have dropped cells: those that are left are then found by their names.
    """
    names = _names(row)
    if len(places) == len(names):
        return np.arange(len(names))
    if row.ids is None or len({*names}) < len(names):
        return np.full(len(places), UNKNOWN)
    place = {name: at for at, name in enumerate(names)}
    return np.array([place.get(answered[at], UNKNOWN) for at in places], np.int64)


def _detection(rows: Sequence[Cells]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found.update(_expressed(row))
    return found


def _expressed(row: Cells) -> dict[str, int]:
    """Return gene -> cells that express it, where some do."""
    times = np.bincount(row.counts.indices, minlength=len(row.genes)).tolist()
    return dict(zip(compress(row.genes, times), filter(None, times), strict=True))
