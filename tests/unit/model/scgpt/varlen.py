"""Torch's attention of variable length, which has no CPU kernel, by what torch documents of it."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor


def varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    asking: Tensor,
    rows: Tensor,
    most: int,
    longest: int,
) -> Tensor:
    """Attend within each stretch of rows; hold the arguments to the forms that torch takes."""
    assert query.shape[1:] == key.shape[1:] == value.shape[1:], "[rows, heads, width of a head]"
    assert asking.dtype == rows.dtype == torch.int32
    assert (int(asking.diff().max()), int(rows.diff().max())) == (most, longest)
    out = torch.empty_like(query)
    for (q0, q1), (k0, k1) in zip(pairwise(asking.tolist()), pairwise(rows.tolist()), strict=True):
        q, k, v = (x.transpose(0, 1) for x in (query[q0:q1], key[k0:k1], value[k0:k1]))
        out[q0:q1] = F.scaled_dot_product_attention(q, k, v).transpose(0, 1)
    return out
