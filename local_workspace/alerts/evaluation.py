"""Evaluating an alert: its query, the comparison, the new state, who hears of it."""

from __future__ import annotations

import logging
import operator
import statistics
from collections.abc import Callable
from typing import Any

import httpx

from ..catalog.access import admin
from ..core.errors import ApiError
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import WORKSPACE_ID, Workspace
from ..identity.principals import find
from ..objects import documents
from ..objects.documents import ALERT
from ..sql import statements, warehouses
from ..sql.errors import SqlError
from ..sql.execution import Result
from . import destinations, outbox
from . import spec as alert_spec

routes = Routes()

_log = logging.getLogger(__name__)
_HOOK_SECONDS = 10.0

Value = float | str | bool | None

_NUMBERS = ("INT", "LONG", "SHORT", "BYTE", "FLOAT", "DOUBLE", "DECIMAL")
_ROWS_SHOWN = 10

_AGGREGATIONS: dict[str, Callable[[list[Any]], Value]] = {"AVG": statistics.fmean, "MAX": max}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUAL": operator.eq,
    "NOT_EQUAL": operator.ne,
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
}


@routes.add("POST", "/_local/alerts/{id}/evaluate", rule=admin)
async def evaluate_now(call: Call) -> dict[str, Any]:
    """Evaluate an alert whatever its schedule says."""
    return await evaluate(call.workspace, call.path["id"])


async def evaluate(workspace: Workspace, alert_id: str) -> dict[str, Any]:
    """Evaluate an alert, store its state and notify its subscribers.

    Returns
    -------
    dict
        ``state``, the ``value`` that was compared, ``error`` where there was one, and ``notified``:
        the files in the outbox.

    Raises
    ------
    ApiError
        404 when there is no such alert.
    """
    outcome = await _outcome(workspace, documents.get(workspace, ALERT, alert_id))
    found, now = documents.get(workspace, ALERT, alert_id), workspace.now_ms()
    before, after = found["state"], outcome["state"]
    notification = found["alert"]["evaluation"].get("notification") or {}
    sent: list[str] = []
    if _is_due(notification, before, after, now - int(found.get("notified_at", 0))):
        sent = await _notify(workspace, found, outcome)
        found["notified_at"] = now
    found |= {"state": after, "evaluated_at": now}
    documents.put(workspace, ALERT, alert_id, found)
    return {**outcome, "notified": sent}


async def _outcome(workspace: Workspace, document: Document) -> dict[str, Any]:
    """Return the state and the value, whatever goes wrong."""
    alert = document["alert"]
    principal = find(workspace, alert_spec.run_as(alert, document["owner"]))
    if principal is None:
        return {"state": "ERROR", "value": None, "error": "Its principal does not exist any more."}
    try:
        warehouses.use(workspace, principal, alert["warehouse_id"])
        result = await statements.select(workspace, principal, alert["query_text"])
        state, value = _compare(alert["evaluation"], result)
    except (SqlError, ApiError) as error:
        return {"state": "ERROR", "value": None, "error": str(error)}
    return {"state": state, "value": value, "rows": result.rows[:_ROWS_SHOWN]}


def _compare(evaluation: Document, result: Result) -> tuple[str, Value]:
    """Return the new state and the value that decided; SqlError if they do not compare."""
    if not result.rows:
        return evaluation.get("empty_result_state") or "UNKNOWN", None
    value, compared = _value(evaluation["source"], result), evaluation["comparison_operator"]
    if compared in ("IS_NULL", "IS_NOT_NULL"):
        return _state((value is None) == (compared == "IS_NULL")), value
    threshold = _threshold(evaluation, result)
    if value is None or threshold is None:
        return "UNKNOWN", value
    if isinstance(value, str) != isinstance(threshold, str):
        value, threshold = str(value), str(threshold)
    return _state(_COMPARISONS[compared](value, threshold)), value


def _state(fulfilled: bool) -> str:
    return "TRIGGERED" if fulfilled else "OK"


def _threshold(evaluation: Document, result: Result) -> Value:
    threshold = evaluation["threshold"]
    if threshold.get("column"):
        return _value(threshold["column"], result)
    (value,) = threshold["value"].values()
    found: Value = value
    return found


def _value(operand: Document, result: Result) -> Value:
    """Return a column's value in the first row, or an aggregate over all rows."""
    names = [column["name"].lower() for column in result.columns]
    if operand["name"].lower() not in names:
        raise SqlError(
            f"The query returns no column {operand['name']!r}; it returns {', '.join(names)}."
        )
    index = names.index(operand["name"].lower())
    kind = result.columns[index]["type_name"]
    values = [_typed(row[index], kind) for row in result.rows]
    aggregation = operand.get("aggregation")
    if not aggregation:
        return values[0]
    present = [value for value in values if value is not None]
    if not present:
        return None
    try:
        return _AGGREGATIONS[aggregation](present)
    except TypeError as error:
        raise SqlError(f"{aggregation} of column {operand['name']!r}: {error}") from error


def _typed(text: str | None, kind: str) -> Value:
    if text is None:
        return None
    if kind == "BOOLEAN":
        return text == "true"
    return float(text) if kind in _NUMBERS else text


def _is_due(notification: Document, before: str, after: str, since_ms: int) -> bool:
    """Return whether this evaluation sends a message, `since_ms` after the last one."""
    if after == "TRIGGERED":
        again_s = notification.get("retrigger_seconds") or 0
        return before != "TRIGGERED" or (again_s > 0 and since_ms >= again_s * 1000)
    return after == "OK" and before == "TRIGGERED" and bool(notification.get("notify_on_ok"))


async def _notify(workspace: Workspace, document: Document, outcome: Document) -> list[str]:
    alert = document["alert"]
    words = _words(workspace, document, outcome)
    standard = 'Alert "{{ALERT_NAME}}" changed status to {{ALERT_STATUS}}'
    subject = _render(alert.get("custom_summary") or standard, words)
    text = _render(alert.get("custom_description") or standard, words)
    text += "\n\n" + _render(
        "Condition: {{ALERT_COLUMN}} {{ALERT_CONDITION}} {{ALERT_THRESHOLD}}\n"
        "Value: {{QUERY_RESULT_VALUE}}\nAlert: {{ALERT_URL}}\n",
        words,
    )
    payload = _payload(workspace, document, outcome, subject, text)
    notification = alert["evaluation"].get("notification") or {}
    sent = []
    for entry in notification.get("subscriptions") or []:
        if entry.get("user_email"):
            sent.append(outbox.send(workspace, [entry["user_email"]], subject, text))
            continue
        destination = destinations.find(workspace, entry["destination_id"])
        if destination is not None:
            sent.append(outbox.notify(workspace, destination, subject, text, payload))
            if url := destinations.hook(workspace, destination["id"]):
                await _post(url, payload)
    return sent


async def _post(url: str, payload: Document) -> None:
    """Call a webhook of this machine; one that does not answer keeps no alert from its state."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_HOOK_SECONDS) as client:
            (await client.post(url, json=payload)).raise_for_status()
    except httpx.HTTPError as error:
        _log.warning("webhook %s: %s", url, error)


def _words(workspace: Workspace, document: Document, outcome: Document) -> dict[str, str]:
    """Return the values of a template's variables."""
    alert = document["alert"]
    evaluation = alert["evaluation"]
    threshold = evaluation.get("threshold") or {}
    limit = threshold.get("column", {}).get("name") or next(
        iter(threshold.get("value", {}).values()), ""
    )
    rows = "\n".join("\t".join(str(value) for value in row) for row in outcome.get("rows", []))
    return {
        "ALERT_NAME": alert["display_name"],
        "ALERT_STATUS": outcome["state"],
        "ALERT_CONDITION": alert_spec.OPERATORS[evaluation["comparison_operator"]],
        "ALERT_THRESHOLD": str(limit),
        "ALERT_COLUMN": evaluation["source"].get("display") or evaluation["source"]["name"],
        "ALERT_URL": f"{workspace.url}/sql/alerts-v2/{document['id']}",
        "QUERY_RESULT_VALUE": str(outcome["value"]),
        "QUERY_RESULT_TABLE": rows,
    }


def _render(template: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def _payload(
    workspace: Workspace, document: Document, outcome: Document, subject: str, text: str
) -> dict[str, Any]:
    alert = document["alert"]
    return {
        "event": "alert_state_change",
        "url_base": f"{workspace.url}/sql?o={WORKSPACE_ID}",
        "alert": {
            "title": subject,
            "description": text,
            "state": outcome["state"],
            "alert": {
                "id": document["id"],
                "name": alert["display_name"],
                "owner": {"name": document["owner"]},
                "created_at": document["created_at"],
                "query_text": alert["query_text"],
                "warehouse_id": alert["warehouse_id"],
            },
        },
    }
