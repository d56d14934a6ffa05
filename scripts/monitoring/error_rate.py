"""``scgpt-monitor``: how many requests failed lately, as one line of JSON. Runs as a job."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import query

from .statements import rows

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@dataclass(frozen=True)
class ErrorRate:
    """The inference table's figures of the last hours."""

    table: str
    hours: int
    requests: int
    failed: int
    """Requests that failed on the endpoint's side (status 500 and above)."""
    error_rate: float


def error_rate(client: WorkspaceClient, *, table: str, warehouse: str, hours: int) -> ErrorRate:
    """Ask the inference table.

    Parameters
    ----------
    table
        Full name of the inference table.
    warehouse
        Id of the SQL warehouse that is asked.

    Raises
    ------
    DeployError
        When the statement did not succeed; with the warehouse's own words.
    """
    try:
        (row,) = rows(client, query("error_rate", table=table, hours=hours), warehouse)
    except DeployError as error:
        raise DeployError(f"asking {table} failed: {error}") from error
    requests, failed, rate = map(float, row)
    return ErrorRate(table, hours, int(requests), int(failed), rate)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the wheel; credentials come from where it runs."""
    parser = argparse.ArgumentParser(prog="scgpt-monitor", description=__doc__)
    parser.add_argument("--table", required=True, help="full name of the inference table")
    parser.add_argument("--warehouse", required=True, help="id of the SQL warehouse")
    parser.add_argument("--hours", type=int, default=24, help="how far back (default 24)")
    given = parser.parse_args(arguments)
    from databricks.sdk import WorkspaceClient

    found = error_rate(
        WorkspaceClient(), table=given.table, warehouse=given.warehouse, hours=given.hours
    )
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
