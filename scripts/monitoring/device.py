"""``scgpt-device``: the device that each served entity computes on. Runs as a job.

No field of the API has it, and an endpoint whose GPU is not found answers all the same, only
slowly. The engine logs its choices when it is loaded, and the workspace shows that log.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.monitoring.tables import create
from scgpt_databricks.infra.naming import beside

from .statements import rows

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

CPU = "CPU"
"""Begins the names of the workload types without a GPU."""

_CHOICES = re.compile(r"engine: (\w+(?::\d+)?), torch\.(\w+)(?:.*, torch ([\w.+]+))?")


@dataclass(frozen=True)
class Device:
    """The device that a served entity computes on."""

    name: str | None
    """``cpu``, ``cuda`` or ``cuda:N``; None where the log does not say."""
    precision: str | None
    torch: str | None
    """Its release of torch, such as 2.7.1+cu126; None where the version does not log it."""
    is_fallback: bool
    """It was given a GPU and computes on its processor."""


def device(log: str, workload_type: str) -> Device:
    """Read the device from a service log, or from a diagnostic answer; the last line counts."""
    found = _CHOICES.findall(log)
    if not found:
        return Device(None, None, None, False)
    name, precision, torch = found[-1]
    is_fallback = name == "cpu" and not workload_type.startswith(CPU)
    return Device(name, precision, torch or None, is_fallback)


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


@dataclass(frozen=True)
class Look:
    """A served entity and what it computes on."""

    served_entity: str
    version: int
    workload_type: str
    device: str | None
    precision: str | None
    is_fallback: bool


def look(client: WorkspaceClient, endpoint: str) -> list[Look]:
    """Return what the served entities of an endpoint compute on."""
    # The SDK's classes drop workload types that they do not know.
    answer = client.api_client.do("GET", f"/api/2.0/serving-endpoints/{quote(endpoint, safe='')}")
    assert isinstance(answer, dict)
    found = []
    for each in (answer.get("config") or {}).get("served_entities") or []:
        name, kind = str(each["name"]), workload_type(each)
        computes = device(service_log(client, endpoint, name), kind)
        found.append(
            Look(
                name,
                int(each.get("entity_version") or 0),
                kind,
                computes.name,
                computes.precision,
                computes.is_fallback,
            )
        )
    return found


def note(client: WorkspaceClient, looks: list[Look], *, table: str, warehouse: str) -> None:
    """Add what was seen to the table of statuses, which the alert reads."""
    target = beside(table, "status")
    rows(client, create("status", target), warehouse)
    if looks:
        values = ", ".join(
            f"(current_timestamp(), '{each.served_entity}', {each.version}, "
            f"'{each.workload_type}', {_text(each.device)}, {_text(each.precision)}, "
            f"{str(each.is_fallback).lower()})"
            for each in looks
        )
        statement = f"INSERT INTO {quoted(target)} VALUES {values}"  # noqa: S608 - names of our own
        rows(client, statement, warehouse)


def _text(value: str | None) -> str:
    return "NULL" if value is None else f"'{value}'"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the wheel; credentials come from where it runs."""
    parser = argparse.ArgumentParser(prog="scgpt-device", description=__doc__)
    parser.add_argument("--table", required=True, help="full name of the inference table")
    parser.add_argument("--warehouse", required=True, help="id of the SQL warehouse")
    parser.add_argument("--endpoint", required=True, help="name of the serving endpoint")
    given = parser.parse_args(arguments)
    from databricks.sdk import WorkspaceClient

    client = WorkspaceClient()
    looks = look(client, given.endpoint)
    note(client, looks, table=given.table, warehouse=given.warehouse)
    sys.stdout.write(json.dumps([asdict(each) for each in looks]) + "\n")


if __name__ == "__main__":
    main()
