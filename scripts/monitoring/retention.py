"""``scgpt-retention``: delete rows that are older than the environment says. Runs as a job."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.naming import beside

from .statements import rows

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

KINDS = {
    "payload": "request_date",
    "requests": "request_date",
    "cells": "request_date",
    "detection": "request_date",
    "set_aside": "request_date",
    "status": "CAST(looked_at AS DATE)",
}
"""Kind of table -> the day by which a row is old. Looks at drift name nobody, and stay."""

_MISSING = "TABLE_OR_VIEW_NOT_FOUND"


def delete_old(
    client: WorkspaceClient, *, table: str, warehouse: str, days: int
) -> dict[str, int | None]:
    """Delete rows that are older than so many days.

    The tables made of payloads come first: a run that is stopped leaves no row of theirs whose
    request is gone.

    Returns
    -------
    dict
        Table -> rows that were deleted; None where there is no such table.

    Raises
    ------
    DeployError
        A table could not be changed; with the warehouse's own words and the privilege to ask for.
    """
    found: dict[str, int | None] = {}
    for kind in reversed(KINDS):
        name = beside(table, kind)
        is_old = f"{KINDS[kind]} < date_sub(current_date(), {days})"
        statement = f"DELETE FROM {quoted(name)} WHERE {is_old}"  # noqa: S608 - names of our own
        try:
            ((changed, *_),) = rows(client, statement, warehouse)
            found[name] = int(changed)
        except DeployError as error:
            if _MISSING not in str(error):
                raise DeployError(
                    f"rows of {name} could not be deleted: {error}. Whoever runs the job needs "
                    "MODIFY and SELECT on it"
                ) from error
            found[name] = None
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the wheel; credentials come from where it runs."""
    parser = argparse.ArgumentParser(prog="scgpt-retention", description=__doc__)
    parser.add_argument("--table", required=True, help="full name of the inference table")
    parser.add_argument("--warehouse", required=True, help="id of the SQL warehouse")
    parser.add_argument("--days", type=int, required=True, help="days that rows are kept")
    given = parser.parse_args(arguments)
    if given.days < 1:
        parser.error(f"--days is {given.days}: it must be 1 or more")
    from databricks.sdk import WorkspaceClient

    found = delete_old(
        WorkspaceClient(), table=given.table, warehouse=given.warehouse, days=given.days
    )
    sys.stdout.write(json.dumps({"days": given.days, "deleted": found}) + "\n")


if __name__ == "__main__":
    main()
