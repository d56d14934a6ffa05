"""Ask a SQL warehouse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from scgpt_databricks.infra.settings import Settings

_LONGEST_WAIT = "50s"
_UNFINISHED = ("PENDING", "RUNNING")
_POLL_SECONDS = 2.0


def rows(client: WorkspaceClient, statement: str, warehouse: str) -> list[list[str]]:
    """Return the rows of a statement's first chunk; values are text.

    Raises
    ------
    DeployError
        The statement did not succeed; with the warehouse's own words.
    """
    answer = client.statement_execution.execute_statement(
        statement, warehouse, wait_timeout=_LONGEST_WAIT
    )
    while answer.status and answer.status.state and answer.status.state.value in _UNFINISHED:
        time.sleep(_POLL_SECONDS)
        answer = client.statement_execution.get_statement(str(answer.statement_id))
    if answer.result is None:
        said = answer.status.error.message if answer.status and answer.status.error else answer
        raise DeployError(str(said))
    return answer.result.data_array or []


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
