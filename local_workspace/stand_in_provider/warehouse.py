"""The type ``databricks_sql_endpoint``: a SQL warehouse, and the waiting for its first start."""

from __future__ import annotations

from typing import Any, ClassVar

from .mapping import body, emptied
from .resource import Resource, remove, settled
from .rest import InterruptedByUserError, ProviderError, Session
from .schema import table
from .values import Values

SQL_ENDPOINT = table("""
    id: string optional computed local
    auto_stop_mins: number optional default=120 explicit
    cluster_size name: string required
    creator_name jdbc_url state: string computed
    data_source_id: string optional computed
    enable_photon: bool optional default=true explicit
    enable_serverless_compute: bool optional computed explicit
    health: records computed
        details message status summary: string
        failure_reason: records
            code type: string
            parameters: map
    instance_profile_arn: string optional
    max_num_clusters: number optional default=1
    min_num_clusters: number optional keep
    no_wait: bool optional local
    num_active_sessions num_clusters: number computed
    odbc_params: records computed
        hostname path protocol: string
        port: number
    spot_instance_policy: string optional default=COST_OPTIMIZED
    warehouse_type: string optional keep
    channel: object keep
        dbsql_version: string optional
        name: string optional default=CHANNEL_NAME_CURRENT
    tags: object keep
        custom_tags: objects
            key value: string required
    timeouts: timeouts
        create: string optional
""")

_WAREHOUSES = "/api/2.0/sql/warehouses"
_SENT = {*SQL_ENDPOINT.attributes, *SQL_ENDPOINT.blocks} - {
    *("data_source_id", "health", "jdbc_url", "num_active_sessions", "num_clusters"),
    *("odbc_params", "state"),
}


class SqlEndpoint(Resource):
    """A SQL warehouse. An update is not waited for."""

    name = "sql_endpoint"
    table = SQL_ENDPOINT
    collection = _WAREHOUSES
    default_limit_s: ClassVar[float] = 30 * 60.0

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", _WAREHOUSES, _content(planned))["id"])

    def settle(self, session: Session, planned: Values) -> None:
        """Wait; a warehouse that does not start is deleted, and stays in state as tainted."""
        if planned.get("no_wait"):
            return
        path = f"{_WAREHOUSES}/{planned['id']}"
        try:
            looks, failures = session.looks(session.limit_s), ("STOPPED", "DELETED")
            settled(lambda: session.call("GET", path).get("state"), looks, "RUNNING", failures)
        except InterruptedByUserError:
            raise
        except ProviderError:
            remove(session, "DELETE", path)
            raise

    def answer(self, session: Session, state: Values) -> Any:
        answer = super().answer(session, state)
        if answer is None:
            return None
        sources = session.call("GET", "/api/2.0/preview/sql/data_sources")
        ids = [each["id"] for each in sources if each["warehouse_id"] == state["id"]]
        if not ids:
            raise ProviderError(f"no data source found for endpoint {state['id']}")
        return {**answer, "data_source_id": ids[0]}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        session.call("POST", f"{_WAREHOUSES}/{prior['id']}/edit", _content(planned))
        return emptied(self.table, planned, prior)


def _content(planned: Values) -> Values:
    """Return what is sent; of a tag, blanks are left out."""
    content = body(SQL_ENDPOINT, planned, _SENT)
    for tag in content.get("tags", {}).get("custom_tags", []):
        for key in [key for key, value in tag.items() if value == ""]:
            del tag[key]
    return content
