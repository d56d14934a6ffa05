"""The type ``databricks_notification_destination``: an address that alerts and jobs write to."""

from __future__ import annotations

from typing import Any

from .mapping import body, emptied, refreshed
from .monitoring_tables import NOTIFICATION_DESTINATION
from .resource import Resource, found, remove
from .rest import Session
from .values import Values

_DESTINATIONS = "/api/2.0/notification-destinations"
_SENT = {"display_name", "config"}


class NotificationDestination(Resource):
    """E-mail addresses, a webhook or a Slack channel."""

    def __init__(self) -> None:
        super().__init__("notification_destination", NOTIFICATION_DESTINATION)

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", _DESTINATIONS, body(self.table, planned, _SENT))["id"])

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, f"{_DESTINATIONS}/{state['id']}")
        if answer is None:
            return None
        held = (state.get("config") or [{}])[0]
        config = {
            kind: _with_secrets(content, (held.get(kind) or [{}])[0])
            for kind, content in (answer.get("config") or {}).items()
        }
        return refreshed(self.table, {**answer, "config": config}, state, fresh=fresh)

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = body(self.table, planned, _SENT)
        session.call("PATCH", f"{_DESTINATIONS}/{prior['id']}", content)
        return emptied(self.table, planned, prior)

    def delete(self, session: Session, prior: Values) -> None:
        remove(session, "DELETE", f"{_DESTINATIONS}/{prior['id']}")


def _with_secrets(content: Values, held: Values) -> dict[str, Any]:
    """The server says only that a secret is set; what it is, the state knows."""
    flags = [name for name in content if name.endswith("_set") and content[name]]
    names = [flag.removesuffix("_set") for flag in flags]
    return {**content, **{name: held[name] for name in names if name in held}}
