"""The packed forms of cells and embeddings, as ``docs/wire-format.md`` specifies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..cells.cells import Cells
from ..cells.checks import check_gene_count
from ..cells.matrix import as_csr
from ..contract import MAX_CELLS, MAX_DIM, MAX_GENES
from ..errors import InvalidPacking, InvalidRequest
from .envelope import (
    FLOATS,
    KIND_CELL_EMBEDDINGS,
    KIND_CELLS,
    KIND_GENE_EMBEDDINGS,
    UNSIGNED,
    Body,
    pack,
    type_name_of,
)


@dataclass(frozen=True)
class PackedEmbeddings:
    """The content of a packed answer.

    Parameters
    ----------
    names
        Cell ids, or gene symbols.
    embeddings
        float32 ``[names, dim]`` (float16 on the wire where asked for).
    matched, unknown, truncated
        int64 ``[cells]``; empty in an answer about genes.
    not_found
        Genes that were asked for and are not in the vocabulary; empty in an answer about cells.
    digest
        The model's digest.
    """

    names: list[str]
    embeddings: NDArray[np.float32]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]
    not_found: list[str]
    digest: str


def encode_cells(
    counts: sparse.csr_matrix | sparse.csr_array,
    genes: Sequence[str],
    ids: Sequence[str] | None = None,
    obs: Mapping[str, Sequence[str | None]] | None = None,
) -> str:
    """Pack cells for the ``packed`` column (kind 1).

    Parameters
    ----------
    counts
        ``[cells, genes]``, numbers of any type; left as they are. Whole numbers up to 2^32 - 1 are
        stored as such, all else as float32. Values are not judged here (``check_values``).
    genes
        Name of each column.
    ids
        Name of each cell; None: their positions.
    obs
        Columns of labels, one label per cell (``group_by`` and ``batch`` are the ones that are
        ever read).

    Returns
    -------
    str
        Base64, as ``docs/wire-format.md`` has it.

    Raises
    ------
    InvalidRequest
        ``gene_count_mismatch`` or ``cell_count_mismatch``: not one gene per column, or not one id
        or label per cell; ``invalid_matrix``; ``invalid_text``: half a surrogate pair in a name.
    LimitExceeded
        ``packed_too_large``: more than the contract allows in one chunk; send fewer cells per row.
    """
    matrix = as_csr(counts).copy()
    check_gene_count(genes, matrix.shape[1])
    for what, names in {"ids": ids, **(obs or {})}.items():
        if names is not None and len(names) != matrix.shape[0]:
            raise InvalidRequest(
                "cell_count_mismatch",
                f"the matrix has {matrix.shape[0]} rows but {what} has {len(names)} entries.",
            )
    matrix.eliminate_zeros()
    lengths = np.diff(matrix.indptr)
    gaps = np.diff(matrix.indices.astype(np.int64), prepend=0)
    first = matrix.indptr[:-1][lengths > 0]
    gaps[first] = matrix.indices[first]
    gaps, values = _narrowest(gaps), _narrowest(matrix.data)
    header = {
        "cells": matrix.shape[0],
        "genes": list(genes),
        "ids": None if ids is None else list(ids),
        **({"obs": {name: list(labels) for name, labels in obs.items()}} if obs else {}),
        "gap_type": type_name_of(gaps),
        "value_type": type_name_of(values),
    }
    return pack(KIND_CELLS, header, [lengths.astype("<u4"), gaps, values], level=6)


def decode_cells(text: str) -> Cells:
    """Unpack the ``packed`` column.

    Raises
    ------
    InvalidPacking
        Not base64, another magic, version or kind, a wrong length, damaged or inconsistent.
    LimitExceeded
        More cells, genes or bytes than the contract allows.
    """
    body = Body(text, KIND_CELLS)
    n_cells = body.count("cells", MAX_CELLS)
    genes = body.strings("genes", MAX_GENES)
    ids = None if body.header.get("ids") is None else body.strings("ids", MAX_CELLS)
    if ids is not None and len(ids) != n_cells:
        raise InvalidPacking(
            "packed_inconsistent", f"{n_cells} cells are claimed but {len(ids)} ids are given."
        )
    obs = _labels(body.header.get("obs", {}), n_cells)
    lengths = body.array("u4", n_cells)
    if n_cells and lengths.max() > len(genes):
        raise _not_rising(len(genes))
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    gaps = body.array(body.type_name("gap_type", UNSIGNED), int(indptr[-1]))
    values = body.array(body.type_name("value_type", (*UNSIGNED, "f4")), len(gaps))
    body.end()

    indices = _indices(gaps, indptr, len(genes))
    counts = sparse.csr_matrix(
        (values.astype(np.float32), indices, indptr.astype(np.int32)),
        shape=(n_cells, len(genes)),
    )
    return Cells(counts, genes, ids, obs)


def _indices(gaps: NDArray[Any], indptr: NDArray[np.int64], n_genes: int) -> NDArray[np.int32]:
    """Column of each stored value, from the gaps within each cell: int32 ``[stored]``.

    Sums are made in 32 bits: one that does not fit comes out below the column before it.
    """
    starts = indptr[:-1][np.diff(indptr) > 0]
    if not len(starts):
        return np.empty(0, np.int32)
    columns = gaps.astype(np.uint32)
    last = np.add.reduceat(columns, starts, dtype=np.uint32)
    columns[starts[1:]] -= last[:-1]
    np.cumsum(columns, dtype=np.uint32, out=columns)
    rises = columns[1:] > columns[:-1]
    rises[starts[1:] - 1] = True
    if columns.max() >= n_genes or not rises.all():
        raise _not_rising(n_genes)
    return columns.view(np.int32)


def _not_rising(n_genes: int) -> InvalidPacking:
    return InvalidPacking(
        "packed_index_out_of_range",
        f"column indices must rise within a cell and stay below {n_genes}, the number of genes.",
    )


def _labels(sent: Any, n_cells: int) -> dict[str, list[str | None]]:
    if not isinstance(sent, dict):
        raise InvalidPacking("packed_header", "obs must be an object of columns.")
    for name, labels in sent.items():
        if not isinstance(labels, list) or not all(x is None or isinstance(x, str) for x in labels):
            raise InvalidPacking(
                "packed_header", f"obs column {name[:40]!r} must be a list of strings or null."
            )
        if len(labels) != n_cells:
            raise InvalidPacking(
                "packed_inconsistent",
                f"{n_cells} cells are claimed but obs column {name[:40]!r} has {len(labels)}.",
            )
    return sent


def narrowed(values: NDArray[Any], dtype: str, what: str) -> NDArray[Any]:
    """Return values as ``float16`` or ``float32``; refuse ``what`` does not fit.

    Raises
    ------
    InvalidRequest
        ``too_large_for_float16``: a number exceeds 65,504.
    """
    with np.errstate(over="ignore"):
        numbers = values.astype("<f2" if dtype == "float16" else "<f4")
    if not np.isfinite(numbers).all():
        raise InvalidRequest(
            "too_large_for_float16", f"some {what} exceed 65,504; ask for response_format float32."
        )
    return numbers


def encode_embeddings(answer: PackedEmbeddings, dtype: str) -> str:
    """Pack an answer: kind 2 where it counts the genes of cells, else kind 3.

    Parameters
    ----------
    answer
        ``embeddings`` are finite, ``[names, dim]``.
    dtype
        ``float16`` or ``float32``: of the numbers on the wire.

    Raises
    ------
    InvalidRequest
        ``too_large_for_float16``: a number exceeds 65,504; ``invalid_text``.
    LimitExceeded
        ``packed_too_large``.
    """
    numbers = narrowed(answer.embeddings, dtype, "numbers")
    header = {
        "names": answer.names,
        "dim": int(numbers.shape[1]),
        "value_type": type_name_of(numbers),
        "not_found": answer.not_found,
        "model_digest": answer.digest,
    }
    per_cell = [x.astype("<u4") for x in (answer.matched, answer.unknown, answer.truncated)]
    kind = KIND_CELL_EMBEDDINGS if len(answer.matched) else KIND_GENE_EMBEDDINGS
    return pack(kind, header, [numbers, *per_cell], level=1)


def decode_embeddings(text: str, *, max_chars: int | None = None) -> PackedEmbeddings:
    """Unpack an answer (errors as ``decode_cells``). ``max_chars``: own limit, or none."""
    body = Body(text, KIND_CELL_EMBEDDINGS, KIND_GENE_EMBEDDINGS, max_chars=max_chars)
    names = body.strings("names", MAX_GENES)
    dim = body.count("dim", MAX_DIM)
    numbers = body.array(body.type_name("value_type", FLOATS), len(names) * dim)
    n_cells = len(names) if body.kind == KIND_CELL_EMBEDDINGS else 0
    matched, unknown, truncated = (body.array("u4", n_cells).astype(np.int64) for _ in range(3))
    body.end()
    return PackedEmbeddings(
        names=names,
        embeddings=numbers.astype(np.float32).reshape(len(names), dim),
        matched=matched,
        unknown=unknown,
        truncated=truncated,
        not_found=body.strings("not_found", MAX_GENES),
        digest=str(body.header.get("model_digest", "")),
    )


def _narrowest(numbers: NDArray[Any]) -> NDArray[Any]:
    """As the narrowest of u1, u2, u4 that holds them all exactly, else float32."""
    if not len(numbers):
        return numbers.astype("<u1")
    top = numbers.max()
    for name in UNSIGNED:
        if numbers.min() >= 0 and top <= np.iinfo(name).max:
            narrow = numbers.astype("<" + name)
            return narrow if (narrow == numbers).all() else numbers.astype("<f4")
    return numbers.astype("<f4")
