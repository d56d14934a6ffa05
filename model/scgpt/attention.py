"""Attention within each cell, for cells that are laid end to end without padding.

Two ways with one result. On the CPU torch's fused kernel is slow for the few hundred tokens of a
usual cell, so scores, softmax and product are computed one cell at a time in memory that stays in
the cache. On a GPU the cells are padded to one length and go through the fused kernels; a batch of
cells of one length, which is what truncated cells are, is not padded and needs no mask.

T tokens in all, B cells, Q queries (T, or B where only ``<cls>`` asks), D width, H heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

_SCORES = 1 << 20  # numbers; more leave the cache of a core


@dataclass(frozen=True)
class Layout:
    """The rows of ``[T, D]`` that belong to each cell.

    Parameters
    ----------
    first
        int64 ``[B]``, on the device: the row of each cell's ``<cls>``.
    lengths
        Tokens per cell.
    place
        int64 ``[B, L]``, on the device: the row in each slot of a padded batch; ``mask``
        ``[B, L]``, which slots are real; ``slots`` int64 ``[T]``, the slot of each row. None where
        nothing is padded.
    """

    first: Tensor  # [B]
    lengths: tuple[int, ...]
    place: Tensor | None = None  # [B, L]
    mask: Tensor | None = None  # [B, L]
    slots: Tensor | None = None  # [T]

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device, *, pad: bool) -> Layout:
        """Lay cells of these lengths end to end; `pad`: give the slots of a padded batch too."""
        tokens = torch.tensor(lengths)  # [B]
        first = tokens.cumsum(0) - tokens  # [B]
        if not pad or len(set(lengths)) == 1:
            return cls(first.to(device), tuple(lengths))
        slot = torch.arange(max(lengths))  # [L]
        mask = slot < tokens[:, None]  # [B, L]
        place = first[:, None] + torch.minimum(slot, tokens[:, None] - 1)  # [B, L]
        # Found here once: on a GPU, asking a mask for its places waits for all that is under way.
        slots = mask.flatten().nonzero()[:, 0]  # [T]
        padded = (x.to(device) for x in (place, mask, slots))  # [B, L], [B, L], [T]
        return cls(first.to(device), tuple(lengths), *padded)

    def spans(self) -> Iterator[slice]:
        """Yield the rows of each cell."""
        start = 0
        for length in self.lengths:
            yield slice(start, start + length)
            start += length


def pads(device: torch.device) -> bool:
    """Say if attention on a device wants cells padded to one length."""
    return device.type != "cpu"


def attend(query: Tensor, key: Tensor, value: Tensor, cells: Layout, n_heads: int) -> Tensor:
    """Mix the values of each cell as its queries ask.

    Parameters
    ----------
    query
        ``[Q, D]``: one per token, or one per cell.
    key, value
        ``[T, D]``.
    cells
        The rows that belong together.
    n_heads
        H.

    Returns
    -------
    Tensor
        ``[Q, D]``.
    """
    way = attend_padded if pads(query.device) else attend_cell_by_cell
    return way(query, key, value, cells, n_heads)


def attend_cell_by_cell(
    query: Tensor, key: Tensor, value: Tensor, cells: Layout, n_heads: int
) -> Tensor:
    """As ``attend``, one cell at a time; of a long cell, some queries at a time."""
    mixed = torch.empty_like(query)  # [Q, D]
    scale = (query.shape[1] // n_heads) ** -0.5
    scratch = query.new_empty(2, max(_SCORES, n_heads * max(cells.lengths)))  # [2, numbers]
    whole = len(query) == len(key)
    for cell, rows in enumerate(cells.spans()):
        asking = rows if whole else slice(cell, cell + 1)
        q = _heads(query[asking], n_heads)  # [H, L or 1, D/H]
        k, v = _heads(key[rows], n_heads), _heads(value[rows], n_heads)  # 2 x [H, L, D/H]
        target = mixed[asking].view(-1, n_heads, q.shape[2])  # [L or 1, H, D/H]
        step = max(1, _SCORES // (n_heads * k.shape[1]))
        for start in range(0, q.shape[1], step):
            part = q[:, start : start + step]  # [H, P, D/H]
            shape = (n_heads, part.shape[1], k.shape[1])
            size = shape[0] * shape[1] * shape[2]
            scores, shares = (x[:size].view(shape) for x in scratch)  # 2 x [H, P, L]
            # beta=0: nothing is added; alpha scales within the product, at no cost.
            torch.baddbmm(
                scores, part, k.transpose(1, 2), beta=0, alpha=scale, out=scores
            )  # [H, P, L]
            torch.softmax(scores, dim=-1, out=shares)  # [H, P, L]
            target[start : start + step] = torch.bmm(shares, v).transpose(0, 1)  # [P, H, D/H]
    return mixed


def attend_padded(query: Tensor, key: Tensor, value: Tensor, cells: Layout, n_heads: int) -> Tensor:
    """As ``attend``, all cells at once, padded to the longest."""
    batch, whole = len(cells.lengths), len(query) == len(key)

    def heads(x: Tensor, pad: bool = True) -> Tensor:
        apart = pad and cells.place is not None
        x = x[cells.place] if apart else x.view(batch, -1, x.shape[1])  # [B, L or 1, D]
        return x.view(*x.shape[:2], n_heads, -1).transpose(1, 2)  # [B, H, L or 1, D/H]

    mask = None if cells.mask is None else cells.mask[:, None, None]  # [B, 1, 1, L]
    mixed = F.scaled_dot_product_attention(
        heads(query, pad=whole), heads(key), heads(value), attn_mask=mask
    )  # [B, H, L or 1, D/H]
    mixed = mixed.transpose(1, 2).flatten(2).flatten(0, 1)  # [B L or B, D]
    return mixed[cells.slots] if whole and cells.slots is not None else mixed  # [Q, D]


def _heads(x: Tensor, n_heads: int) -> Tensor:
    return x.view(len(x), n_heads, -1).transpose(0, 1).contiguous()  # [H, L, D/H]
