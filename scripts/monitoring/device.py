"""The device that a served entity computes on.

No field of the API has it, and an endpoint whose GPU is not found answers all the same, only
slowly. The engine logs its choices when it is loaded, and the workspace shows that log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

CPU = "CPU"
"""Begins the names of the workload types without a GPU."""

_CHOICES = re.compile(r"engine: (\w+(?::\d+)?), torch\.(\w+)")


@dataclass(frozen=True)
class Device:
    """What a served entity computes on."""

    name: str | None
    """``cpu``, ``cuda`` or ``cuda:N``; None where the log does not say."""
    precision: str | None
    is_fallback: bool
    """It was given a GPU and computes on its processor."""


def device(log: str, workload_type: str) -> Device:
    """Read the device from a service log; the line of the last start counts."""
    found = _CHOICES.findall(log)
    if not found:
        return Device(None, None, False)
    name, precision = found[-1]
    return Device(name, precision, name == "cpu" and not workload_type.startswith(CPU))


def service_log(client: WorkspaceClient, endpoint: str, entity: str) -> str:
    """Return the service log of a served entity; empty where there is none yet."""
    from databricks.sdk.errors import NotFound

    try:
        return client.serving_endpoints.logs(endpoint, entity).logs or ""
    except NotFound:  # a first deployment that still builds its image
        return ""


def workload_type(entity: dict[str, Any]) -> str:
    """Return the type of machine of a served entity, as the API describes it."""
    return str(entity.get("workload_type") or CPU)
