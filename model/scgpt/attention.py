"""Attention within each cell, for cells that are laid end to end without padding.

Three ways with one result, chosen by rule (``way_for``). On the CPU cells are computed one at a
time, in memory that stays in the cache. On a GPU with bfloat16 cores, torch's attention of variable
length takes the cells as they lie. On other GPUs cells are padded to one length and go through the
fused kernels; a batch of cells of one length, which is what truncated cells are, needs no mask.

T tokens in all, B cells, Q queries (T, or B where only ``<cls>`` asks), D width, H heads.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from .device import moved
from .linear import Linear

Way = Literal["cell by cell", "variable length", "padded"]
# Measured on one core of a Zen 4 (docs/performance.md): scores of so many numbers stay in its
# cache, and rows in multiples of 32 suit the products.
_SCORES = 1 << 19
_ROWS = 32
_LONG = 512
"""Tokens from which torch's fused kernel for the CPU is faster in float32, and from which the
softmax of a half type no longer gains by float32."""
_VARLEN = "torch.nn.attention.varlen"
_HALF = (torch.float16, torch.bfloat16)


def way_for(device: torch.device, dtype: torch.dtype, head_width: int) -> Way:
    """Choose the way of attention by device, type and width of a head, never by a race."""
    if device.type == "cpu":
        return "cell by cell"
    takes = dtype in _HALF and head_width % 8 == 0 and head_width <= 256
    if takes and torch.cuda.get_device_capability(device) >= (8, 0) and varlen_attention():
        return "variable length"
    return "padded"


@cache
def varlen_attention() -> Callable[..., Tensor] | None:
    """Return torch's attention of variable length; None where this release has none.

    Newer releases may split the keys of a cell by the longest one of the batch. That is turned off,
    so that a cell's sums do not depend on its company.
    """
    try:
        function: Callable[..., Tensor] = importlib.import_module(_VARLEN).varlen_attn
    except (ImportError, AttributeError):
        return None
    apart = {"num_splits": 1} if "num_splits" in inspect.signature(function).parameters else {}
    return lambda *args: function(*args, **apart)


@dataclass(frozen=True)
class Layout:
    """The rows of ``[T, D]`` that belong to each cell.

    Parameters
    ----------
    way
        The way of attention that it is made for.
    first
        int64 ``[B]``, on the device: the row of each cell's ``<cls>``.
    lengths
        Tokens per cell.
    bounds
        int32 ``[B + 1]`` twice, on the device, for variable length: the rows at which cells begin
        and end, and the same where each cell asks with one row.
    place
        int64 ``[B, L]``, on the device: the row in each slot of a padded batch; ``mask``
        ``[B, L]``, which slots are real; ``slots`` int64 ``[T]``, the slot of each row. None where
        nothing is padded.
    """

    way: Way
    first: Tensor  # [B]
    lengths: tuple[int, ...]
    bounds: tuple[Tensor, Tensor] | None = None  # 2 x [B + 1]
    place: Tensor | None = None  # [B, L]
    mask: Tensor | None = None  # [B, L]
    slots: Tensor | None = None  # [T]

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device, way: Way) -> Layout:
        """Lay cells of these lengths end to end, for a way of attention."""
        tokens = torch.tensor(lengths)  # [B]
        ends = tokens.cumsum(0)  # [B]
        start = moved(ends - tokens, device)  # [B]
        if way == "variable length":
            rows = torch.cat([ends.new_zeros(1), ends]).int()  # [B + 1]
            cells = torch.arange(len(lengths) + 1).int()  # [B + 1]
            bounds = (moved(rows, device), moved(cells, device))
            return cls(way, start, tuple(lengths), bounds)
        if way == "cell by cell" or len(set(lengths)) == 1:
            return cls(way, start, tuple(lengths))
        longest = -(-max(lengths) // 8) * 8  # kernels that take a mask want it aligned
        slot = torch.arange(longest)  # [L]
        mask = slot < tokens[:, None]  # [B, L]
        place = (ends - tokens)[:, None] + torch.minimum(slot, tokens[:, None] - 1)  # [B, L]
        # Found here once: on a GPU, asking a mask for its places waits for all that is under way.
        slots = mask.flatten().nonzero()[:, 0]  # [T]
        padded = (moved(x, device) for x in (place, mask, slots))  # [B, L], [B, L], [T]
        return cls(way, start, tuple(lengths), None, *padded)

    def spans(self) -> Iterator[slice]:
        """Yield the rows of each cell."""
        start = 0
        for length in self.lengths:
            yield slice(start, start + length)
            start += length


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
    ways = {
        "cell by cell": attend_cell_by_cell,
        "variable length": attend_variable_length,
        "padded": attend_padded,
    }
    return ways[cells.way](query, key, value, cells, n_heads)


def attend_cell_by_cell(
    query: Tensor, key: Tensor, value: Tensor, cells: Layout, n_heads: int
) -> Tensor:
    """As ``attend`` with a query per token, one cell at a time; of a long cell, some of them.

    How a cell is computed follows from its own length alone.
    """
    mixed = torch.empty_like(query)  # [T, D]
    single = query.dtype == torch.float32
    most = max(n_heads * _step(n_heads, length) * length for length in set(cells.lengths))
    scratch = query.new_empty(2, most)  # [2, numbers]
    exact = None if single else query.new_empty(most, dtype=torch.float32)  # [numbers]
    for rows in cells.spans():
        # The products of float32 take heads as they lie; those of half types are slower with that.
        q, k, v = (_heads(x[rows], n_heads, copied=not single) for x in (query, key, value))
        target = mixed[rows].view(-1, n_heads, q.shape[2])  # [L, H, D/H]
        if single and k.shape[1] >= _LONG:
            fused = F.scaled_dot_product_attention(q[None], k[None], v[None])  # [1, H, L, D/H]
            target.copy_(fused[0].transpose(0, 1))
        else:
            _attend_in_parts(q, k, v, target, scratch, exact)
    return mixed


def attend_from_cls(
    query: Tensor, x: Tensor, key_value: Linear, cells: Layout, n_heads: int
) -> Tensor:
    """As ``attend`` with a query per cell, without making the keys and values of its tokens.

    The query goes back through the keys' weights, and what it mixes of ``x`` goes through the
    values': two products for each cell in place of two for each token. The keys' bias adds one
    number to all scores of a head, which softmax takes out again. All is float32.

    Parameters
    ----------
    query
        ``[B, D]``.
    x
        ``[T, D]``.
    key_value
        Makes keys and values of ``x``: D -> 2 D.
    """
    width = x.shape[1] // n_heads
    weight, bias = key_value.weight.float(), key_value.bias.float()  # [2 D, D], [2 D]
    key, value = weight.view(2, n_heads, width, -1)  # 2 x [H, D/H, D]
    mixed = torch.empty_like(query)  # [B, D]
    for cell, rows in enumerate(cells.spans()):
        tokens = x[rows].float()  # [L, D]
        asked = torch.bmm(query[cell].float().view(n_heads, 1, width), key)[:, 0]  # [H, D]
        shares = torch.softmax(asked @ tokens.T * width**-0.5, dim=-1)  # [H, L]
        seen = (shares @ tokens)[:, :, None]  # [H, D, 1]
        mixed[cell] = torch.bmm(value, seen).flatten().add_(bias[x.shape[1] :])  # [D]
    return mixed


def _attend_in_parts(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    target: Tensor,
    scratch: Tensor,
    exact: Tensor | None,
) -> None:
    """Attend within one cell, some queries at a time.

    Parameters
    ----------
    query, key, value
        3 x ``[H, L, D/H]``.
    target
        ``[L, H, D/H]``: where the result goes.
    scratch
        Room for two times the scores.
    exact
        float32, room for the scores of a half type: its own softmax is slower for short cells.
    """
    n_heads, length, width = key.shape
    step, scale = _step(n_heads, length), width**-0.5
    for start in range(0, query.shape[1], step):
        part = query[:, start : start + step]  # [H, P, D/H]
        shape = (n_heads, part.shape[1], length)
        size = shape[0] * shape[1] * shape[2]
        scores, shares = (x[:size].view(shape) for x in scratch)  # 2 x [H, P, L]
        # beta=0: nothing is added; alpha scales within the product, at no cost.
        torch.baddbmm(
            scores, part, key.transpose(1, 2), beta=0, alpha=scale, out=scores
        )  # [H, P, L]
        if exact is None or length >= _LONG:
            torch.softmax(scores, dim=-1, out=shares)  # [H, P, L]
        else:
            rounded = exact[:size].view(shape)  # [H, P, L]
            torch.softmax(scores, dim=-1, dtype=torch.float32, out=rounded)
            shares.copy_(rounded)
        target[start : start + step] = torch.bmm(shares, value).transpose(0, 1)  # [P, H, D/H]


def _step(n_heads: int, length: int) -> int:
    """Count the queries of a cell that are computed at a time."""
    fitting = _SCORES // (n_heads * length)
    return length if fitting >= length else max(1, round(fitting / _ROWS)) * _ROWS


def attend_variable_length(
    query: Tensor, key: Tensor, value: Tensor, cells: Layout, n_heads: int
) -> Tensor:
    """As ``attend``, all cells at once as they lie, without padding."""
    attention, longest = varlen_attention(), max(cells.lengths)
    assert attention is not None and cells.bounds is not None  # noqa: PT018 - as way_for chose
    rows, one_each = cells.bounds
    whole = len(query) == len(key)
    q, k, v = (x.view(len(x), n_heads, -1) for x in (query, key, value))  # 3 x [rows, H, D/H]
    asking, most = (rows, longest) if whole else (one_each, 1)
    return attention(q, k, v, asking, rows, most, longest).reshape(len(query), -1)  # [Q, D]


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


def _heads(x: Tensor, n_heads: int, *, copied: bool) -> Tensor:
    heads = x.view(len(x), n_heads, -1).transpose(0, 1)  # [H, L, D/H]
    return heads.contiguous() if copied else heads  # [H, L, D/H]
