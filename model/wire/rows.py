"""One row of the contract's input, in whichever form, made into cells.

The guide's form: a matrix, obs and var, either "direct" (``csr_matrix``, DataFrames; notebooks and
jobs) or "serialisable" (nested lists, JSON strings in pandas' ``split`` orientation; endpoints).
The packed form: one string. Exactly one form per request.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ..cells.cells import Cells
from ..cells.labels import labels
from ..cells.matrix import as_csr
from ..contract import GUIDE_COLUMNS, MATRIX, MAX_CELLS, MAX_GENES, OBS, PACKED, VAR, is_text
from ..errors import InvalidRequest, LimitExceeded
from .codec import decode_cells
from .envelope import check_total


@dataclass(frozen=True)
class Row:
    """One row of input.

    Parameters
    ----------
    is_packed
        The form it came in.
    cells
        The cells; None when no matrix was sent (a question about genes alone).
    genes
        The symbols that were named; None when none were.
    """

    is_packed: bool
    cells: Cells | None
    genes: list[str] | None

    def required_cells(self) -> Cells:
        """Return the cells of the row; refused where there are none (``no_cells``)."""
        if self.cells is None:
            raise no_cells()
        return self.cells


def no_cells() -> InvalidRequest:
    """Refuse a row without cells where some are needed."""
    return InvalidRequest("no_cells", f"this task needs cells, but {MATRIX} is missing.")


def read_rows(rows: Sequence[Mapping[str, Any]], columns: Collection[str] = ()) -> list[Row]:
    """Decode the rows of a request; of obs, only the given columns are read (guide form).

    Raises
    ------
    InvalidRequest
        No row, no form, two forms, or a value that cannot be understood.
    LimitExceeded
        A row, or all packed rows together, hold more than the contract allows.
    """
    if not rows:
        raise InvalidRequest("no_rows", f"the request holds no row. {FORMS}")
    present = [{name for name, value in row.items() if _given(value)} for row in rows]
    packed = [PACKED in names for names in present]
    guide = [bool(names & set(GUIDE_COLUMNS)) for names in present]
    if (any(packed) and any(guide)) or any(p and g for p, g in zip(packed, guide, strict=True)):
        raise InvalidRequest("two_forms", f"the request mixes two forms. {FORMS}")
    if not all(packed) and not all(guide):
        raise InvalidRequest("no_form", f"a row of the request holds no input. {FORMS}")
    if all(packed):
        check_total([row[PACKED] for row in rows if isinstance(row[PACKED], str)])
    read = [_packed_row(row) if all(packed) else _guide_row(row, columns) for row in rows]
    for row in read:
        _check_names(row)
    return read


FORMS = (
    f"Each row holds either the columns {', '.join(GUIDE_COLUMNS)} or the column {PACKED}; "
    "all rows of a request use the same form."
)


def _check_names(row: Row) -> None:
    """Genes must have names, and whatever may be repeated in an answer must be text."""
    genes = row.genes or []
    names: dict[str, Sequence[Any]] = {"genes": genes}
    if not ({*map(type, genes)} <= {str} and all(genes)):
        odd = [gene for gene in genes if not isinstance(gene, str) or not gene]
        raise InvalidRequest(
            "invalid_gene_name",
            f"gene names must be non-empty strings; {len(odd)} are not, {odd[0]!r} for one.",
        )
    if row.cells is not None:
        labels = {name: [x for x in column if x] for name, column in row.cells.obs.items()}
        names |= {"cell ids": row.cells.ids or [], **labels}
    for what, many in names.items():
        if not is_text("".join(many)):
            raise InvalidRequest(
                "invalid_text", f"the {what} hold half of a surrogate pair, which is no character."
            )


def holds_input(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return True when any column of any row holds something."""
    return any(_given(value) for row in rows for value in row.values())


def _given(value: Any) -> bool:
    return not (value is None or (isinstance(value, float) and np.isnan(value)))


def _packed_row(row: Mapping[str, Any]) -> Row:
    text = row[PACKED]
    if not isinstance(text, str):
        raise InvalidRequest(
            "invalid_column", f"{PACKED} must be a string, not {type(text).__name__}."
        )
    cells = decode_cells(text)
    return Row(is_packed=True, cells=cells, genes=cells.genes)


def _guide_row(row: Mapping[str, Any], columns: Collection[str]) -> Row:
    var = row.get(VAR)
    genes = _gene_names(_read_table(VAR, var, NAME_COLUMNS)) if _given(var) else None
    if genes is not None and len(genes) > MAX_GENES:
        raise LimitExceeded("too_many_genes", f"{len(genes):,} genes; {MAX_GENES:,} are allowed.")
    if not _given(row.get(MATRIX)):
        return Row(is_packed=False, cells=None, genes=genes)
    counts = _read_matrix(row[MATRIX])
    if counts.shape[0] > MAX_CELLS:
        raise LimitExceeded(
            "too_many_cells", f"{counts.shape[0]:,} cells in one row; {MAX_CELLS:,} are allowed."
        )
    if genes is None:
        raise InvalidRequest(
            "no_gene_names",
            f"{MATRIX} came without {VAR}; send the table whose index names the genes.",
        )
    obs = _read_table(OBS, row[OBS], columns) if _given(row.get(OBS)) else _Table([], {})
    if obs.index and len(obs.index) != counts.shape[0]:
        raise InvalidRequest(
            "cell_count_mismatch",
            f"{MATRIX} has {counts.shape[0]} rows but {OBS} has {len(obs.index)}.",
        )
    ids = [str(name) for name in obs.index] or None
    return Row(
        is_packed=False,
        cells=Cells(counts, genes, ids, obs.columns),
        genes=genes,
    )


@dataclass(frozen=True)
class _Table:
    """The parts needed of obs and var: the index, and some columns where they are there."""

    index: list[Any]
    columns: dict[str, list[str | None]]


def read_frame(name: str, value: Any) -> pd.DataFrame | None:
    """All of obs or var, its index as strings; None where it has no rows (errors: `read_rows`)."""
    if not _given(value):
        return None
    index = [str(label) for label in _read_table(name, value).index]
    value = _unwrapped(value)
    if not isinstance(value, pd.DataFrame):
        sent = json.loads(value) if isinstance(value, str) else value
        try:
            value = pd.DataFrame(sent.get("data"), sent["index"], sent.get("columns"))
        except (ValueError, TypeError) as error:
            raise _no_table(name, str(error)) from None
    return value.set_axis(index) if index else None


NAME_COLUMNS = (
    *("gene_name", "gene_names", "gene_symbol", "gene_symbols", "feature_name"),
    *("symbol", "symbols"),
)
"""Columns of var that name the genes where its index counts them, in the order of preference."""


def _gene_names(var: _Table) -> list[Any]:
    """Return the index of var; a column of names where the index holds positions."""
    if not all(isinstance(name, str) and not name.isdecimal() for name in var.index):
        named = next((var.columns[name] for name in NAME_COLUMNS if name in var.columns), None)
        return var.index if named is None else list(named)
    return var.index


def _read_table(name: str, value: Any, wanted: Collection[str] = ()) -> _Table:
    value = _unwrapped(value)
    if isinstance(value, pd.DataFrame):
        columns = {c: value.loc[:, value.columns == c] for c in wanted if c in value}
        return _Table(list(value.index), {c: labels(x.iloc[:, 0]) for c, x in columns.items()})
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _no_table(name, "it is not JSON") from None
    if not isinstance(value, Mapping) or not isinstance(value.get("index"), list):
        raise _no_table(name, "it has no list called index")
    index = value["index"]
    present, data = value.get("columns", []), value.get("data", [])
    found = [c for c in wanted if isinstance(present, list) and c in present]
    if not found:
        return _Table(index, {})
    if not isinstance(data, list) or len(data) != len(index):
        raise _no_table(name, "data and index differ in length")
    if not all(isinstance(line, list) and len(line) == len(present) for line in data):
        raise _no_table(name, "a line of data does not match the columns")
    places = {c: present.index(c) for c in found}
    return _Table(index, {c: labels(line[at] for line in data) for c, at in places.items()})


def _no_table(name: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_table",
        f"{name}: {reason}. Send a DataFrame, or its JSON by to_json(orient='split').",
    )


def _read_matrix(sent: Any) -> sparse.csr_matrix:
    """``[cells, genes]`` float32, from a sparse matrix, an array or nested lists."""
    value: Any = _unwrapped(sent)
    if not sparse.issparse(value):
        value = _dense(value)
    if value.ndim == 2 and value.dtype == object:
        if any(x is None for x in value.flat):
            why = "it holds null, which is no number (where nothing was counted, 0 stands)"
            raise _no_matrix(why)
        if all(isinstance(x, (int, float)) for x in value.flat):
            value = _of_any_size(value)
    if value.ndim != 2 or value.dtype.kind not in "biuf":
        raise _no_matrix(f"it has {value.ndim} dimensions and numbers of type {value.dtype}")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which is refused later
        return as_csr(value).astype(np.float32)


def _of_any_size(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Make floats of integers that numpy has no type for; what no float can hold is infinite."""

    def as_float(number: float) -> float:
        try:
            return float(number)
        except OverflowError:
            return np.inf if number > 0 else -np.inf

    return np.array([[as_float(x) for x in row] for row in numbers], np.float64)


def _dense(value: Any) -> NDArray[Any]:
    try:
        dense = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        raise _no_matrix("its rows differ in length") from None
    if dense.dtype == object and dense.ndim == 1 and len(dense):  # MLflow hands on arrays of lists
        try:
            dense = np.asarray(dense.tolist())
        except (ValueError, TypeError, OverflowError):
            raise _no_matrix("its rows differ in length") from None
    if dense.ndim == 3 and dense.shape[0] == 1:  # wrapped in a list once more
        return np.asarray(dense[0])
    if dense.ndim == 1 and dense.size == 0:
        return np.empty((0, 0))
    return dense


def _no_matrix(reason: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_matrix",
        f"{MATRIX}: {reason}. Send cells x genes numbers: a csr_matrix, or a list of rows of "
        "equal length.",
    )


def _unwrapped(value: Any) -> Any:
    """The guide wraps each value in a list so that a DataFrame's cell holds one object."""
    if isinstance(value, (list, np.ndarray)) and len(value) == 1:
        inner = value[0]
        if isinstance(inner, (str, pd.DataFrame, Mapping)) or sparse.issparse(inner):
            return inner
    return value
