"""The fields of an alert that a caller gives, checked."""

from __future__ import annotations

from typing import Any

from ..core import schedule
from ..core.errors import invalid, not_found
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from ..identity.principals import find
from ..objects import folders
from . import destinations

FIELDS = (
    *("display_name", "query_text", "warehouse_id", "evaluation", "schedule"),
    *("custom_summary", "custom_description", "parameters", "parent_path", "run_as"),
    "run_as_user_name",
)
OPERATORS = {
    "EQUAL": "=",
    "NOT_EQUAL": "!=",
    "GREATER_THAN": ">",
    "GREATER_THAN_OR_EQUAL": ">=",
    "LESS_THAN": "<",
    "LESS_THAN_OR_EQUAL": "<=",
    "IS_NULL": "is null",
    "IS_NOT_NULL": "is not null",
}
AGGREGATIONS = ("AVG", "MAX")
STATES = ("OK", "TRIGGERED", "ERROR", "UNKNOWN")

_NEEDED = ("display_name", "query_text", "warehouse_id", "evaluation", "schedule")
_VALUES = ("double_value", "string_value", "bool_value")


def check(workspace: Workspace, caller: Principal, alert: Document) -> None:
    """Refuse an alert that could not be evaluated.

    Raises
    ------
    ApiError
        400 naming the field; 404 for a folder, destination or principal that does not exist.
    """
    for name in _NEEDED:
        if not alert.get(name):
            raise invalid(f"Missing required field: {name}")
    _check_evaluation(alert["evaluation"])
    _check_subscriptions(workspace, alert["evaluation"].get("notification") or {})
    schedule.check(alert["schedule"], "quartz_cron_schedule")
    _check_run_as(workspace, caller, alert)
    if alert.get("parent_path"):
        folders.require(workspace, alert["parent_path"])


def run_as(alert: Document, owner: str) -> str:
    """Return the name of the principal with whose permissions an alert runs its query."""
    given = alert.get("run_as") or {}
    name = given.get("user_name") or given.get("service_principal_name")
    return str(name or alert.get("run_as_user_name") or owner)


def _check_evaluation(evaluation: Document) -> None:
    operator = evaluation.get("comparison_operator")
    if operator not in OPERATORS:
        raise _not_one("evaluation.comparison_operator", operator, OPERATORS)
    _check_column("evaluation.source", evaluation.get("source"))
    empty = evaluation.get("empty_result_state", "OK")
    if empty not in STATES:
        raise _not_one("evaluation.empty_result_state", empty, STATES)
    threshold = evaluation.get("threshold") or {}
    if operator in ("IS_NULL", "IS_NOT_NULL"):
        return
    if len([kind for kind in ("column", "value") if threshold.get(kind)]) != 1:
        raise invalid(f"evaluation.threshold: {operator} needs exactly one of column and value.")
    if threshold.get("column"):
        _check_column("evaluation.threshold.column", threshold["column"])
    elif not isinstance(threshold["value"], dict) or len({*_VALUES} & {*threshold["value"]}) != 1:
        raise invalid(f"evaluation.threshold.value: exactly one of {', '.join(_VALUES)}.")


def _check_column(field: str, column: Any) -> None:
    if not isinstance(column, dict) or not column.get("name"):
        raise invalid(f"Missing required field: {field}.name")
    if column.get("aggregation", "MAX") not in AGGREGATIONS:
        raise _not_one(f"{field}.aggregation", column["aggregation"], AGGREGATIONS)


def _check_subscriptions(workspace: Workspace, notification: Document) -> None:
    for entry in notification.get("subscriptions") or []:
        if bool(entry.get("user_email")) == bool(entry.get("destination_id")):
            raise invalid(f"Subscription {entry}: exactly one of user_email and destination_id.")
        wanted = entry.get("destination_id")
        if wanted and destinations.find(workspace, wanted) is None:
            raise not_found(f"Notification destination {wanted} does not exist.")


def _check_run_as(workspace: Workspace, caller: Principal, alert: Document) -> None:
    """Anybody runs alerts as himself; as somebody else only admins let them run."""
    name = run_as(alert, caller.name)
    if find(workspace, name) is None:
        raise not_found(f"run_as: there is no user or service principal {name}.")
    if name.lower() != caller.name.lower() and not caller.is_admin:
        raise invalid(f"run_as: {caller.name} may not let an alert run as {name}.")


def _not_one(field: str, value: object, allowed: Any) -> Exception:
    return invalid(f"{field} {value!r} is not one of {', '.join(allowed)}.")
