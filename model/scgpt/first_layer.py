"""The first layer's queries, keys and values, looked up in place of three products.

A token is a gene's row plus a value's row. An affine map of a sum is the sum of the maps, so the
map of each gene and of each value is made once and kept. Only float32 sums are rounded differently.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

GeneEncoder = Callable[[Tensor], Tensor]
_BLOCK = 64
"""Genes that are mapped at a time: one shape of product, so that none depends on its company."""


class FirstLayer:
    """Query, key and value of any token, of which the genes' part is made when it is first met.

    Threads may share one: two that meet a gene at once write the same bits. Memory is taken by the
    genes that were met: 6 KB each at a width of 512, and the rest of their pages.

    Parameters
    ----------
    n_genes
        V, rows of the gene table.
    values
        Rows of the value encoder, float32 ``[W, D]``.
    weight, bias
        Of query, key and value, float32 ``[3 D, D]`` and ``[3 D]``.
    """

    def __init__(self, n_genes: int, values: Tensor, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight, bias  # [3 D, D], [3 D]
        self._mapped = torch.empty(n_genes + len(values), len(bias))  # [V + W, 3 D]
        self._mapped[n_genes:] = F.linear(values, weight)  # [W, 3 D]
        self._met = torch.zeros(n_genes, dtype=torch.bool)  # [V]

    def __call__(self, genes: Tensor, values: Tensor, encode: GeneEncoder) -> Tensor:
        """Look tokens up.

        Parameters
        ----------
        genes, values
            int64 ``[T]``: rows of both tables.
        encode
            Gives rows of the gene encoder: int64 ``[G]`` to float32 ``[G, D]``.

        Returns
        -------
        Tensor
            float32 ``[T, 3 D]``: query, key and value side by side.
        """
        self._meet(genes, encode)
        parts = torch.stack([genes, values + len(self._met)], dim=1)  # [T, 2]
        return F.embedding_bag(parts, self._mapped, mode="sum")  # [T, 3 D]

    def _meet(self, genes: Tensor, encode: GeneEncoder) -> None:
        new = torch.unique(genes[~self._met[genes]])  # [N]
        for block in new.split(_BLOCK):
            filled = F.pad(block, (0, _BLOCK - len(block)))  # [block]
            mapped = F.linear(encode(filled), self._weight, self._bias)  # [block, 3 D]
            self._mapped[block] = mapped[: len(block)]
        self._met[new] = True
