"""The network as a module that exporters understand: cells in one padded array.

It computes what ``scgpt.network.Network`` computes in float32. The engine lays cells end to end
and loops over them in Python, which no graph can hold; here they are padded and masked. Attention
and norms are written so that the graph has the nodes which onnxruntime computes fast.

B cells, L tokens of the longest, Q of them updated, D width, H heads, V rows of the gene table,
W values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn

from ..scgpt.network import Layer, Network, Norm

_EPSILON = 1e-5  # as in torch's LayerNorm, which the engine computes


class GeneTable(nn.Module):
    """Static vectors of genes: int64 ``[G]`` rows of the table to float32 ``[G, D]``."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        # The norm is folded in: at the edge nobody waits for it twice.
        self.register_buffer("table", network.gene_norm(network.gene_table))  # [V, D]

    def forward(self, genes: Tensor) -> Tensor:
        """Look the rows up."""
        return F.embedding(genes, self.get_buffer("table"))  # [G, D]


def attend(query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, n_heads: int) -> Tensor:
    """Attend to the real tokens of each cell; one node of onnxruntime's own when exported.

    Parameters
    ----------
    query
        float32 ``[B, Q, D]``.
    key, value
        float32 ``[B, L, D]``.
    lengths
        int32 ``[B]``: tokens of each cell.
    n_heads
        Heads, of ``D / n_heads`` numbers each.

    Returns
    -------
    Tensor
        float32 ``[B, Q, D]``.
    """
    if torch.onnx.is_in_onnx_export():
        exported: Tensor = torch.onnx.ops.symbolic(
            "com.microsoft::MultiHeadAttention",
            (query, key, value, None, lengths),
            {"num_heads": n_heads},
            dtype=query.dtype,
            shape=query.shape,
            version=1,
        )
        return exported
    place = torch.arange(key.shape[1], device=key.device)  # [L]
    mask = (place < lengths[:, None])[:, None, None]  # [B, 1, 1, L]
    q, k, v = (x.view(*x.shape[:2], n_heads, -1).transpose(1, 2) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # [B, H, Q, D/H]
    return mixed.transpose(1, 2).flatten(2)  # [B, Q, D]


class PaddedNorm(nn.Module):
    """LayerNorm over the last axis, step by step.

    onnxruntime's own node adds a row up number by number, and takes longer than these steps.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.weight, self.bias = _fixed(norm.weight), _fixed(norm.bias)  # 2 x [D]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise rows of ``[B, Q, D]``."""
        x = x - x.mean(-1, keepdim=True)  # [B, Q, D]
        variance = (x * x).mean(-1, keepdim=True)  # [B, Q, 1]
        return x * torch.rsqrt(variance + _EPSILON) * self.weight + self.bias  # [B, Q, D]


class PaddedLayer(nn.Module):
    """One transformer layer over padded cells."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.n_heads = layer.n_heads
        weights, biases = layer.key_value.weight.chunk(2), layer.key_value.bias.chunk(2)
        self.query = _affine(layer.query.weight, layer.query.bias)  # D -> D
        self.key = _affine(weights[0], biases[0])  # D -> D
        self.value = _affine(weights[1], biases[1])  # D -> D
        self.out = _affine(layer.out.weight, layer.out.bias)  # D -> D
        self.linear1 = _affine(layer.linear1.weight, layer.linear1.bias)  # D -> F
        self.linear2 = _affine(layer.linear2.weight, layer.linear2.bias)  # F -> D
        self.norm1, self.norm2 = PaddedNorm(layer.norm1), PaddedNorm(layer.norm2)

    def forward(self, target: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        """Update ``[B, Q, D]``, attending to the real tokens of ``x`` ``[B, L, D]``."""
        query, key, value = self.query(target), self.key(x), self.value(x)
        mixed = attend(query, key, value, lengths, self.n_heads)  # [B, Q, D]
        target = self.norm1(self.out(mixed) + target)  # [B, Q, D]
        hidden = F.relu(self.linear1(target))  # [B, Q, F]
        updated: Tensor = self.norm2(self.linear2(hidden) + target)  # [B, Q, D]
        return updated


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
        value = F.embedding(values - self.least_value, self.get_buffer("values"))  # [B, L, D]
        x = self.genes(genes) + value  # [B, L, D]
        lengths = lengths.int()  # [B], as onnxruntime wants them
        *inner, last = self.layers
        for layer in inner:
            x = layer(x, x, lengths)  # [B, L, D]
        cls = last(x[:, :1], x, lengths)[:, 0]  # [B, D]
        return F.normalize(cls, dim=-1)  # [B, D]


def _affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight, linear.bias = _fixed(weight), _fixed(bias)
    return linear


def _fixed(x: Tensor) -> nn.Parameter:
    return nn.Parameter(x.detach().clone(), requires_grad=False)
