"""The two ways of attention against each other and against the formula."""

from __future__ import annotations

import math

import pytest
import torch

from scgpt_databricks.model.scgpt import attention
from scgpt_databricks.model.scgpt.attention import Layout, attend_cell_by_cell, attend_padded

HEADS, WIDTH = 4, 32
CPU = torch.device("cpu")


def _inputs(tokens: int, queries: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    query, key, value = (
        torch.randn(n, WIDTH, generator=generator) for n in (queries, tokens, tokens)
    )
    return query, key, value


def _formula(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: list[int]
) -> torch.Tensor:
    """Head by head, cell by cell; one query a cell, or one a token."""
    out, start = torch.empty_like(query), 0
    for cell, length in enumerate(lengths):
        rows = slice(start, start + length)
        asking = rows if len(query) == len(key) else slice(cell, cell + 1)
        for head in torch.arange(WIDTH).chunk(HEADS):
            scores = query[asking][:, head] @ key[rows][:, head].T / math.sqrt(WIDTH / HEADS)
            shares = scores.softmax(-1)
            out[asking, head[0] : head[-1] + 1] = shares @ value[rows][:, head]
        start += length
    return out


@pytest.mark.parametrize("lengths", [[7], [1, 1], [5, 5, 5], [9, 4, 1, 4], [300, 2]])
@pytest.mark.parametrize("only_cls", [False, True])
@pytest.mark.parametrize("way", ["cell_by_cell", "padded"])
def test_both_ways_are_the_formula(lengths: list[int], only_cls: bool, way: str) -> None:
    query, key, value = _inputs(sum(lengths), len(lengths) if only_cls else sum(lengths))
    run = attend_padded if way == "padded" else attend_cell_by_cell
    mixed = run(query, key, value, Layout.of(lengths, CPU, pad=way == "padded"), HEADS)
    torch.testing.assert_close(mixed, _formula(query, key, value, lengths), atol=1e-6, rtol=0)


def test_a_long_cell_is_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [50, 20]
    query, key, value = _inputs(70, 70)
    cells = Layout.of(lengths, CPU, pad=False)
    whole = attend_cell_by_cell(query, key, value, cells, HEADS)
    monkeypatch.setattr(attention, "_SCORES", 7 * HEADS * 50)
    parts = attend_cell_by_cell(query, key, value, cells, HEADS)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)


def test_cells_of_one_length_are_not_padded() -> None:
    even, uneven = (Layout.of(x, CPU, pad=True) for x in ([4, 4], [4, 3]))
    assert even.mask is None
    assert uneven.mask is not None
    assert uneven.first.tolist() == [0, 4]
