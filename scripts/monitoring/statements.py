"""Ask a SQL warehouse."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from scgpt_databricks.infra.settings import Settings

_LONGEST_WAIT = "50s"
_UNFINISHED = ("PENDING", "RUNNING")
_POLL_SECONDS = 2.0
_PATIENCE_MINUTES = 20  # a classic warehouse may take ten to start


class WarehouseError(DeployError):
    """No statement can be asked at all."""


def rows(client: WorkspaceClient, statement: str, warehouse: str) -> list[list[str]]:
    """Return the rows of a statement's first chunk; values are text.

    Raises
    ------
    DeployError
        The statement did not succeed; with the warehouse's own words.
    """
    return answer(client, statement, warehouse)[1]


def answer(
    client: WorkspaceClient, statement: str, warehouse: str
) -> tuple[list[str], list[list[str]]]:
    """Return the names of a statement's columns, and its rows as :func:`rows` does.

    Raises
    ------
    WarehouseError
        There is no such warehouse, the caller may not use it, or it begins nothing: the statement
        is then cancelled.
    """
    from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied

    began = time.monotonic()
    try:
        found = client.statement_execution.execute_statement(
            statement, warehouse, wait_timeout=_LONGEST_WAIT
        )
    except NotFound as error:
        raise WarehouseError(
            f"{error} Name one that exists in monitoring.warehouse_id, or leave that out and "
            "deploy the monitoring stack"
        ) from error
    except PermissionDenied as error:
        raise WarehouseError(f"{error} Ask for CAN_USE on the SQL warehouse {warehouse}") from error
    while found.status and found.status.state and found.status.state.value in _UNFINISHED:
        waits = found.status.state.value == "PENDING"
        if waits and time.monotonic() - began > _PATIENCE_MINUTES * 60:
            with suppress(DatabricksError):
                client.statement_execution.cancel_execution(str(found.statement_id))
            raise WarehouseError(
                f"the SQL warehouse {warehouse} has not begun a statement in {_PATIENCE_MINUTES} "
                "minutes, so it was cancelled. Look whether it starts, or is full: `databricks "
                f"warehouses get {warehouse}`. Start it or let it grow, and ask again"
            )
        time.sleep(_POLL_SECONDS)
        found = client.statement_execution.get_statement(str(found.statement_id))
    if not (found.status and found.status.state and found.status.state.value == "SUCCEEDED"):
        said = found.status.error.message if found.status and found.status.error else found
        raise DeployError(str(said))
    schema = found.manifest.schema if found.manifest else None
    names = [str(column.name) for column in (schema.columns if schema else None) or []]
    return names, (found.result.data_array if found.result else None) or []


def warehouse_of(client: WorkspaceClient, settings: Settings) -> str:
    """Return the id of the environment's warehouse.

    Raises
    ------
    DeployError
        It was not deployed.
    """
    if settings.monitoring.warehouse_id:
        return settings.monitoring.warehouse_id
    name = settings.names.warehouse
    for each in client.warehouses.list():
        if each.name == name:
            return str(each.id)
    raise DeployError(
        f"there is no warehouse {name}: deploy the monitoring stack of {settings.environment}, or "
        "name one in monitoring.warehouse_id"
    )
