"""The type ``databricks_alert_v2``: a query on a schedule, and whom to tell."""

from __future__ import annotations

from typing import ClassVar

from . import framework
from .plan import Plan
from .resource import Resource, found
from .rest import Session
from .schema import table
from .values import Values

ALERT_V2 = table("""
    id: string computed stable
    create_time lifecycle_state owner_user_name update_time: string computed
    custom_description custom_summary parent_path run_as_user_name: string optional
    display_name query_text warehouse_id: string required
    effective_run_as: struct computed
        service_principal_name user_name: string optional
    evaluation: struct required
        comparison_operator: string required
        empty_result_state: string optional
        last_evaluated_at state: string computed
        notification: struct optional
            effective_notify_on_ok: bool computed
            effective_retrigger_seconds: number computed
            notify_on_ok: bool optional
            retrigger_seconds: number optional
            subscriptions: struct_set optional
                destination_id user_email: string optional
        source: struct required
            aggregation display: string optional
            name: string required
        threshold: struct optional
            column: struct optional
                aggregation display: string optional
                name: string required
            value: struct optional
                bool_value: bool optional
                double_value: number optional
                string_value: string optional
    run_as: struct optional
        service_principal_name user_name: string optional
    schedule: struct required
        pause_status: string optional
        quartz_cron_schedule timezone_id: string required
""")

_ALERTS = "/api/2.0/alerts"
_UPDATED = (
    "custom_description,custom_summary,display_name,evaluation,parent_path,query_text,run_as,"
    "run_as_user_name,schedule,warehouse_id"
)
# Settings that the server answers twice: as configured, and as in effect.
_EFFECTIVE = ("notify_on_ok", "retrigger_seconds")


class AlertV2(Resource):
    """An alert. A value that the server adds on its own is an error, as with the real provider."""

    name = "alert_v2"
    table = ALERT_V2
    collection = _ALERTS
    legacy: ClassVar[bool] = False

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
