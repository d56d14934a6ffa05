"""The type ``databricks_notification_destination``: an address that alerts and jobs write to."""

from __future__ import annotations

from typing import Any

from .mapping import body, emptied
from .resource import Resource
from .rest import Session
from .schema import table
from .values import Values

NOTIFICATION_DESTINATION = table("""
    id: string optional computed local
    destination_type: string optional computed
    display_name: string required
    config: object
        email: object force_new
            addresses: strings optional
        generic_webhook: object force_new
            password url username: string optional sensitive
            password_set url_set username_set: bool optional computed
        slack: object force_new
            channel_id oauth_token url: string optional sensitive
            channel_id_set oauth_token_set url_set: bool optional computed
""")

_DESTINATIONS = "/api/2.0/notification-destinations"
_SENT = {"display_name", "config"}


class NotificationDestination(Resource):
    """E-mail addresses, a webhook or a Slack channel."""

    name = "notification_destination"
    table = NOTIFICATION_DESTINATION
    collection = _DESTINATIONS

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", _DESTINATIONS, body(self.table, planned, _SENT))["id"])

    def answer(self, session: Session, state: Values) -> Any:
        answer = super().answer(session, state)
        if answer is None:
            return None
        held = (state.get("config") or [{}])[0]
        config = {
            kind: _with_secrets(content, (held.get(kind) or [{}])[0])
            for kind, content in (answer.get("config") or {}).items()
        }
        return {**answer, "config": config}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = body(self.table, planned, _SENT)
        session.call("PATCH", f"{_DESTINATIONS}/{prior['id']}", content)
        return emptied(self.table, planned, prior)


def _with_secrets(content: Values, held: Values) -> dict[str, Any]:
    """The server says only that a secret is set; what it is, the state knows."""
    flags = [name for name in content if name.endswith("_set") and content[name]]
    names = [flag.removesuffix("_set") for flag in flags]
    return {**content, **{name: held[name] for name in names if name in held}}
