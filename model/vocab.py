"""The gene vocabulary: symbols to rows of the gene table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.config import CLS_TOKEN, SPECIAL_TOKENS, read_json_object
from model.errors import CheckpointError

UNKNOWN = -1


class GeneVocab:
    """Tokens of a checkpoint, special ones included.

    Parameters
    ----------
    tokens
        ``{token: index}``; the indices are ``0 .. n - 1``, each once. ``<pad>``, ``<cls>`` and
        ``<eoc>`` are appended in that order where they are absent, as scGPT does.

    Raises
    ------
    CheckpointError
        Indices that are not ``0 .. n - 1``.
    """

    def __init__(self, tokens: Mapping[str, int]) -> None:
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
        """Index of each symbol, ``UNKNOWN`` (-1) where there is none: int64 ``[genes]``.

        Special tokens are no genes: they come back as unknown.
        """
        find = self._gene_ids.get
        return np.array([find(gene, UNKNOWN) for gene in genes], dtype=np.int64)


def read_vocab(path: Path) -> GeneVocab:
    """Read ``vocab.json``; CheckpointError when it is missing or is not ``{token: index}``."""
    tokens: dict[str, int] = {}
    for token, index in read_json_object(path).items():
        if isinstance(index, bool) or not isinstance(index, int):
            raise CheckpointError(
                "invalid_vocabulary",
                f"{path.name}: the index of {token!r} is {index!r}, no integer.",
            )
        tokens[token] = index
    return GeneVocab(tokens)
