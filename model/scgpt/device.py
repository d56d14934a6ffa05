"""Choose the device to compute on, and the type."""

from __future__ import annotations

import re

import torch

from ..errors import EngineError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens per batch that suit each kind of device."""


def device_for(wanted: str | None) -> torch.device:
    """The device that was asked for; CUDA where there is one and nothing was.

    Raises
    ------
    EngineError
        ``unknown_device``, or ``no_such_device`` where torch does not see it.
    """
    name = wanted or ("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(name, str) or not re.fullmatch(r"(cpu|cuda)(:[0-9]{1,3})?", name):
        raise EngineError(
            "unknown_device", f"device is {wanted!r}; it must be cpu or cuda, or cuda:N."
        )
    kind, _, number = name.partition(":")
    there = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= there:
        raise EngineError(
            "no_such_device",
            f"device is {wanted!r}, but torch sees {there} CUDA device(s) here. Name another, or "
            "none: CUDA where there is some, else the CPU.",
        )
    return torch.device(kind, int(number)) if number and kind == "cuda" else torch.device(kind)


def dtype_for(device: torch.device, wanted: str | None) -> torch.dtype:
    """Return the type to compute in.

    By default that is float32 on the CPU. On CUDA it is bfloat16 where the cores have it (compute
    capability 8.0), else float16.

    Raises
    ------
    EngineError
        ``unknown_precision``.
    """
    if wanted is not None and (not isinstance(wanted, str) or wanted not in _DTYPES):
        raise EngineError(
            "unknown_precision", f"precision is {wanted!r}; it must be {', '.join(_DTYPES)}."
        )
    if wanted is not None:
        return _DTYPES[wanted]
    if device.type == "cpu":
        return torch.float32
    capable = torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if capable else torch.float16


def moved(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor of this machine on a device.

    The copy to a GPU goes through pinned memory, so that nothing waits for what the GPU computes.
    """
    if device.type == "cpu":
        return x
    return x.pin_memory().to(device, non_blocking=True)
