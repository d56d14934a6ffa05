"""A caller's matrix, whatever kind it is, as the one that all code here reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..errors import InvalidRequest


def as_csr(values: Any) -> sparse.csr_matrix:
    """Cells x genes as canonical CSR: no entry stored twice (they are added up), in order.

    The caller's matrix is left as it is; the result may share its memory, so write to neither.
    float16, for which scipy has no sparse matrix, becomes float32, and longer floats than float64
    become that; other types stay.

    Parameters
    ----------
    values
        Numbers of two dimensions: any of scipy's sparse formats, or an array.

    Raises
    ------
    InvalidRequest
        ``invalid_matrix``: of other types or dimensions, or sparse with indices that lead
        nowhere.
    """
    if not hasattr(values, "shape"):
        raise _no_matrix(f"it is of type {type(values).__name__}")
    given: Any = values if sparse.issparse(values) else np.asarray(values)
    if given.ndim != 2 or given.dtype.kind not in "biuf":
        raise _no_matrix(f"it has {given.ndim} dimension(s) and values of type {given.dtype}")
    if given.dtype == np.float16:
        given = given.astype(np.float32)
    if given.dtype == np.longdouble:
        given = given.astype(np.float64)
    given = native(given)
    try:
        matrix: sparse.csr_matrix = sparse.csr_matrix(_sound(given))
    except (ValueError, IndexError) as error:
        raise _no_matrix(f"its sparse indices are wrong ({error})") from error
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # it may share the caller's arrays
        matrix.sum_duplicates()
    return matrix


def native(numbers: Any) -> Any:
    """Put the bytes of numbers into the order of this machine; scipy reads no other."""
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False)


def _sound(given: Any) -> Any:
    """Without wrong indices: compiled code reads and writes wherever they point.

    Shares the caller's arrays, but is an object of its own, for scipy's checks change theirs.
    Raises what scipy does: ValueError, IndexError.
    """
    kind = getattr(given, "format", "")
    if kind == "lil":
        given, kind = given.tocsr(), "csr"
    if kind == "coo":
        return type(given)((given.data, (given.row, given.col)), shape=given.shape)
    if kind in ("csr", "csc", "bsr"):
        where = native(given.indices), native(given.indptr)
        given = type(given)((given.data, *where), shape=given.shape)
        if (given.indptr[1:] < given.indptr[:-1]).any():  # scipy does not look where it ends at 0
            raise ValueError("indptr must be a non-decreasing sequence")
        given.check_format(full_check=True)
    return given


def _no_matrix(reason: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_matrix",
        f"the matrix cannot be read: {reason}. Give cells x genes numbers, sparse (scipy) or as "
        "a numpy array.",
    )
