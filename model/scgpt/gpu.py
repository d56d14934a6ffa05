"""Say why torch computes on no GPU, and end what cannot compute on any more.

Torch falls back to the processor without a word, at a hundredth of the speed and the same price. An
endpoint that was given a GPU refuses that: the variable ``SCGPT_EXPECTS_GPU`` is ``true`` there.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import torch

from ..errors import EngineError

EXPECTS_GPU = "SCGPT_EXPECTS_GPU"
_MODULE = Path("/proc/driver/nvidia/version")
_LIBRARY = "libcuda.so.1"
_FAILED = ("CUDA error", "cuDNN error", "CUBLAS_STATUS_")
_CODE = re.compile(r"(?:sm|compute)_(\d+)(\d)[a-z]?")


def is_expected() -> bool:
    """Return True where the process was given a GPU.

    Raises
    ------
    EngineError
        ``invalid_variable``: the variable is neither ``true`` nor ``false``.
    """
    said = os.environ.get(EXPECTS_GPU, "false")
    if said not in ("true", "false"):
        raise EngineError(
            "invalid_variable", f"{EXPECTS_GPU} is {said!r}; it must be true or false, or unset."
        )
    return said == "true"


def require(device: torch.device) -> None:
    """Refuse to compute on a processor, or on a GPU that torch has no code for.

    Raises
    ------
    EngineError
        ``no_gpu``, with the cause.
    """
    cause = why_none()
    if cause is None and device.type != "cuda":
        cause = f"there is one, but device is {device}"
    if cause is not None:
        raise EngineError(
            "no_gpu",
            f"a GPU is expected here ({EXPECTS_GPU} is true), and none can be used: {cause}. "
            "Nothing is computed on the processor instead.",
        )


def why_none() -> str | None:
    """Return why torch uses no GPU here, in words; None where it uses one."""
    ours = f"torch {torch.__version__}"
    if torch.version.cuda is None:
        return f"{ours} is built without CUDA: install a build with it"
    if torch.cuda.is_available() and torch.cuda.device_count():
        return _why_no_code(ours)
    ours += f", built for CUDA {torch.version.cuda}"
    driver = driver_cuda()
    if driver is None:
        return f"there is no NVIDIA driver here ({ours})"
    told = f"the NVIDIA driver {driver_version() or ''}".rstrip()
    if driver[0] < int(torch.version.cuda.partition(".")[0]):
        return (
            f"{told} has CUDA {driver[0]}.{driver[1]} and is too old for {ours}: "
            "serve with an older torch ([endpoint] torch)"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = "" if visible is None else f", CUDA_VISIBLE_DEVICES is {visible!r}"
    return f"{told} has CUDA {driver[0]}.{driver[1]}, but shows no device to {ours}{hidden}"


def _why_no_code(ours: str) -> str | None:
    major, minor = torch.cuda.get_device_capability()
    built = torch.cuda.get_arch_list()
    if any(_runs(code, major, minor) for code in built):
        return None
    return (
        f"{ours} has no code for {torch.cuda.get_device_name()} (compute capability "
        f"{major}.{minor}), only {', '.join(built)}: serve with another torch ([endpoint] torch)"
    )


def _runs(code: str, major: int, minor: int) -> bool:
    """Say if a GPU runs code: compiled for its major version, or as PTX for any before it."""
    found = _CODE.fullmatch(code)
    if found is None:
        return False
    built = (int(found[1]), int(found[2]))
    return built <= (major, minor) and (built[0] == major or code.startswith("compute"))


def driver_cuda() -> tuple[int, int] | None:
    """Return the version of CUDA that the driver has; None where there is no driver."""
    number = ctypes.c_int()
    try:
        failed = ctypes.CDLL(_LIBRARY).cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError):
        return None
    return None if failed or not number.value else divmod(number.value // 10, 100)


def driver_version() -> str | None:
    """Return the version of the driver itself, such as 535.161.08, where the system tells it."""
    try:
        found = re.search(r"Module\s+([\d.]+)", _MODULE.read_text())
    except OSError:
        return None
    return found[1] if found else None


def description(device: torch.device) -> str:
    """Describe a GPU in a few words; empty for a processor."""
    if device.type != "cuda":
        return ""
    major, minor = torch.cuda.get_device_capability(device)
    driver = f", driver {version}" if (version := driver_version()) else ""
    return f" ({torch.cuda.get_device_name(device)}, compute capability {major}.{minor}{driver})"


def has_failed(error: BaseException) -> bool:
    """Return True where an error is a GPU's: of a kernel, a library of NVIDIA's, the device."""
    kind: Any = getattr(torch, "AcceleratorError", ())  # since 2.8; a RuntimeError before
    return isinstance(error, kind) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _FAILED)
    )


def still_works(device: torch.device) -> bool:
    """Return True where a GPU adds up two numbers; after most failures its process cannot."""
    try:
        return float(torch.ones(2, device=device).sum()) == 2.0
    except RuntimeError:
        return False


def end_process() -> None:
    """End a process that cannot compute any more; the platform starts another one."""
    os._exit(70)  # other threads may hang in calls that never come back
