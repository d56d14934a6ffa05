"""The type ``databricks_alert_v2``: a query on a schedule, and whom to tell."""

from __future__ import annotations

from typing import ClassVar

from . import framework
from .monitoring_tables import ALERT_V2
from .plan import Plan
from .resource import Resource, found, remove
from .rest import Session
from .values import Values

_ALERTS = "/api/2.0/alerts"
_UPDATED = (
    "custom_description,custom_summary,display_name,evaluation,parent_path,query_text,run_as,"
    "run_as_user_name,schedule,warehouse_id"
)
# What is configured, beside what the server makes of it.
_EFFECTIVE = ("notify_on_ok", "retrigger_seconds")


class AlertV2(Resource):
    """An alert. A value that the server adds on its own is an error, as with the real provider."""

    legacy: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("alert_v2", ALERT_V2)

    def plan(self, config: Values, prior: Values | None) -> Plan:
        return framework.plan(self.table, config, prior)

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", _ALERTS, framework.body(self.table, planned))["id"])

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, f"{_ALERTS}/{state['id']}")
        if answer is None:
            return None
        return _in_step(framework.answered(self.table, answer), state, changed=fresh)

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = {**framework.body(self.table, planned), "id": prior["id"]}
        path = f"{_ALERTS}/{prior['id']}?update_mask={_UPDATED}"
        answer = session.call("PATCH", path, content)
        return _in_step(framework.answered(self.table, answer), planned, changed=True)

    def delete(self, session: Session, prior: Values) -> None:
        remove(session, "DELETE", f"{_ALERTS}/{prior['id']}")


def _in_step(after: Values, known: Values, *, changed: bool) -> Values:
    """Keep what was configured apart from what the server says is in effect.

    After a change the answer is what is in effect. Later reads take a value as configured only
    where it differs from that.
    """
    ours = (known.get("evaluation") or {}).get("notification")
    theirs = (after["evaluation"] or {}).get("notification")
    if not ours or not theirs:
        return after
    for name in _EFFECTIVE:
        effective = f"effective_{name}"
        theirs[effective] = theirs[name] if changed else ours[effective]
        if theirs[effective] == theirs[name]:
            theirs[name] = ours[name]
    if theirs["subscriptions"] is None and ours["subscriptions"] == []:
        theirs["subscriptions"] = []
    return after
