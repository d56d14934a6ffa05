"""What a plan changes for users, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .endpoint import sentences as endpoint_sentences
from .markdown import code, listing
from .plan_text import Json, action, changed, imported

_KINDS = {
    "databricks_alert_v2": ("alert", "display_name"),
    "databricks_dashboard": ("dashboard", "display_name"),
    "databricks_grant": ("grant", "id"),
    "databricks_job": ("job", "name"),
    "databricks_mlflow_experiment": ("MLflow experiment", "name"),
    "databricks_model_serving": ("endpoint", "name"),
    "databricks_notification_destination": ("notification destination", "display_name"),
    "databricks_permissions": ("access list", "id"),
    "databricks_registered_model": ("registered model", "name"),
    "databricks_schema": ("schema", "name"),
    "databricks_sql_endpoint": ("SQL warehouse", "name"),
    "databricks_volume": ("volume", "name"),
}
_LOST = {
    "databricks_model_serving": "requests to it fail",
    "databricks_registered_model": "with all its versions",
    "databricks_schema": "with everything in it",
    "databricks_volume": "with the files in it",
}
# What a request meets comes first, then what things lie in, then who may do what with them.
_ORDER = ("model_serving", "permissions", "schema", "volume", "registered_model", "grant")
_SECURABLES = ("schema", "volume", "model")
_MAY = {
    "CAN_VIEW": "may see",
    "CAN_READ": "may read",
    "CAN_QUERY": "may ask",
    "CAN_EDIT": "may change",
    "CAN_MANAGE": "may manage",
    "IS_OWNER": "owns",
}
_SOMEBODY = "somebody who is known after the deploy"
_LISTED = {
    "serving_endpoint_id": "the endpoint",
    "experiment_id": "the MLflow experiment",
    "sql_endpoint_id": "the SQL warehouse",
    "alert_v2_id": "an alert",
    "dashboard_id": "the dashboard",
    "job_id": "a job",
}


def sentences(documents: Mapping[str, Json]) -> list[str]:
    """One sentence or more per change, the endpoint's first; Markdown.

    Parameters
    ----------
    documents
        Stack -> plan as JSON.
    """
    entries = [entry for document in documents.values() for entry in changed(document)]
    return [sentence for entry in sorted(entries, key=_rank) for sentence in _of(entry)]


def _rank(entry: Json) -> int:
    kind = entry["type"].removeprefix("databricks_")
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _of(entry: Json) -> Iterator[str]:
    kind = entry["type"]
    if imported(entry):
        yield f"{_name(entry)} exists and is **taken over**: Terraform governs it from now on."
    if kind == "databricks_grant":
        yield from _grant(entry)
    elif kind == "databricks_permissions":
        yield from _permissions(entry)
    else:
        yield from _whole(entry)
        if kind == "databricks_model_serving" and action(entry) in ("create", "update"):
            yield from endpoint_sentences(entry)


def _whole(entry: Json) -> Iterator[str]:
    """Created, deleted, replaced; which fields change, where nobody says more about them."""
    name = _name(entry)
    lost = _LOST.get(entry["type"])
    match action(entry):
        case "create":
            yield f"{name} is created."
        case "delete":
            yield f"{name} is **deleted**{f', {lost}' if lost else ''}."
        case "replace":
            yield f"{name} is **deleted and made anew**{f', {lost}' if lost else ''}."
        case "update" if entry["type"] != "databricks_model_serving":
            yield f"{name} changes: {listing(code(field) for field in _fields(entry))}."


def _name(entry: Json) -> str:
    values = entry["change"]["after"] or entry["change"]["before"]
    kind, key = _KINDS.get(entry["type"], (entry["type"], "name"))
    return f"The {kind} {code(values.get(key) or entry['address'])}"


def _fields(entry: Json) -> list[str]:
    before, after = entry["change"]["before"], entry["change"]["after"]
    # A block of which only a part is unknown has an entry too, which is not True.
    unknown = {
        key for key, value in (entry["change"].get("after_unknown") or {}).items() if value is True
    }
    differing = {field for field in after if before.get(field) != after[field]}
    # Alone where it follows another resource, such as the id of a warehouse that is made anew.
    return sorted(differing - unknown or unknown)


def _grant(entry: Json) -> Iterator[str]:
    before, after = entry["change"]["before"] or {}, entry["change"]["after"] or {}
    values = after or before
    kind = next((kind for kind in _SECURABLES if values.get(kind)), "object")
    old, new = set(before.get("privileges") or ()), set(after.get("privileges") or ())
    on = f"on the {kind} {code(values.get(kind) or entry['address'])}"
    who = code(values.get("principal") or _SOMEBODY)
    if gained := sorted(new - old):
        yield f"{who} gets {listing(code(each) for each in gained)} {on}."
    if lost := sorted(old - new):
        yield f"{who} **loses** {listing(code(each) for each in lost)} {on}."


def _permissions(entry: Json) -> Iterator[str]:
    old, new = _levels(entry["change"]["before"]), _levels(entry["change"]["after"])
    values = entry["change"]["after"] or entry["change"]["before"]
    # Of an object that is still to be made, the id is unknown.
    known = {**values, **(entry["change"].get("after_unknown") or {})}
    what = next((title for field, title in _LISTED.items() if known.get(field)), "it")
    for who in sorted(old.keys() | new.keys()):
        level, before = new.get(who), old.get(who)
        if level == before:
            continue
        if level is None:
            yield f"{code(who)} **may no longer use** {what} (had {code(before)})."
        else:
            instead = f" instead of {code(before)}" if before else ""
            may = _MAY.get(level, "has a right on")
            yield f"{code(who)} {may} {what} ({code(level)}{instead})."


def _levels(values: Json | None) -> dict[str, str]:
    entries: list[dict[str, Any]] = (values or {}).get("access_control") or []
    named = ("group_name", "user_name", "service_principal_name")
    return {
        next((str(entry[key]) for key in named if entry.get(key)), _SOMEBODY): str(
            entry.get("permission_level")
        )
        for entry in entries
    }
