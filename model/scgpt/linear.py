"""Affine maps, and which matrix product computes them.

Torch hands float32 products on x86 to MKL, which is not at its best on AMD processors; there oneDNN
with weights laid out beforehand is faster, and takes the ReLU along. Which one is used follows from
the processor's family alone, never from a race on the spot: the same machine gives the same bits
every day. ``SCGPT_MATMUL=torch`` or ``onednn`` overrides it.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from ..errors import EngineError

Matmul = Literal["torch", "onednn"]
_VARIABLE = "SCGPT_MATMUL"
_CHOICES = ("torch", "onednn")
# Measured (docs/performance.md); families that are not listed keep torch's own choice.
_BY_FAMILY: dict[str, Matmul] = {"AuthenticAMD": "onednn"}
# oneDNN and torch's layer above it each keep 1,024 compiled products of up to 1 MiB, one per number
# of rows. Batches seldom repeat one: memory would creep up for hours. A batch needs ten of them.
for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # read at first use
    os.environ.setdefault(_cache, "32")
_ROWS_EXPECTED = 2048  # oneDNN picks a layout for this many rows; others work as well


@dataclass(frozen=True)
class Linear:
    """Affine map ``[T, I] -> [T, O]``: weight ``[O, I]``, bias ``[O]``."""

    weight: Tensor  # [O, I]
    bias: Tensor  # [O]
    matmul: Matmul

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        if self.matmul == "onednn":
            activation = "relu" if relu else "none"
            return cast(  # [T, O]
                Tensor,
                torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, activation, [], ""),
            )
        y = F.linear(x, self.weight, self.bias)  # [T, O]
        return y.relu_() if relu else y  # [T, O]

    @cached_property
    def _packed(self) -> Tensor:
        """The weight ``[O, I]`` in oneDNN's own layout; made at its first use."""
        packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), _ROWS_EXPECTED)
        return cast(Tensor, packed)


def matmul_for(device: torch.device, dtype: torch.dtype = torch.float32) -> Matmul:
    """Choose a device's product: by the processor's family, unless ``SCGPT_MATMUL`` says.

    Raises
    ------
    EngineError
        ``SCGPT_MATMUL`` is set to something else than ``torch`` or ``onednn``.
    """
    if device.type != "cpu" or not _onednn_has(dtype):
        return "torch"
    wanted = os.environ.get(_VARIABLE)
    if wanted is None:
        return _BY_FAMILY.get(processor_family(), "torch")
    if wanted not in _CHOICES:
        raise EngineError(
            "unknown_matmul", f"{_VARIABLE} is {wanted!r}; it must be torch or onednn, or unset."
        )
    return cast(Matmul, wanted)


def _onednn_has(dtype: torch.dtype) -> bool:
    """Return True when oneDNN computes in a type on this processor; float32 it always does."""
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())


@cache
def processor_family() -> str:
    """The vendor's name for its processors, such as ``AuthenticAMD``; the machine's otherwise."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    vendors = [line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")]
    return vendors[0] if vendors else platform.machine()
