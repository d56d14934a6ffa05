"""Is a request about genes that this checkpoint knows? If not, what did its sender overlook?

The refusal is about a request as a whole; whether a cell is answered, and how, never depends on
the cells beside it in any other way. Cells without counts say nothing about names, so a request of
nothing but empty cells passes, and each of its rows is flagged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..cells.cells import Cells
from ..errors import InvalidRequest
from .vocab import UNKNOWN, GeneVocab

_MOST = 0.5  # of the unknown names must look alike for a cause to be named
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?(_PAR_Y)?")
_MOUSE = re.compile(r"(?=.*[a-z])([A-Z][a-z0-9.-]*|[0-9]+[A-Z][a-z0-9]*Rik)")
_BARCODE = re.compile(r"(.*[_:#-])?[ACGT]{8,}([_:#-].*)?")


def check_known_fraction(vocab: GeneVocab, sent: Sequence[Cells], least: float) -> None:
    """Refuse a request most of whose counts lie in genes that the vocabulary does not have.

    Parameters
    ----------
    vocab
        Of the checkpoint.
    sent
        All cells of the request, checked (``check_cells``).
    least
        Share of the sum of all values that must lie in known genes, 0 .. 1; 0 refuses nothing.

    Raises
    ------
    InvalidRequest
        ``no_known_gene`` when no column is known, ``too_few_known_genes`` below the share. The
        sentence names the likely cause.
    """
    known = total = 0.0
    columns = 0
    for cells in sent:
        found = vocab.lookup(cells.genes) != UNKNOWN
        sums = np.asarray(cells.counts.sum(axis=0, dtype=np.float64)).ravel()
        known, total = known + float(sums[found].sum()), total + float(sums.sum())
        columns += int(found.sum())
    if least == 0 or (columns and known >= least * total):
        return
    genes = list(dict.fromkeys(gene for cells in sent for gene in cells.genes))
    ids = [name for cells in sent for name in cells.ids or []]
    if not columns:
        code = "no_known_gene"
        said = f"none of the {len(genes)} genes is in the vocabulary of {len(vocab)} tokens"
    else:
        code = "too_few_known_genes"
        said = (
            f"only {known / total:.1%} of the counts lie in known genes "
            f"({columns} of {sum(len(cells.genes) for cells in sent)} columns are known), "
            f"at least {least:.0%} must"
        )
    unknown = [gene for gene, i in zip(genes, vocab.lookup(genes), strict=True) if i == UNKNOWN]
    named = f" (unknown: {', '.join(unknown[:3])})" if unknown else ""
    raise InvalidRequest(
        code,
        f"{said}{named}. {likely_cause(vocab, unknown, ids)} "
        "min_known_fraction sets the threshold; 0 turns it off.",
    )


def known_ids(vocab: GeneVocab, genes: Sequence[str]) -> NDArray[np.int64]:
    """Rows of the gene table, -1 for unknown genes; refused when all are unknown.

    Raises
    ------
    InvalidRequest
        ``no_known_gene``.
    """
    if not len(genes):
        raise InvalidRequest("no_known_gene", "no gene at all is named; name at least one.")
    ids = vocab.lookup(genes)
    if not (ids != UNKNOWN).any():
        raise InvalidRequest(
            "no_known_gene",
            f"none of the {len(genes)} genes is in the vocabulary of {len(vocab)} tokens "
            f"(first: {', '.join(genes[:3])}). {likely_cause(vocab, genes)}",
        )
    return ids


def likely_cause(vocab: GeneVocab, unknown: Sequence[str], cell_ids: Sequence[str] = ()) -> str:
    """What probably happened, and what to do about it, in one sentence or two.

    Parameters
    ----------
    unknown
        Names of columns that are not in the vocabulary.
    cell_ids
        Names of the rows, where there are any.
    """
    if _mostly(_ENSEMBL, unknown):
        mouse = sum("ENSMUS" in name for name in unknown) > len(unknown) / 2
        if mouse:
            return (
                "These are Ensembl ids of the mouse: map them to the human orthologs, "
                "and send symbols."
            )
        return (
            "These look like Ensembl ids, which this model knows only as far as its "
            "gene_ids.json maps them: send gene symbols "
            "(often in adata.var['gene_symbols'] or adata.var['feature_name'])."
        )
    rows_known = len(cell_ids) > 0 and (vocab.lookup(cell_ids) != UNKNOWN).mean() > _MOST
    if rows_known or _mostly(_BARCODE, unknown):
        return "The matrix looks transposed: it must be cells x genes, one gene name per column."
    if _mostly(_MOUSE, unknown):
        return (
            "These look like mouse symbols (Title case): map them to the human orthologs first, "
            "or use a checkpoint of that species."
        )
    if unknown and (vocab.lookup([name.upper() for name in unknown]) != UNKNOWN).mean() > _MOST:
        return "Symbols are case-sensitive: these are known in upper case."
    if _mostly(re.compile(r"\d+"), unknown):
        return "These are numbers: put gene symbols into adata.var_names before sending."
    return "Send gene symbols as in vocab.json, one per column (cells x genes)."


def _mostly(pattern: re.Pattern[str], names: Sequence[str]) -> bool:
    return bool(names) and sum(map(bool, map(pattern.fullmatch, names))) > _MOST * len(names)
