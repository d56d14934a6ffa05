"""Gene vectors in the context of cells: what they are, how they travel, how chunks are merged.

Numpy only. A row is a cell, or a group of cells; it holds sums over its cells and how many cells
were added, so that answers about different cells of one group can simply be added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract import MAX_CELLS, MAX_DIM, MAX_GENES
from ..errors import InvalidPacking, InvalidRequest
from .codec import narrowed
from .envelope import FLOATS, KIND_GENES_IN_CONTEXT, Body, pack, type_name_of


@dataclass(frozen=True)
class GenesInContext:
    """Sums of the transformer's output for genes, by cell or by group of cells.

    Parameters
    ----------
    names
        Cell ids or group labels, one per row.
    symbols
        Genes of the vocabulary that occur, each once.
    indptr
        int64 ``[rows + 1]``: row ``i`` owns the vectors ``indptr[i] .. indptr[i + 1]``.
    genes
        int64 ``[vectors]``: index into ``symbols``, ascending within a row.
    counts
        int64 ``[vectors]``: cells in which the gene was a token, at least 1.
    sums
        ``[vectors, d_model]``: sum of the gene's output over those cells. For a cell, its output.
    cells, matched, unknown, truncated
        int64 ``[rows]``: cells of the row; and their genes found in the vocabulary, not found, and
        found but left out because of ``max_length``, added up.
    not_found
        Genes that were asked for and are not in the vocabulary.
    digest
        The model's digest.
    grouped
        Rows are groups of cells, which may be merged with other cells of these groups. Otherwise
        each row is one cell.
    """

    names: list[str]
    symbols: list[str]
    indptr: NDArray[np.int64]
    genes: NDArray[np.int64]
    counts: NDArray[np.int64]
    sums: NDArray[np.floating]
    cells: NDArray[np.int64]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]
    not_found: list[str]
    digest: str
    grouped: bool

    def means(self) -> NDArray[np.float32]:
        """Mean output of each gene in each row: float32 ``[vectors, d_model]``."""
        return (self.sums / self.counts[:, None]).astype(np.float32)

    def row(self, i: int) -> tuple[list[str], slice]:
        """Symbols of row ``i``, and where their vectors lie."""
        span = slice(int(self.indptr[i]), int(self.indptr[i + 1]))
        return [self.symbols[g] for g in self.genes[span]], span


def merge(parts: Sequence[GenesInContext]) -> GenesInContext:
    """Put answers about different cells together: groups of one name are added up.

    Parameters
    ----------
    parts
        At least one; of one model.

    Raises
    ------
    InvalidRequest
        ``two_models``: vectors of two models lie in two spaces. ``mixed_answers``: some are about
        groups and some about single cells. ``duplicate_cells``: single cells of one name, as those
        of two chunks without ids are.
    """
    digests = sorted({part.digest for part in parts})
    if len(digests) != 1:
        raise InvalidRequest(
            "two_models",
            f"{len(parts)} answers of the models {', '.join(d[:12] for d in digests)} cannot be "
            "merged; ask one model for all of them.",
        )
    grouped = _are_groups(parts)
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    symbols = sorted({symbol for part in parts for symbol in part.symbols})
    row_of = {name: i for i, name in enumerate(names)}
    gene_of = {symbol: i for i, symbol in enumerate(symbols)}
    rows = [np.array([row_of[n] for n in part.names], np.int64) for part in parts]
    pair = np.concatenate(
        [
            np.repeat(row, np.diff(part.indptr)) * len(symbols)
            + np.array([gene_of[s] for s in part.symbols], np.int64)[part.genes]
            for row, part in zip(rows, parts, strict=True)
        ]
    )
    pairs, slot = np.unique(pair, return_inverse=True)
    sums = np.zeros((len(pairs), parts[0].sums.shape[1]))
    np.add.at(sums, slot, np.concatenate([part.sums for part in parts]))

    def added(name: str, at: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        total = np.zeros(size, np.int64)
        np.add.at(total, at, np.concatenate([getattr(part, name) for part in parts]))
        return total

    row = np.concatenate(rows)
    per_row = {
        name: added(name, row, len(names)) for name in ("cells", "matched", "unknown", "truncated")
    }
    return GenesInContext(
        names=names,
        symbols=symbols,
        indptr=np.searchsorted(pairs, np.arange(len(names) + 1) * len(symbols)),
        genes=pairs % max(len(symbols), 1),
        counts=added("counts", slot, len(pairs)),
        sums=sums,
        not_found=sorted({gene for part in parts for gene in part.not_found}),
        digest=digests[0],
        grouped=grouped,
        **per_row,
    )


def _are_groups(parts: Sequence[GenesInContext]) -> bool:
    """Return True when the rows are groups. Cells must differ in name: they are never added up."""
    if len({part.grouped for part in parts}) != 1:
        raise InvalidRequest(
            "mixed_answers",
            "answers about groups and about single cells cannot be merged; ask for all of them "
            "with the same group_by.",
        )
    if parts[0].grouped:
        return True
    repeated = [n for n, times in Counter(n for p in parts for n in p.names).items() if times > 1]
    if repeated:
        raise InvalidRequest(
            "duplicate_cells",
            f"{len(repeated)} names stand for more than one cell, {repeated[0][:40]!r} for one; "
            "single cells are not added up. Send every chunk with ids of its own (without, cells "
            "are numbered from 0 in each), or ask with group_by.",
        )
    return False


def encode_genes_in_context(answer: GenesInContext, dtype: str) -> str:
    """Pack an answer, its vectors as ``float16`` or ``float32``.

    Raises
    ------
    InvalidRequest
        The numbers do not fit the type.
    """
    numbers = narrowed(answer.sums, dtype, "sums")
    header = {
        "names": answer.names,
        "symbols": answer.symbols,
        "dim": int(numbers.shape[1]),
        "value_type": type_name_of(numbers),
        "not_found": answer.not_found,
        "model_digest": answer.digest,
        "grouped": answer.grouped,
    }
    integers = [
        *(answer.cells, answer.matched, answer.unknown, answer.truncated),
        *(np.diff(answer.indptr), answer.genes, answer.counts),
    ]
    arrays = [x.astype("<u4") for x in integers]
    return pack(KIND_GENES_IN_CONTEXT, header, [*arrays, numbers], level=1)


def decode_genes_in_context(text: str, *, max_chars: int | None = None) -> GenesInContext:
    """Unpack an answer (errors as ``decode_cells``). ``max_chars``: own limit, or none."""
    body = Body(text, KIND_GENES_IN_CONTEXT, max_chars=max_chars)
    names, symbols = body.strings("names", MAX_CELLS), body.strings("symbols", MAX_GENES)
    dim = body.count("dim", MAX_DIM)

    def integers(count: int) -> NDArray[np.int64]:
        return body.array("u4", count).astype(np.int64)

    cells, matched, unknown, truncated, lengths = (integers(len(names)) for _ in range(5))
    total = int(lengths.sum())
    genes, counts = integers(total), integers(total)
    numbers = body.array(body.type_name("value_type", FLOATS), total * dim)
    grouped = body.flag("grouped")
    body.end()
    row = np.repeat(np.arange(len(names)), lengths)
    rise = np.diff(row * len(symbols) + genes) > 0
    if (genes >= len(symbols)).any() or not rise.all() or (counts == 0).any():
        raise InvalidPacking(
            "packed_index_out_of_range",
            f"gene indices must rise within a row and stay below {len(symbols)}, and counts be 1 "
            "or more.",
        )
    return GenesInContext(
        names=names,
        symbols=symbols,
        indptr=np.concatenate([[0], np.cumsum(lengths)]),
        genes=genes,
        counts=counts,
        sums=numbers.astype(np.float32).reshape(total, dim),
        cells=cells,
        matched=matched,
        unknown=unknown,
        truncated=truncated,
        not_found=body.strings("not_found", MAX_GENES),
        digest=str(body.header.get("model_digest", "")),
        grouped=grouped,
    )
