"""``scgpt monitor init``: the tables that unpacking and drift fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring.tables import TABLES, create
from scgpt_databricks.infra.naming import beside
from scgpt_databricks.infra.settings import Settings

from ..connection import answering, workspace_client
from ..monitoring.statements import rows, warehouse_of

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@dataclass(frozen=True)
class Made:
    """The tables of an environment."""

    environment: str
    made: tuple[str, ...]
    """Those that were not there."""
    there: tuple[str, ...]
    profile: dict[str, str] | None
    """Ids for ``monitoring.profile``; None where the tables are not there yet."""


def logged_table(settings: Settings) -> str:
    """Return the inference table of an environment.

    Raises
    ------
    DeployError
        It logs no payloads.
    """
    table = settings.names.inference_table
    if table is None:
        raise DeployError(
            f"{settings.environment} logs no payloads, so there is nothing to watch: set "
            "gateway.inference_table_prefix and deploy"
        )
    return table


def init(settings: Settings, *, dry_run: bool = False) -> Made:
    """Make the tables that are not there.

    Raises
    ------
    DeployError
        The environment logs no payloads, has no schema or warehouse yet, or may make no table
        there.
    """
    logged = logged_table(settings)
    client = workspace_client(settings)
    names = {kind: beside(logged, kind) for kind in TABLES}
    with answering(settings):
        schema_id = _schema_id(client, settings)
        there = {
            kind: bool(client.tables.exists(name).table_exists) for kind, name in names.items()
        }
        lacking = [kind for kind, found in there.items() if not found]
        if lacking and not dry_run:
            warehouse = warehouse_of(client, settings)
            for kind in lacking:
                rows(client, create(kind, names[kind]), warehouse)
        profile = None if lacking and dry_run else _profile(client, settings, schema_id)
    known = tuple(name for kind, name in names.items() if there[kind])
    made = tuple(names[kind] for kind in lacking)
    return Made(settings.environment, made, known, profile)


def _schema_id(client: WorkspaceClient, settings: Settings) -> str:
    from databricks.sdk.errors import NotFound

    name = settings.names.full_schema
    try:
        return str(client.schemas.get(name).schema_id)
    except NotFound as error:
        raise DeployError(
            f"there is no schema {name} for the tables: `scgpt deploy {settings.environment}` "
            "comes first"
        ) from error


def _profile(client: WorkspaceClient, settings: Settings, schema_id: str) -> dict[str, str]:
    """Return what Databricks' own monitor is given: it knows ids, no names."""
    table = client.tables.get(str(settings.names.requests_table))
    return {"table_id": str(table.table_id), "schema_id": schema_id}
