"""``scgpt report``: what was asked of an endpoint, from its inference table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import REPORTS, Report, asked
from scgpt_databricks.infra.settings import Settings

from ..monitoring.statements import WarehouseError, answer, warehouse_of

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_SINCE = re.compile(r"([1-9]\d{0,3})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}
LONGEST_HOURS = 24 * 365
_SYSTEM = ("usage", "cost")


@dataclass(frozen=True)
class Section:
    """One table of the report."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    problem: str | None = None
    """Why there are no rows, where that is no fact about the requests."""

    def column(self, name: str) -> list[str | None]:
        """Return the values of one column."""
        return [row[self.columns.index(name)] for row in self.rows]


@dataclass(frozen=True)
class Found:
    """The report on one environment."""

    environment: str
    endpoint: str
    table: str
    since_hours: int
    at: datetime
    sections: tuple[Section, ...]

    def section(self, key: str) -> Section:
        """Return a table of the report by its key."""
        return next(each for each in self.sections if each.key == key)


def hours_of(since: str) -> int:
    """Read how far back a report looks: ``24h``, ``7d``, ``4w``.

    Raises
    ------
    ValueError
        It is nothing like that, or longer than a year.
    """
    found = _SINCE.fullmatch(since.strip())
    hours = int(found[1]) * _HOURS[found[2]] if found else 0
    if not 0 < hours <= LONGEST_HOURS:
        raise ValueError(
            f"{since!r}: give hours, days or weeks, such as 24h, 7d or 4w, up to a year"
        )
    return hours


def report(
    client: WorkspaceClient, settings: Settings, hours: int, say: Callable[[str], None]
) -> Found:
    """Ask the warehouse for every table of the report.

    A table that is not there yet, or that the caller may not read, is a section with the reason.

    Raises
    ------
    DeployError
        The environment logs no payloads, there is no warehouse, or the inference table cannot be
        read.
    """
    table = settings.names.inference_table
    if table is None:
        raise DeployError(
            f"{settings.environment} logs no payloads: give gateway.inference_table_prefix in its "
            "file and deploy"
        )
    warehouse = warehouse_of(client, settings)
    sections: list[Section] = []
    for each in REPORTS:
        say(each.title)
        found = _section(client, settings, each, hours, warehouse)
        if not sections and found.problem:  # without the inference table there is nothing to tell
            raise DeployError(found.problem)
        sections.append(found)
    at = datetime.now(UTC).replace(microsecond=0)
    name = settings.names.endpoint
    return Found(settings.environment, name, table, hours, at, tuple(sections))


def _section(
    client: WorkspaceClient, settings: Settings, each: Report, hours: int, warehouse: str
) -> Section:
    names = settings.names
    text = asked(each, table=str(names.inference_table), endpoint=names.endpoint, hours=hours)
    try:
        columns, rows = answer(client, text, warehouse)
    except WarehouseError:
        raise
    except DeployError as error:
        problem = explained(str(error), settings, each)
        return Section(each.key, each.title, (), (), problem)
    return Section(each.key, each.title, tuple(columns), tuple(map(tuple, rows)))


def explained(said: str, settings: Settings, each: Report) -> str:
    """Return what a warehouse said about a table, with what to do about it."""
    if each.key in _SYSTEM:
        return f"this workspace does not show the system tables that it needs: {said}"
    if "TABLE_OR_VIEW_NOT_FOUND" in said:
        comes = "it comes with the first request after a deploy"
        if each.needs:
            comes = f"`{each.needs} {settings.environment}` makes what it reads"
        return f"{comes}. The warehouse says: {said}"
    if "INSUFFICIENT_PERMISSIONS" in said:
        return (
            "you may not read it: ask for SELECT and USE SCHEMA on "
            f"{settings.names.full_schema}, or for an entry in payload_readers of "
            f"{settings.environment}. The warehouse says: {said}"
        )
    if "UNRESOLVED_COLUMN" in said or "BinderException" in said:
        return (
            f"{settings.names.inference_table} has not the columns of a gateway's inference table: "
            f"`scgpt migrate-inference-table {settings.environment}` for a legacy one. The "
            f"warehouse says: {said}"
        )
    return f"the warehouse says: {said}"
