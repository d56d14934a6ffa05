"""The transformer, for inference only.

Read it from top to bottom; the comment behind a line is the shape of what it makes. The cells of a
batch lie end to end, without padding: B cells, T tokens in all, D width (``d_model``), V
vocabulary, W values, F feed-forward width, Q rows that a layer updates.

It computes what ``scgpt.model.TransformerModel._encode`` computes in evaluation mode, with exact
savings: the value encoder is folded into a table when the network is made; the last layer updates
only the rows that are asked for; on the CPU, the first layer's products are looked up, and the last
layer makes no keys and values. The gene table stays as it lies in the file, memory-mapped, and its
LayerNorm is applied to the rows that are used: folding 60,697 rows would take longer than all the
rest of loading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from .attention import Layout, Way, attend, attend_from_cls, way_for
from .config import ModelConfig
from .first_layer import FirstLayer
from .linear import Linear, Matmul, matmul_for

_CLAMP = 512.0  # the value encoder's upper limit; bins stay below it in every known checkpoint


@dataclass(frozen=True)
class Norm:
    """LayerNorm over the last axis: two vectors ``[D]``."""

    weight: Tensor  # [D]
    bias: Tensor  # [D]

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)  # [..., D]


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

    def __call__(self, x: Tensor, cells: Layout) -> Tensor:
        """Update ``x`` ``[T, D]``."""
        return self.update(x, attend(self.query(x), *self._keys(x), cells, self.n_heads))  # [T, D]

    def of_cls(self, x: Tensor, cells: Layout) -> Tensor:
        """Update the ``<cls>`` of each cell alone: ``[T, D]`` to ``[B, D]``."""
        target = x[cells.first]  # [B, D]
        query = self.query(target)  # [B, D]
        if cells.way == "cell by cell":
            mixed = attend_from_cls(query, x, self.key_value, cells, self.n_heads)  # [B, D]
        else:
            mixed = attend(query, *self._keys(x), cells, self.n_heads)  # [B, D]
        return self.update(target, mixed)  # [B, D]

    def update(self, target: Tensor, mixed: Tensor) -> Tensor:
        """Update rows ``[Q, D]`` by the values that attention mixed for them, ``[Q, D]``."""
        target = self.norm1(self.out(mixed).add_(target))  # [Q, D]
        hidden = self.linear1(target, relu=True)  # [Q, F]
        return self.norm2(self.linear2(hidden).add_(target))  # [Q, D]

    def _keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        key, value = self.key_value(x).chunk(2, dim=-1)  # 2 x [T, D]
        return key, value


@dataclass(frozen=True)
class Network:
    """A checkpoint, ready to compute.

    Parameters
    ----------
    gene_table, gene_norm
        Gene encoder: float32 ``[V, D]``, and the norm of its rows.
    value_table
        Value encoder: float32 ``[W, D]``, at the integers from ``least_value`` upwards.
    least_value
        The value that row 0 of the value table stands for.
    first_layer
        What the first layer asks of attention, looked up. On the CPU only.
    layers
        First to last, in ``dtype``.
    dtype
        What the layers compute in.
    matmul
        Which matrix product they use.
    attention
        Which way of attention they use.
    """

    gene_table: Tensor  # [V, D]
    gene_norm: Norm
    value_table: Tensor  # [W, D]
    least_value: int
    first_layer: FirstLayer | None
    layers: tuple[Layer, ...]
    dtype: torch.dtype
    matmul: Matmul
    attention: Way

    @property
    def device(self) -> torch.device:
        """Return the device that holds the tensors."""
        return self.gene_table.device

    def gene_embeddings(self, genes: Tensor) -> Tensor:
        """Static vectors of rows of the gene table, int64 ``[G]``: float32 ``[G, D]``."""
        return self.gene_norm(F.embedding(genes, self.gene_table))  # [G, D]

    def cell_embeddings(self, genes: Tensor, values: Tensor, lengths: Sequence[int]) -> Tensor:
        """L2-normalised ``<cls>`` output of each cell.

        Parameters
        ----------
        genes, values
            int64 ``[T]``: rows of the gene table and binned values, cell after cell, ``<cls>``
            first in each.
        lengths
            Tokens per cell, at least 1; T in all.

        Returns
        -------
        Tensor
            float32 ``[B, D]``.
        """
        cells = Layout.of(lengths, self.device, self.attention)
        x = self._through(self.layers[:-1], genes, values, cells)  # [T, D]
        cls = self.layers[-1].of_cls(x, cells)  # [B, D]
        return F.normalize(cls.float(), dim=-1)  # [B, D]

    def token_embeddings(self, genes: Tensor, values: Tensor, lengths: Sequence[int]) -> Tensor:
        """Output of the last layer for every token: float32 ``[T, D]``, not normalised.

        Parameters as ``cell_embeddings``.
        """
        cells = Layout.of(lengths, self.device, self.attention)
        return self._through(self.layers, genes, values, cells).float()  # [T, D]

    def _through(
        self, layers: tuple[Layer, ...], genes: Tensor, values: Tensor, cells: Layout
    ) -> Tensor:
        values = values - self.least_value  # [T]
        gene, value = self.gene_embeddings(genes), F.embedding(values, self.value_table)
        x = gene.add_(value).to(self.dtype)  # [T, D]
        if layers and self.first_layer is not None:
            first, layers = layers[0], layers[1:]
            looked_up = self.first_layer(genes, values, self.gene_embeddings)  # [T, 3 D]
            query, key, value = looked_up.to(self.dtype).chunk(3, dim=-1)  # 3 x [T, D]
            mixed = attend(query, key, value, cells, first.n_heads)  # [T, D]
            x = first.update(x, mixed)  # [T, D]
        for layer in layers:
            x = layer(x, cells)  # [T, D]
        return x


def build_network(
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Make the network out of a checkpoint's tensors (names with ``in_proj_``, checked before).

    The layers are put into `dtype`; the tables stay float32.
    """
    matmul = matmul_for(torch.device(device), dtype)

    def placed(x: Tensor) -> Tensor:
        return x.to(device, dtype)  # of the shape of x

    def linear(name: str, rows: slice = slice(None), dot: str = ".") -> Linear:
        weight = weights[f"{name}{dot}weight"][rows]  # [O, I]
        bias = weights[f"{name}{dot}bias"][rows]  # [O]
        return Linear(placed(weight), placed(bias), matmul)

    def norm(name: str) -> Norm:
        return Norm(placed(weights[f"{name}.weight"]), placed(weights[f"{name}.bias"]))  # 2 x [D]

    def layer(name: str) -> Layer:
        d = config.d_model
        return Layer(
            query=linear(f"{name}.self_attn.in_proj", slice(d), "_"),  # [D, D]
            key_value=linear(f"{name}.self_attn.in_proj", slice(d, 3 * d), "_"),  # [2 D, D]
            out=linear(f"{name}.self_attn.out_proj"),  # [D, D]
            norm1=norm(f"{name}.norm1"),
            linear1=linear(f"{name}.linear1"),  # [F, D]
            linear2=linear(f"{name}.linear2"),  # [D, F]
            norm2=norm(f"{name}.norm2"),
            n_heads=config.n_heads,
        )

    least_value = min(config.pad_value, 0)
    values = torch.arange(least_value, config.n_bins)  # [W]
    value_table = _value_table(weights, values).to(device)  # [W, D]
    gene_table = weights["encoder.embedding.weight"].to(device)  # [V, D]
    attention = way_for(torch.device(device), dtype, config.d_model // config.n_heads)
    in_proj = [  # [3 D, D], [3 D]
        weights[f"transformer_encoder.layers.0.self_attn.in_proj_{x}"] for x in ("weight", "bias")
    ]
    on_cpu = attention == "cell by cell"
    return Network(
        gene_table=gene_table,
        gene_norm=Norm(  # 2 x [D]
            *(weights[f"encoder.enc_norm.{x}"].to(device) for x in ("weight", "bias"))
        ),
        value_table=value_table,
        least_value=least_value,
        first_layer=FirstLayer(len(gene_table), value_table, *in_proj) if on_cpu else None,
        layers=tuple(layer(f"transformer_encoder.layers.{i}") for i in range(config.n_layers)),
        dtype=dtype,
        matmul=matmul,
        attention=attention,
    )


def _value_table(weights: Mapping[str, Tensor], values: Tensor) -> Tensor:
    """Encode some values ``[W]``: float32 ``[W, D]``."""

    def linear(name: str, x: Tensor) -> Tensor:
        weight = weights[f"value_encoder.{name}.weight"]  # [D, 1] of linear1, [D, D] of linear2
        bias = weights[f"value_encoder.{name}.bias"]  # [D]
        return F.linear(x, weight, bias)  # [W, D]

    x = values.float().clamp(max=_CLAMP)[:, None]  # [W, 1]
    x = F.relu(linear("linear1", x))  # [W, D]
    x = linear("linear2", x)  # [W, D]
    scale, shift = weights["value_encoder.norm.weight"], weights["value_encoder.norm.bias"]  # [D]
    return F.layer_norm(x, scale.shape, scale, shift)  # [W, D]
