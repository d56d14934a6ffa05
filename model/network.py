"""The transformer, for inference only: plain tensors and torch's scaled dot-product attention.

Read it from top to bottom; the comment behind a line is the shape of what it makes, with
B cells, L tokens, D width (``d_model``), H heads, V vocabulary, F feed-forward width.

It computes what ``scgpt.model.TransformerModel._encode`` computes in evaluation mode, with three
exact savings: the gene encoder's LayerNorm and the value encoder are folded into tables when the
network is made, and the last layer updates only the rows that are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from model.config import ModelConfig

_CLAMP = 512.0  # the value encoder's upper limit; bins stay below it in every known checkpoint


@dataclass(frozen=True)
class Norm:
    """LayerNorm over the last axis: two vectors ``[D]``."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:  # [..., D] -> [..., D]
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


@dataclass(frozen=True)
class Linear:
    """Affine map ``[..., I] -> [..., O]``: weight ``[O, I]``, bias ``[O]``."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class Layer:
    """One post-norm transformer layer with ReLU, as ``nn.TransformerEncoderLayer`` has it."""

    query: Linear  # D -> D
    key_value: Linear  # D -> 2 D
    out: Linear  # D -> D
    norm1: Norm
    linear1: Linear  # D -> F
    linear2: Linear  # F -> D
    norm2: Norm
    n_heads: int

    def __call__(self, x: Tensor, mask: Tensor | None, rows: slice = slice(None)) -> Tensor:
        """Update the given rows of ``x`` ``[B, L, D]``, attending to all of them."""
        target = x[:, rows]  # [B, Q, D], Q = L or fewer
        query = self._heads(self.query(target))  # [B, H, Q, D/H]
        key, value = self.key_value(x).chunk(2, dim=-1)  # 2 x [B, L, D]
        mixed = F.scaled_dot_product_attention(
            query, self._heads(key), self._heads(value), attn_mask=mask
        )  # [B, H, Q, D/H]
        mixed = mixed.transpose(1, 2).flatten(2)  # [B, Q, D]
        target = self.norm1(target + self.out(mixed))  # [B, Q, D]
        hidden = F.relu(self.linear1(target))  # [B, Q, F]
        return self.norm2(target + self.linear2(hidden))  # [B, Q, D]

    def _heads(self, x: Tensor) -> Tensor:  # [B, L, D] -> [B, H, L, D/H]
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)


@dataclass(frozen=True)
class Network:
    """A checkpoint, ready to compute.

    Parameters
    ----------
    gene_table
        ``[V, D]``: gene encoder with its LayerNorm folded in.
    value_table
        ``[W, D]``: value encoder at the integers from ``least_value`` upwards.
    least_value
        The value that row 0 of the value table stands for.
    layers
        First to last.
    """

    gene_table: Tensor
    value_table: Tensor
    least_value: int
    layers: tuple[Layer, ...]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.gene_table.device

    def cell_embeddings(self, genes: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """L2-normalised ``<cls>`` output of each cell.

        Parameters
        ----------
        genes, values
            int64 ``[B, L]``: rows of the gene table and binned values, ``<cls>`` first. What lies
            at and beyond a cell's length is ignored, but must be valid indices.
        lengths
            int64 ``[B]``: tokens per cell, at least 1.

        Returns
        -------
        Tensor
            float32 ``[B, D]``.
        """
        x = self._tokens(genes, values)  # [B, L, D]
        mask = _attention_mask(lengths, genes.shape[1])  # [B, 1, 1, L] or None
        for layer in self.layers[:-1]:
            x = layer(x, mask)  # [B, L, D]
        cls = self.layers[-1](x, mask, rows=slice(1))  # [B, 1, D]
        return F.normalize(cls[:, 0].float(), dim=-1)  # [B, D]

    def token_embeddings(self, genes: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """Output of the last layer for every token: float32 ``[B, L, D]``, not normalised.

        Parameters as ``cell_embeddings``; rows at and beyond a cell's length mean nothing.
        """
        x = self._tokens(genes, values)  # [B, L, D]
        mask = _attention_mask(lengths, genes.shape[1])  # [B, 1, 1, L] or None
        for layer in self.layers:
            x = layer(x, mask)  # [B, L, D]
        return x.float()

    def _tokens(self, genes: Tensor, values: Tensor) -> Tensor:
        gene = F.embedding(genes, self.gene_table)  # [B, L, D]
        value = F.embedding(values - self.least_value, self.value_table)  # [B, L, D]
        return gene + value  # [B, L, D]


def _attention_mask(lengths: Tensor, width: int) -> Tensor | None:
    """True where a token may be attended to; None where no cell is padded."""
    if bool((lengths == width).all()):
        return None
    position = torch.arange(width, device=lengths.device)  # [L]
    return (position < lengths[:, None])[:, None, None]  # [B, 1, 1, L]


def build_network(
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Make the network out of a checkpoint's tensors (names with ``in_proj_``, checked before).

    Tables are folded in float32; then everything is moved to the device and dtype.
    """

    def placed(x: Tensor) -> Tensor:
        return x.to(device, dtype)

    def linear(name: str, rows: slice = slice(None), dot: str = ".") -> Linear:
        weight, bias = weights[f"{name}{dot}weight"], weights[f"{name}{dot}bias"]
        return Linear(placed(weight[rows]), placed(bias[rows]))

    def norm(name: str) -> Norm:
        return Norm(placed(weights[f"{name}.weight"]), placed(weights[f"{name}.bias"]))

    def layer(name: str) -> Layer:
        d = config.d_model
        return Layer(
            query=linear(f"{name}.self_attn.in_proj", slice(d), dot="_"),
            key_value=linear(f"{name}.self_attn.in_proj", slice(d, 3 * d), dot="_"),
            out=linear(f"{name}.self_attn.out_proj"),
            norm1=norm(f"{name}.norm1"),
            linear1=linear(f"{name}.linear1"),
            linear2=linear(f"{name}.linear2"),
            norm2=norm(f"{name}.norm2"),
            n_heads=config.n_heads,
        )

    least_value = min(config.pad_value, 0)
    return Network(
        gene_table=placed(_gene_table(weights)),
        value_table=placed(_value_table(weights, torch.arange(least_value, config.n_bins))),
        least_value=least_value,
        layers=tuple(layer(f"transformer_encoder.layers.{i}") for i in range(config.n_layers)),
    )


def _gene_table(weights: Mapping[str, Tensor]) -> Tensor:
    table = weights["encoder.embedding.weight"]  # [V, D]
    scale, shift = weights["encoder.enc_norm.weight"], weights["encoder.enc_norm.bias"]  # [D]
    return F.layer_norm(table, scale.shape, scale, shift)  # [V, D]


def _value_table(weights: Mapping[str, Tensor], values: Tensor) -> Tensor:
    x = values.float().clamp(max=_CLAMP)[:, None]  # [W, 1]
    for name, activate in (("linear1", F.relu), ("linear2", None)):
        weight, bias = (
            weights[f"value_encoder.{name}.weight"],
            weights[f"value_encoder.{name}.bias"],
        )
        x = F.linear(x, weight, bias)  # [W, D]
        x = activate(x) if activate else x
    scale, shift = weights["value_encoder.norm.weight"], weights["value_encoder.norm.bias"]  # [D]
    return F.layer_norm(x, scale.shape, scale, shift)  # [W, D]
