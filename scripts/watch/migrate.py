"""``scgpt migrate-inference-table``: from a legacy inference table to the gateway's.

Nothing is dropped and nothing is copied: the legacy table stays as it is, and one view reads both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.settings import Settings

from ..deploy.facts import endpoint_of
from ..monitoring.statements import answer, rows, warehouse_of

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

LEGACY = {
    "databricks_request_id": "databricks_request_id",
    "client_request_id": "client_request_id",
    "request_date": "date",
    "request_time": "timestamp_millis(timestamp_ms)",
    "status_code": "status_code",
    "sampling_fraction": "sampling_fraction",
    "execution_duration_ms": "execution_time_ms",
    "request": "request",
    "response": "response",
    "served_entity_id": "CAST(NULL AS STRING)",
    "requester": "CAST(NULL AS STRING)",
}
"""Column of the gateway's table -> what a legacy table has in its place."""


@dataclass(frozen=True)
class Migration:
    """A migration, planned or done."""

    environment: str
    legacy: str | None
    """Full name of the legacy table; None where the endpoint has none."""
    gateway: str
    """Full name of the gateway's table."""
    steps: tuple[str, ...]
    """Steps to be done, or done; none if all was done before."""
    view: str | None
    """The view over both."""
    applied: bool


def migrate(client: WorkspaceClient, settings: Settings, *, dry_run: bool) -> Migration:
    """Switch an endpoint's gateway table on, and make one view over it and the legacy one.

    Parameters
    ----------
    dry_run
        Say what would be done; change nothing.

    Raises
    ------
    DeployError
        There is no endpoint, the environment logs no payloads, the gateway logs to another table,
        or the legacy table has not the columns of one.
    """
    names = settings.names
    table, view = names.inference_table, names.all_payloads
    if table is None or view is None:
        raise DeployError(
            f"{settings.environment} logs no payloads: give gateway.inference_table_prefix in its "
            "file, which names the new table"
        )
    endpoint = endpoint_of(client, names.endpoint)
    if endpoint is None:
        raise DeployError(f"there is no endpoint {names.endpoint} in {settings.environment}")
    legacy, gateway = legacy_table(endpoint), endpoint.get("ai_gateway") or {}
    on = gateway_table(gateway)
    if on is not None and on != table:
        raise DeployError(
            f"the gateway of {names.endpoint} logs to {on}, {settings.environment} says {table}: "
            "give that prefix in gateway.inference_table_prefix, or turn its table off first"
        )
    if legacy == table:
        raise DeployError(
            f"the legacy table is {legacy}, the name of the new one: give another "
            "gateway.inference_table_prefix"
        )
    steps = []
    if on is None:
        steps.append(f"switch the gateway's table {table} on")
    if legacy is not None:
        steps.append(f"make the view {view} over it and {legacy}")
        _check(client, settings, legacy)
    if not dry_run:
        if on is None:
            _switch_on(client, settings, gateway)
        if legacy is not None:
            rows(client, view_over(view, table, legacy), warehouse_of(client, settings))
    return Migration(
        settings.environment, legacy, table, tuple(steps), view if legacy else None, not dry_run
    )


def legacy_table(endpoint: dict[str, Any]) -> str | None:
    """Return the full name of an endpoint's legacy table, also of one that no longer fills."""
    found = (endpoint.get("config") or {}).get("auto_capture_config") or {}
    if not found.get("catalog_name") or not found.get("schema_name"):
        return None
    known = (found.get("state") or {}).get("payload_table") or {}
    prefix = found.get("table_name_prefix") or endpoint["name"]
    name = known.get("name") or f"{prefix}_payload"
    return f"{found['catalog_name']}.{found['schema_name']}.{name}".lower()


def gateway_table(gateway: dict[str, Any]) -> str | None:
    """Return the full name of the table that a gateway logs to; None where it does not."""
    found = gateway.get("inference_table_config") or {}
    if not found.get("enabled"):
        return None
    parts = (found.get(part) for part in ("catalog_name", "schema_name", "table_name_prefix"))
    return f"{'.'.join(map(str, parts))}_payload".lower()


def view_over(view: str, table: str, legacy: str) -> str:
    """Return the statement that makes the view; a request that both have is in it once."""
    new = ", ".join(LEGACY)
    old = ", ".join(f"{source} AS {name}" for name, source in LEGACY.items())
    return "\n".join(
        (
            f"CREATE OR REPLACE VIEW {quoted(view)} AS",
            f"SELECT {new}, 'gateway' AS logged_by FROM {quoted(table)}",  # noqa: S608
            f"UNION ALL SELECT {old}, 'legacy' AS logged_by FROM {quoted(legacy)}",  # noqa: S608
            "WHERE databricks_request_id NOT IN",
            f"(SELECT databricks_request_id FROM {quoted(table)})",  # noqa: S608
        )
    )


def _check(client: WorkspaceClient, settings: Settings, legacy: str) -> None:
    statement = f"SELECT * FROM {quoted(legacy)} LIMIT 0"  # noqa: S608 - a table's own name
    columns, _ = answer(client, statement, warehouse_of(client, settings))
    needed = ("databricks_request_id", "date", "timestamp_ms", "execution_time_ms", "status_code")
    if missing := [name for name in needed if name not in columns]:
        raise DeployError(
            f"{legacy} is no legacy inference table: it has no {', '.join(missing)}; it has "
            f"{', '.join(columns)}"
        )


def _switch_on(client: WorkspaceClient, settings: Settings, gateway: dict[str, Any]) -> None:
    """Send the whole gateway: the call replaces what it does not name."""
    names = settings.names
    table = {
        "enabled": True,
        "catalog_name": names.catalog,
        "schema_name": names.schema,
        "table_name_prefix": names.inference_table_prefix,
    }
    client.api_client.do(
        "PUT",
        f"/api/2.0/serving-endpoints/{names.endpoint}/ai-gateway",
        body={**gateway, "inference_table_config": table},
    )
