"""Machines for an endpoint: GPU types by cloud, and T-shirt sizes that mean the like everywhere.

The platform's names of GPU types differ by cloud; one that a cloud lacks is refused at creation,
after the image was built. The network runs on one GPU: sizes above ``medium`` buy memory for large
requests and more replicas per node, not a faster answer.
"""

from __future__ import annotations

from typing import Literal, get_args

Cloud = Literal["aws", "azure", "gcp"]
Size = Literal["cpu", "small", "medium", "large", "xlarge"]
WorkloadType = Literal[
    "CPU", "GPU_SMALL", "GPU_MEDIUM", "GPU_LARGE",
    "GPU_MEDIUM_8", "GPU_LARGE_2", "MULTIGPU_MEDIUM",
]  # fmt: skip

TYPES: dict[Cloud, tuple[WorkloadType, ...]] = {
    # T4; A10G; four and eight A10G.
    "aws": ("CPU", "GPU_SMALL", "GPU_MEDIUM", "MULTIGPU_MEDIUM", "GPU_MEDIUM_8"),
    # T4; one and two A100 80 GB.
    "azure": ("CPU", "GPU_SMALL", "GPU_LARGE", "GPU_LARGE_2"),
    "gcp": ("CPU", "GPU_MEDIUM"),
}
"""Workload types that each cloud has."""

_SIZES: dict[Cloud, dict[Size, WorkloadType]] = {
    "aws": {
        "cpu": "CPU",
        "small": "GPU_SMALL",
        "medium": "GPU_MEDIUM",
        "large": "MULTIGPU_MEDIUM",
        "xlarge": "GPU_MEDIUM_8",
    },
    "azure": {
        "cpu": "CPU",
        "small": "GPU_SMALL",
        "medium": "GPU_LARGE",
        "large": "GPU_LARGE",
        "xlarge": "GPU_LARGE_2",
    },
    "gcp": {
        "cpu": "CPU",
        "small": "GPU_MEDIUM",
        "medium": "GPU_MEDIUM",
        "large": "GPU_MEDIUM",
    },
}

_DOMAINS: dict[str, Cloud] = {
    # The longer ones first: Google's domain ends like Amazon's.
    ".gcp.databricks.com": "gcp",
    ".azuredatabricks.net": "azure",
    ".databricks.azure.us": "azure",
    ".databricks.azure.cn": "azure",
    ".databricks.com": "aws",
    ".databricks.us": "aws",
    ".databricks.mil": "aws",
}


def workload_type(size: Size, cloud: Cloud) -> WorkloadType:
    """The workload type behind a T-shirt size.

    Raises
    ------
    ValueError
        When the cloud has nothing of that size.
    """
    found = _SIZES[cloud].get(size)
    if found is None:
        raise ValueError(f"{cloud} has no size {size!r}; it has {', '.join(_SIZES[cloud])}")
    return found


def cloud_of(host: str) -> Cloud | None:
    """The cloud that a workspace's address belongs to; None where it does not say."""
    name = host.rpartition("//")[2].partition("/")[0]
    return next((cloud for domain, cloud in _DOMAINS.items() if name.endswith(domain)), None)


CLOUDS: tuple[Cloud, ...] = get_args(Cloud)
