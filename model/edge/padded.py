"""The network as a module that exporters understand: cells in one padded array.

It computes what ``scgpt.network.Network`` computes in float32. The engine lays cells end to end
and loops over them in Python, which no graph can hold; here they are padded and masked.

B cells, L tokens of the longest, D width, H heads, V rows of the gene table, W values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn

from ..scgpt.network import Layer, Network


class GeneTable(nn.Module):
    """Static vectors of genes: int64 ``[G]`` rows of the table to float32 ``[G, D]``."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        # The norm is folded in: at the edge nobody waits for it twice.
        self.register_buffer("table", network.gene_norm(network.gene_table))  # [V, D]

    def forward(self, genes: Tensor) -> Tensor:
        """Look the rows up."""
        return F.embedding(genes, self.get_buffer("table"))  # [G, D]


class PaddedLayer(nn.Module):
    """One transformer layer over padded cells."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.n_heads = layer.n_heads
        self.query = _affine(layer.query.weight, layer.query.bias)  # D -> D
        self.key_value = _affine(layer.key_value.weight, layer.key_value.bias)  # D -> 2 D
        self.out = _affine(layer.out.weight, layer.out.bias)  # D -> D
        self.linear1 = _affine(layer.linear1.weight, layer.linear1.bias)  # D -> F
        self.linear2 = _affine(layer.linear2.weight, layer.linear2.bias)  # F -> D
        self.norm1 = _norm(layer.norm1.weight, layer.norm1.bias)
        self.norm2 = _norm(layer.norm2.weight, layer.norm2.bias)

    def forward(self, target: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Update ``[B, Q, D]``, attending to the real tokens of ``x`` ``[B, L, D]``."""
        key, value = self.key_value(x).chunk(2, dim=-1)  # 2 x [B, L, D]
        mixed = F.scaled_dot_product_attention(
            self._heads(self.query(target)), self._heads(key), self._heads(value), attn_mask=mask
        )  # [B, H, Q, D/H]
        target = self.norm1(self.out(mixed.transpose(1, 2).flatten(2)) + target)  # [B, Q, D]
        hidden = F.relu(self.linear1(target))  # [B, Q, F]
        updated: Tensor = self.norm2(self.linear2(hidden) + target)  # [B, Q, D]
        return updated

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)  # [B, H, L, D/H]


class PaddedNetwork(nn.Module):
    """L2-normalised ``<cls>`` output of each cell of a padded batch."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.genes = GeneTable(network)
        self.register_buffer("values", network.value_table)  # [W, D]
        self.least_value = network.least_value
        self.layers = nn.ModuleList(PaddedLayer(layer) for layer in network.layers)

    def forward(self, genes: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """Embed cells.

        Parameters
        ----------
        genes, values
            int64 ``[B, L]``, ``<cls>`` first; anything valid behind a cell's end.
        lengths
            int64 ``[B]``: tokens of each cell, at least 1.

        Returns
        -------
        Tensor
            float32 ``[B, D]``.
        """
        place = torch.arange(genes.shape[1], device=genes.device)  # [L]
        mask = (place < lengths[:, None])[:, None, None]  # [B, 1, 1, L]
        value = F.embedding(values - self.least_value, self.get_buffer("values"))  # [B, L, D]
        x = self.genes(genes) + value  # [B, L, D]
        *inner, last = self.layers
        for layer in inner:
            x = layer(x, x, mask)  # [B, L, D]
        cls = last(x[:, :1], x, mask)[:, 0]  # [B, D]
        return F.normalize(cls, dim=-1)  # [B, D]


def _affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight, linear.bias = _fixed(weight), _fixed(bias)
    return linear


def _norm(weight: Tensor, bias: Tensor) -> nn.LayerNorm:
    norm = nn.LayerNorm(weight.shape, device="meta")
    norm.weight, norm.bias = _fixed(weight), _fixed(bias)
    return norm


def _fixed(x: Tensor) -> nn.Parameter:
    return nn.Parameter(x.detach().clone(), requires_grad=False)
