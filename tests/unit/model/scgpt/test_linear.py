"""The matrix products against each other, and how one is chosen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from scgpt_databricks.model.errors import EngineError
from scgpt_databricks.model.scgpt import linear
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.linear import Linear, matmul_for, processor_family

CPU = torch.device("cpu")


@pytest.mark.parametrize("rows", [1, 3, 250])
@pytest.mark.parametrize("relu", [False, True])
def test_every_product_gives_the_same(rows: int, relu: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator) for shape in ((rows, 64), (96, 64), (96,))
    )
    wanted = x.double() @ weight.double().T + bias.double()
    wanted = wanted.relu() if relu else wanted
    for matmul in ("torch", "onednn"):
        got = Linear(weight, bias, matmul)(x, relu=relu)
        torch.testing.assert_close(got.double(), wanted, atol=2e-5, rtol=0)


def test_the_family_of_the_processor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCGPT_MATMUL", raising=False)
    for family, product in (
        ("AuthenticAMD", "onednn"),
        ("GenuineIntel", "torch"),
        ("arm64", "torch"),
    ):
        monkeypatch.setattr(linear, "processor_family", lambda family=family: family)
        assert matmul_for(CPU) == product
    assert matmul_for(torch.device("cuda")) == "torch"
    assert processor_family()


def test_a_type_that_onednn_lacks_here_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCGPT_MATMUL", "onednn")
    monkeypatch.setattr(linear, "_onednn_has", lambda dtype: dtype == torch.float32)
    assert matmul_for(CPU, torch.float32) == "onednn"
    assert matmul_for(CPU, torch.float16) == "torch"


def test_the_choice_can_be_overridden_and_is_recorded(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for product in ("torch", "onednn"):
        monkeypatch.setenv("SCGPT_MATMUL", product)
        assert Embedder.load(checkpoint, device="cpu").network.matmul == product
    monkeypatch.setenv("SCGPT_MATMUL", "mkl")
    with pytest.raises(EngineError, match="must be torch or onednn"):
        matmul_for(CPU)


_MANY_SHAPES = """
import torch
from scgpt_databricks.model.scgpt.linear import Linear

def used():
    status = open("/proc/self/status").read()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024

layer = Linear(torch.ones(512, 512), torch.ones(512), "onednn")
layer(torch.ones(900, 512))
before = used()
for rows in range(100, 900, 2):
    layer(torch.ones(rows, 512))
print(used() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_batches_of_many_lengths_leave_no_memory_behind() -> None:
    """400 numbers of rows: 400 MiB where each product stays compiled."""
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", _MANY_SHAPES]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 150, "MiB"
