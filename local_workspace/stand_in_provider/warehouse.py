"""The type ``databricks_sql_endpoint``: a SQL warehouse, and the waiting for its first start."""

from __future__ import annotations

from typing import ClassVar

from .mapping import body, emptied, refreshed
from .monitoring_tables import SQL_ENDPOINT
from .resource import Resource, found, remove
from .rest import InterruptedByUserError, ProviderError, Session
from .values import Values

_WAREHOUSES = "/api/2.0/sql/warehouses"
_SENT = {*SQL_ENDPOINT.attributes, *SQL_ENDPOINT.blocks} - {
    *("data_source_id", "health", "jdbc_url", "num_active_sessions", "num_clusters"),
    *("odbc_params", "state"),
}


class SqlEndpoint(Resource):
    """A SQL warehouse. An update is not waited for."""

    default_limit_s: ClassVar[float] = 30 * 60.0

    def __init__(self) -> None:
        super().__init__("sql_endpoint", SQL_ENDPOINT)

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", _WAREHOUSES, body(self.table, planned, _SENT))["id"])

    def settle(self, session: Session, planned: Values) -> None:
        """Wait; a warehouse that does not start is deleted, and stays in state as tainted."""
        if planned.get("no_wait"):
            return
        try:
            self._wait(session, planned["id"])
        except InterruptedByUserError:
            raise
        except ProviderError:
            remove(session, "DELETE", f"{_WAREHOUSES}/{planned['id']}")
            raise

    def _wait(self, session: Session, identifier: str) -> None:
        attempt = 0
        while True:
            attempt += 1
            state = session.call("GET", f"{_WAREHOUSES}/{identifier}").get("state")
            if state == "RUNNING":
                return
            if state in ("STOPPED", "DELETED"):
                raise ProviderError(f"failed to reach RUNNING, got {state}")
            if not session.poll(attempt, limit_s=session.limit_s):
                raise ProviderError(f"timed out: current status: {state}")

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, f"{_WAREHOUSES}/{state['id']}")
        if answer is None:
            return None
        sources = session.call("GET", "/api/2.0/preview/sql/data_sources")
        ids = [each["id"] for each in sources if each["warehouse_id"] == state["id"]]
        if not ids:
            raise ProviderError(f"no data source found for endpoint {state['id']}")
        return refreshed(self.table, {**answer, "data_source_id": ids[0]}, state, fresh=fresh)

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = body(self.table, planned, _SENT)
        session.call("POST", f"{_WAREHOUSES}/{prior['id']}/edit", content)
        return emptied(self.table, planned, prior)

    def delete(self, session: Session, prior: Values) -> None:
        remove(session, "DELETE", f"{_WAREHOUSES}/{prior['id']}")
