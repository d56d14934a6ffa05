"""Find the matrix of a data set that holds the measured counts, and the names of its genes.

The rule: ``layers["counts"]``, ``raw.X``, ``X``, the first of them that holds counts (whole
numbers, none below 0). Where none does: ``X``, ``raw.X``, ``layers["counts"]``, the first of them
without a number below 0; normalised values and their logarithms give the same embeddings. Else
``X``, which is refused.

Genes are named by the index of ``var``. Where most of it are Ensembl ids or numbers, the first of
``feature_name``, ``gene_symbols``, ``gene_name`` names them, if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidRequest

Sample = Callable[[], NDArray[Any]]
"""Reads some values of a matrix."""

JUDGED_ROWS, JUDGED_VALUES = 256, 1 << 18
NAME_COLUMNS = ("feature_name", "gene_symbols", "gene_name")

_FIRST, _X, _RAW = "layers/counts", "X", "raw/X"
_NO_SYMBOL = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?|\d+")
_ABOUT_VALUES = ("negative_values", "not_finite", "imputed_values", "scaled_values")


class HasMatrices(Protocol):
    """A data set, of which one matrix is read."""

    path_used: str
    matrices: dict[str, Sample]


def find_matrix(matrices: Mapping[str, Sample]) -> str:
    """Return the path of the matrix with the counts, by the rule above."""
    found = {path: _kind(matrices[path]()) for path in (_FIRST, _RAW, _X) if path in matrices}
    for path in (_FIRST, _RAW, _X):
        if found.get(path) == "counts":
            return path
    return next((path for path in (_X, _RAW, _FIRST) if found.get(path) == "values"), _X)


def find_names(index: Sequence[str], columns: Collection[str]) -> str | None:
    """Return the column of ``var`` that names the genes, by the rule above; None: the index."""
    ids = sum(_NO_SYMBOL.fullmatch(name) is not None for name in index)
    if ids * 2 <= len(index):
        return None
    return next((name for name in NAME_COLUMNS if name in columns), None)


@contextmanager
def naming_the_counts(cells: HasMatrices) -> Iterator[None]:
    """Let a refusal of values name the matrix that can be used, where there is one."""
    try:
        yield
    except InvalidRequest as error:
        others = [path for path in cells.matrices if path != cells.path_used]
        if error.code not in _ABOUT_VALUES or not others:
            raise
        kinds = {path: _kind(cells.matrices[path]()) for path in others}
        use = [path for kind in ("counts", "values") for path in others if kinds[path] == kind]
        if not use:
            raise
        what = "counts" if kinds[use[0]] == "counts" else "values that are not negative"
        raise InvalidRequest(
            error.code, f"{error.message} Here {use[0]} holds {what}: {_how_to_name(use[0])}."
        ) from error


def _kind(values: NDArray[Any]) -> str:
    """Tell ``counts``, other possible ``values``, and ``none`` apart."""
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all() or (values < 0).any():
        return "none"
    return "counts" if (values == np.floor(values)).all() else "values"


def _how_to_name(path: str) -> str:
    if path == _RAW:
        return "raw=True (--raw)"
    name = path.removeprefix("layers/")
    return f"layer={name!r} (--layer {name})"
