"""Releases of torch that an endpoint may serve with, and the machines on which they find the GPU.

The image installs torch from PyPI, whose build is for one version of CUDA. A driver that is too old
for that version leaves torch without a GPU, and it computes on the processor without a word. No API
tells the driver of an endpoint's machines, so the default is a build that old drivers carry too.
"""

from __future__ import annotations

from dataclasses import dataclass

from .sizes import WorkloadType

OLDEST = DEFAULT = "2.7.1"
"""The oldest release that the engine is tested with is the one that serves by default."""


@dataclass(frozen=True)
class Build:
    """A build of torch for x86 Linux on PyPI."""

    cuda: str
    driver: str
    """Least NVIDIA driver. Builds for one major version of CUDA share it."""
    capabilities: tuple[str, ...]
    """Compute capabilities that it has code for; a GPU takes code of its own major version."""


_CUDA_12 = "525.60.13"
_CUDA_13 = "580.65.06"
_WITH_VOLTA = ("7.0", "7.5", "8.0", "8.6", "9.0", "10.0", "12.0")
_FROM_TURING = _WITH_VOLTA[1:]
_OF_12_6 = Build("12.6", _CUDA_12, ("5.0", "6.0", "7.0", "7.5", "8.0", "8.6", "9.0"))
_OF_12_8 = Build("12.8", _CUDA_12, _WITH_VOLTA)
_OF_13_0 = Build("13.0", _CUDA_13, _FROM_TURING)
_OF_13_2 = Build("13.2", _CUDA_13, _FROM_TURING)

BUILDS: dict[str, Build] = {
    "2.7.1": _OF_12_6,
    **dict.fromkeys(("2.8.0", "2.9.0", "2.9.1", "2.10.0"), _OF_12_8),
    **dict.fromkeys(("2.11.0", "2.12.0", "2.12.1", "2.13.0", "2.14.0", "2.14.1"), _OF_13_0),
    "2.15.0": _OF_13_2,
}
"""Release -> its build on PyPI, the oldest first."""

GPUS: dict[WorkloadType, tuple[str, str]] = {
    "GPU_SMALL": ("T4", "7.5"),
    "GPU_MEDIUM": ("A10G", "8.6"),
    "MULTIGPU_MEDIUM": ("A10G", "8.6"),
    "GPU_MEDIUM_8": ("A10G", "8.6"),
    "GPU_LARGE": ("A100", "8.0"),
    "GPU_LARGE_2": ("A100", "8.0"),
}
"""Workload type -> its GPU and the compute capability."""


def check(release: str) -> str:
    """Return a release that an endpoint may serve with.

    Raises
    ------
    ValueError
        It is too old, or unknown.
    """
    if release in BUILDS:
        return release
    allowed = f"it must be one of {', '.join(BUILDS)}"
    if _older(release, OLDEST):
        raise ValueError(f"torch {release} is too old for the engine: {allowed}")
    raise ValueError(f"torch {release!r} is unknown: {allowed}, without a suffix such as +cu126")


def check_gpu(release: str, kind: WorkloadType) -> None:
    """Refuse a release whose build has no code for the GPU of a workload type.

    Raises
    ------
    ValueError
        Naming the GPU, the build, and releases that have code for it.
    """
    if kind not in GPUS or has_code(BUILDS[release], GPUS[kind][1]):
        return
    gpu, capability = GPUS[kind]
    able = [name for name, build in BUILDS.items() if has_code(build, capability)]
    raise ValueError(
        f"torch {release} is built for CUDA {BUILDS[release].cuda} and has no code for the {gpu} "
        f"of {kind} (compute capability {capability}): choose "
        f"{', '.join(able) or 'another workload type'}"
    )


def has_code(build: Build, capability: str) -> bool:
    """Say if a GPU runs a build: code for its major version, of its minor version or below."""
    major, minor = _numbers(capability)
    return any(
        built[0] == major and built[1] <= minor for built in map(_numbers, build.capabilities)
    )


def _older(release: str, than: str) -> bool:
    try:
        return _numbers(release) < _numbers(than)
    except ValueError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
