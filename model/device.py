"""Where to compute, and in what type."""

from __future__ import annotations

import torch

from model.errors import EngineError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens per batch that suit each kind of device."""


def device_for(wanted: str | None) -> torch.device:
    """The device that was asked for; CUDA where there is one and nothing was.

    Raises
    ------
    EngineError
        ``unknown_device``.
    """
    name = wanted or ("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in TOKEN_BUDGET:
        raise EngineError(
            "unknown_device", f"device is {wanted!r}; it must be {' or '.join(TOKEN_BUDGET)}."
        )
    return torch.device(name)


def dtype_for(device: torch.device, wanted: str | None) -> torch.dtype:
    """What to compute in; by default float32 on the CPU, and on CUDA bfloat16 where its cores have
    it (compute capability 8.0), float16 before.

    Raises
    ------
    EngineError
        ``unknown_precision``.
    """
    if wanted is not None and wanted not in _DTYPES:
        raise EngineError(
            "unknown_precision", f"precision is {wanted!r}; it must be {', '.join(_DTYPES)}."
        )
    if wanted is not None:
        return _DTYPES[wanted]
    if device.type == "cpu":
        return torch.float32
    capable = torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if capable else torch.float16
