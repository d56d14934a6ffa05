"""The gene vocabulary: symbols, Ensembl ids and former symbols to rows of the gene table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..cells.known_genes import UNKNOWN
from ..errors import CheckpointError
from .config import CLS_TOKEN, SPECIAL_TOKENS, read_json_object

_ENSEMBL = re.compile(r"(ENS[A-Z]*G\d+)(\.\d+)?(_PAR_Y)?")  # id, version, mark of the Y copy

# Names that are no genes of the vocabulary, by what they look like.
_MOST = 0.5  # of the unknown names must look alike for a cause to be named
_ENSEMBL_LIKE = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?(_PAR_Y)?")
_MOUSE = re.compile(r"(?=.*[a-z])([A-Z][a-z0-9.-]*|[0-9]+[A-Z][a-z0-9]*Rik)")
_PEAK = re.compile(r"(chr)?[0-9XYMT]{1,2}[:_-]\d+[:_-]\d+", re.IGNORECASE)
_PREFIX = re.compile(r"[A-Za-z0-9.]+?[_:|-]+")  # GRCh38_, hg19___, human-
_PREFIXED = re.compile(_PREFIX.pattern + ".+")
_BLANKS = " \t\r\n\"'\ufeff\xa0"
_BARCODE = re.compile(r"(.*[_:#-])?[ACGT]{8,}([_:#-].*)?")


class GeneVocab:
    """Tokens of a checkpoint, special ones included.

    Parameters
    ----------
    tokens
        ``{token: index}``; the indices are ``0 .. n - 1``, each once. ``<pad>``, ``<cls>`` and
        ``<eoc>`` are appended in that order where they are absent, as scGPT does.
    ids
        ``{Ensembl id without version: symbol}``. Symbols that are no tokens are left unknown.
    aliases
        ``{former symbol: symbol}``; one step, never through another alias.

    Raises
    ------
    CheckpointError
        Indices that are not ``0 .. n - 1``.
    """

    def __init__(
        self,
        tokens: Mapping[str, int],
        ids: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._ids, self._aliases = ids or {}, aliases or {}
        index = dict(tokens)
        if sorted(index.values()) != list(range(len(index))):
            raise CheckpointError(
                "invalid_vocabulary",
                f"the indices of the {len(index)} tokens must be 0 .. {len(index) - 1}, each once.",
            )
        for token in SPECIAL_TOKENS:
            index.setdefault(token, len(index))
        self.cls_id = index[CLS_TOKEN]
        self.tokens = sorted(index, key=index.__getitem__)
        self._gene_ids = {token: i for token, i in index.items() if token not in SPECIAL_TOKENS}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def gene_ids(self) -> NDArray[np.int64]:
        """Indices of the genes (no special token), ascending: int64 ``[genes]``."""
        return np.sort(np.fromiter(self._gene_ids.values(), np.int64, len(self._gene_ids)))

    def lookup(self, genes: Iterable[str]) -> NDArray[np.int64]:
        """Index of each gene, ``UNKNOWN`` (-1) where there is none: int64 ``[genes]``.

        A name is taken for a symbol of the vocabulary first, then for an Ensembl id (its version
        is cut), then for a former symbol. Special tokens are no genes: they come back as unknown.
        """
        find = self._gene_ids.get
        if not self._ids and not self._aliases:
            return np.fromiter(map(find, genes, repeat(UNKNOWN)), dtype=np.int64)
        return np.array([self._find(gene) for gene in genes], dtype=np.int64)

    def likely_cause(self, unknown: Sequence[str], cell_ids: Sequence[str] = ()) -> str:
        """Say why these names are probably unknown, and what to do, in a sentence or two.

        Parameters
        ----------
        unknown
            Names of columns that are not in the vocabulary.
        cell_ids
            Names of the rows, where there are any.
        """
        if _mostly(_ENSEMBL_LIKE, unknown):
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
        if self._mostly_known(cell_ids) or _mostly(_BARCODE, unknown):
            return (
                "The matrix looks transposed: it must be cells x genes, one gene name per column."
            )
        if _mostly(_PEAK, unknown):
            return (
                "These look like peaks of chromatin (chr1:100-200): keep the genes alone, as "
                "adata[:, adata.var['feature_types'] == 'Gene Expression'] does."
            )
        if self._mostly_known([name.strip(_BLANKS) for name in unknown]):
            return (
                "Blanks or quotes stand around these symbols: take them away, as "
                "adata.var_names = adata.var_names.str.strip() does."
            )
        bare = [_PREFIX.sub("", name, count=1) for name in unknown]
        if _mostly(_PREFIXED, unknown) and self._mostly_known(bare):
            prefix = next(found[0] for name in unknown if (found := _PREFIX.match(name)))
            return (
                f"A prefix stands before these symbols ({prefix!r}, as of a reference of two "
                "genomes): take it away, and leave the genes of other genomes out."
            )
        if _mostly(_MOUSE, unknown):
            return (
                "These look like mouse symbols (Title case): map them to the human orthologs "
                "first, or use a checkpoint of that species."
            )
        if self._mostly_known([name.upper() for name in unknown]):
            return "Symbols are case-sensitive: these are known in upper case."
        if _mostly(re.compile(r"\d+"), unknown):
            return "These are numbers: put gene symbols into adata.var_names before sending."
        return "Send gene symbols as in vocab.json, one per column (cells x genes)."

    def _mostly_known(self, names: Sequence[str]) -> bool:
        return len(names) > 0 and bool((self.lookup(names) != UNKNOWN).mean() > _MOST)

    def _find(self, gene: str) -> int:
        found = self._gene_ids.get(gene)
        if found is not None:
            return found
        ensembl = _ENSEMBL.fullmatch(gene)
        symbol = self._ids.get(ensembl[1]) if ensembl else self._aliases.get(gene)
        return UNKNOWN if symbol is None else self._gene_ids.get(symbol, UNKNOWN)


def _mostly(pattern: re.Pattern[str], names: Sequence[str]) -> bool:
    return bool(names) and sum(map(bool, map(pattern.fullmatch, names))) > _MOST * len(names)


def read_vocab(path: Path, ids: Path | None = None, aliases: Path | None = None) -> GeneVocab:
    """Read ``vocab.json`` and, where there are any, the tables of ids and former symbols.

    Raises
    ------
    CheckpointError
        A file is missing, or is not ``{token: index}`` or ``{name: symbol}``.
    """
    tokens = read_json_object(path)
    if any(type(index) is not int for index in tokens.values()):  # bool is an int as well
        token, index = next((t, i) for t, i in tokens.items() if type(i) is not int)
        raise CheckpointError(
            "invalid_vocabulary", f"{path.name}: the index of {token!r} is {index!r}, no integer."
        )
    symbol_of = _read_names(ids) if ids else {}
    versioned = next((name for name in symbol_of if not _is_plain_id(name)), None)
    if ids and versioned is not None:
        raise CheckpointError(
            "invalid_gene_names",
            f"{ids.name}: {versioned!r} is no Ensembl gene id without a version "
            "(such as ENSG00000167286).",
        )
    return GeneVocab(
        cast("dict[str, int]", tokens), symbol_of, _read_names(aliases) if aliases else {}
    )


def _is_plain_id(name: str) -> bool:
    found = _ENSEMBL.fullmatch(name)
    return found is not None and found[1] == name


def _read_names(path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, symbol in read_json_object(path).items():
        if not isinstance(symbol, str):
            raise CheckpointError(
                "invalid_gene_names", f"{path.name}: {name!r} stands for {symbol!r}, no symbol."
            )
        names[name] = symbol
    return names
