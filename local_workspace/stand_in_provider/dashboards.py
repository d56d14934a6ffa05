"""The type ``databricks_dashboard``: a draft, published after each change."""

from __future__ import annotations

import hashlib

from .mapping import body, emptied, refreshed
from .plan import Plan, plan
from .resource import Resource, found, remove, undo
from .rest import ApiError, ProviderError, Session
from .schema import table
from .values import Values

DASHBOARD = table("""
    id: string optional computed local
    create_time dashboard_id etag lifecycle_state path update_time: string optional computed
    dashboard_change_detected: bool optional local
    display_name warehouse_id: string required
    embed_credentials: bool optional default=true local
    file_path: string optional local
    md5: string optional computed local
    parent_path: string required force_new path
    serialized_dashboard: string optional
""")

_DASHBOARDS = "/api/2.0/lakeview/dashboards"
_TRASHED = "TRASHED"


class Dashboard(Resource):
    """A dashboard. Whether its content changed on the server shows by its etag alone."""

    name = "dashboard"
    table = DASHBOARD

    def validate(self, config: Values) -> None:
        if config.get("file_path") is not None:
            raise ProviderError(
                "the stand-in provider supports serialized_dashboard, not file_path"
            )

    def plan(self, config: Values, prior: Values | None) -> Plan:
        content = config["serialized_dashboard"]
        unseen = prior and not prior["dashboard_change_detected"]
        if prior and unseen and isinstance(content, str) and _md5(content) == prior["md5"]:
            config = {**config, "serialized_dashboard": prior["serialized_dashboard"]}
        return plan(self.table, config, prior)

    def create(self, session: Session, planned: Values) -> str:
        content = body(self.table, planned)
        try:
            answer = session.call("POST", _DASHBOARDS, content)
        except ApiError as error:
            folder = planned["parent_path"]
            if str(error) != f"Path ({folder}) doesn't exist.":
                raise
            session.call("POST", "/api/2.0/workspace/mkdirs", {"path": folder})
            answer = session.call("POST", _DASHBOARDS, content)
        return str(answer["dashboard_id"])

    def settle(self, session: Session, planned: Values) -> None:
        """Publish; a dashboard that cannot be published is deleted."""
        path = f"{_DASHBOARDS}/{planned['id']}"
        content = {
            "embed_credentials": bool(planned["embed_credentials"]),
            "warehouse_id": planned["warehouse_id"],
        }
        try:
            session.call("POST", f"{path}/published", content)
        except ProviderError as error:
            raise undo(session, path, "The dashboard", error) from error

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, f"{_DASHBOARDS}/{state['id']}")
        if answer is None or answer.get("lifecycle_state") == _TRASHED:
            return None
        after = refreshed(self.table, answer, state, fresh=fresh)
        after["dashboard_change_detected"] = not fresh and answer.get("etag") != state["etag"]
        if fresh and state["serialized_dashboard"] is not None:
            after["md5"] = _md5(state["serialized_dashboard"])
        return after

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        answer = session.call("PATCH", f"{_DASHBOARDS}/{prior['id']}", body(self.table, planned))
        self.settle(session, planned)
        after = emptied(self.table, planned, prior)
        md5 = _md5(planned["serialized_dashboard"] or "")
        return {**after, "etag": answer.get("etag"), "md5": md5}

    def delete(self, session: Session, prior: Values) -> None:
        path = f"{_DASHBOARDS}/{prior['id']}"
        try:
            remove(session, "DELETE", path)
        except ApiError as error:
            # One that is in the trash already.
            trashed = (found(session, path) or {}).get("lifecycle_state") == _TRASHED
            if error.status != 403 or not trashed:
                raise


def _md5(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
