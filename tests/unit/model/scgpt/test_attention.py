"""The ways of attention against each other and against the formula.

Torch's attention of variable length has no CPU kernel: it is played, by what torch documents of it.
"""

from __future__ import annotations

import importlib
import inspect
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torch

from scgpt_databricks.model.scgpt import attention
from scgpt_databricks.model.scgpt.attention import Layout, Way, attend, attend_from_cls, way_for
from scgpt_databricks.model.scgpt.linear import Linear
from tests.unit.model.scgpt.varlen import varlen

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


@pytest.mark.parametrize(
    "lengths", [[7], [1, 1], [5, 5, 5], [9, 4, 1, 4], [300, 2], [513, 512, 40], [600]]
)
@pytest.mark.parametrize(
    ("way", "only_cls"),
    [(way, False) for way in get_args(Way)] + [("padded", True), ("variable length", True)],
)
def test_all_ways_are_the_formula(
    lengths: list[int], only_cls: bool, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "varlen_attention", lambda: varlen)
    query, key, value = _inputs(sum(lengths), len(lengths) if only_cls else sum(lengths))
    mixed = attend(query, key, value, Layout.of(lengths, CPU, way), HEADS)
    torch.testing.assert_close(mixed, _formula(query, key, value, lengths), atol=1e-6, rtol=0)


def _key_value(dtype: torch.dtype = torch.float32) -> Linear:
    generator = torch.Generator().manual_seed(5)
    weight, bias = (torch.randn(2 * WIDTH, n, generator=generator).to(dtype) for n in (WIDTH, 1))
    return Linear(weight, bias[:, 0], "torch")


@pytest.mark.parametrize("lengths", [[7], [1, 1], [9, 4, 1, 4], [300, 2], [600]])
def test_cls_asks_without_keys_and_values(lengths: list[int]) -> None:
    query, x, _ = _inputs(sum(lengths), len(lengths))
    mixed = attend_from_cls(query, x, _key_value(), Layout.of(lengths, CPU, "cell by cell"), HEADS)
    key, value = _key_value()(x).chunk(2, dim=-1)
    torch.testing.assert_close(mixed, _formula(query, key, value, lengths), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_company_never_changes_a_bit_of_a_cls(dtype: torch.dtype) -> None:
    lengths = [700, 300, 300, 249, 40, 1]
    query, x, _ = (x.to(dtype) for x in _inputs(sum(lengths), len(lengths)))
    asked = partial(attend_from_cls, key_value=_key_value(dtype), n_heads=HEADS)
    together, start = asked(query, x, cells=Layout.of(lengths, CPU, "cell by cell")), 0
    for cell, length in enumerate(lengths):
        one = Layout.of([length], CPU, "cell by cell")
        alone = asked(query[cell : cell + 1], x[start : start + length], cells=one)
        assert torch.equal(alone[0], together[cell])
        start += length


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lengths", [[9, 4, 1, 4], [300, 300, 249], [600, 30]])
def test_half_types_stay_near_the_formula(dtype: torch.dtype, lengths: list[int]) -> None:
    inputs = [x.to(dtype) for x in _inputs(sum(lengths), sum(lengths))]
    mixed = attend(*inputs, Layout.of(lengths, CPU, "cell by cell"), HEADS)
    wanted = _formula(*(x.float() for x in inputs), lengths)
    torch.testing.assert_close(mixed.float(), wanted, atol=2e-2, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_company_never_changes_a_bit(dtype: torch.dtype) -> None:
    lengths = [700, 300, 300, 249, 40, 1]
    inputs = [x.to(dtype) for x in _inputs(sum(lengths), sum(lengths))]
    together = attend(*inputs, Layout.of(lengths, CPU, "cell by cell"), HEADS)
    start = 0
    for length in lengths:
        rows = slice(start, start + length)
        cell = Layout.of([length], CPU, "cell by cell")
        alone = attend(*(x[rows] for x in inputs), cell, HEADS)
        assert torch.equal(alone, together[rows])
        start += length


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_cell_is_done_in_parts(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [100, 70]
    inputs = [x.to(dtype) for x in _inputs(170, 170)]
    cells = Layout.of(lengths, CPU, "cell by cell")
    whole = attend(*inputs, cells, HEADS)
    monkeypatch.setattr(attention, "_SCORES", 40 * HEADS * 100)
    assert attention._step(HEADS, 100) == 32
    parts = attend(*inputs, cells, HEADS)
    torch.testing.assert_close(parts, whole, atol=1e-6 if dtype == torch.float32 else 2e-2, rtol=0)


def test_cells_of_one_length_are_not_padded_and_others_to_a_multiple_of_eight() -> None:
    even, uneven = (Layout.of(x, CPU, "padded") for x in ([4, 4], [4, 3]))
    assert even.mask is None
    assert uneven.mask is not None
    assert uneven.mask.shape == (2, 8)
    assert uneven.first.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("device", "dtype", "head", "capability", "has_varlen", "way"),
    [
        ("cpu", torch.float32, 64, (0, 0), True, "cell by cell"),
        ("cpu", torch.bfloat16, 64, (0, 0), True, "cell by cell"),
        ("cuda", torch.bfloat16, 64, (8, 0), True, "variable length"),
        ("cuda", torch.float16, 16, (9, 0), True, "variable length"),
        ("cuda", torch.float16, 64, (7, 5), True, "padded"),
        ("cuda", torch.float32, 64, (9, 0), True, "padded"),
        ("cuda", torch.bfloat16, 64, (8, 6), False, "padded"),
        ("cuda", torch.bfloat16, 12, (8, 6), True, "padded"),
        ("cuda", torch.bfloat16, 264, (8, 6), True, "padded"),
    ],
)
def test_the_way_follows_a_rule(
    device: str,
    dtype: torch.dtype,
    head: int,
    capability: tuple[int, int],
    has_varlen: bool,
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(attention, "varlen_attention", lambda: varlen if has_varlen else None)
    assert way_for(torch.device(device), dtype, head) == way


def test_keys_of_a_cell_are_not_split_by_its_company(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def newer(*args: object, num_splits: int | None = None) -> None:
        asked.append({"num_splits": num_splits})

    for function, given in ((newer, [{"num_splits": 1}]), (lambda *args: None, [])):
        asked.clear()
        fake = SimpleNamespace(varlen_attn=function)
        monkeypatch.setattr(attention.importlib, "import_module", lambda name, fake=fake: fake)
        attention.varlen_attention.cache_clear()
        found = attention.varlen_attention()
        assert found is not None
        found(1, 2)
        assert asked == given
    attention.varlen_attention.cache_clear()


@pytest.mark.long  # the import alone takes seconds
def test_torchs_own_function_takes_what_it_is_given() -> None:
    attention.varlen_attention.cache_clear()
    here = (Path(torch.nn.attention.__file__).parent / "varlen.py").exists()
    assert (attention.varlen_attention() is not None) == here
    if here:
        function = importlib.import_module("torch.nn.attention.varlen").varlen_attn
        names = [*inspect.signature(function).parameters][:7]
        assert names == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]
