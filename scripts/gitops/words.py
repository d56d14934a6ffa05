"""The changes of a plan in plain words, for users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scgpt_databricks.infra.plan import ENDPOINT, Change, Json, Plan, blocks

from .endpoint import sentences as endpoint_sentences
from .markdown import code, listing
from .plan_text import action

_KINDS = {
    "databricks_alert_v2": ("alert", "display_name"),
    "databricks_dashboard": ("dashboard", "display_name"),
    "databricks_grant": ("grant", "id"),
    "databricks_job": ("job", "name"),
    "databricks_mlflow_experiment": ("MLflow experiment", "name"),
    "databricks_model_serving": ("endpoint", "name"),
    "databricks_notification_destination": ("notification destination", "display_name"),
    "databricks_permissions": ("access list", "id"),
    "databricks_query": ("saved query", "display_name"),
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
# A request meets the endpoint first; then come the things that others lie in, then rights.
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
    "sql_query_id": "a saved query",
    "job_id": "a job",
}


def sentences(plans: Iterable[Plan]) -> list[str]:
    """Say in Markdown what plans change, the endpoint's changes first."""
    changes = [change for plan in plans for change in plan.changes]
    return [sentence for change in sorted(changes, key=_rank) for sentence in _of(change)]


def _rank(change: Change) -> int:
    kind = change.type.removeprefix("databricks_")
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _of(change: Change) -> Iterator[str]:
    if change.importing:
        yield f"{_name(change)} exists and is **taken over**: Terraform governs it from now on."
    if change.type == "databricks_grant":
        yield from _grant(change)
    elif change.type == "databricks_permissions":
        yield from _permissions(change)
    else:
        yield from _whole(change)
        if change.type == ENDPOINT and action(change) in ("create", "update"):
            yield from endpoint_sentences(change)


def _whole(change: Change) -> Iterator[str]:
    """Name what is created, deleted or replaced, and the fields that change."""
    name = _name(change)
    lost = _LOST.get(change.type)
    match action(change):
        case "create":
            yield f"{name} is created."
        case "delete":
            yield f"{name} is **deleted**{f', {lost}' if lost else ''}."
        case "replace":
            yield f"{name} is **deleted and made anew**{f', {lost}' if lost else ''}."
        case "update" if change.type != ENDPOINT:  # which says more about them
            yield f"{name} changes: {listing(code(field) for field in _fields(change))}."


def _name(change: Change) -> str:
    values = change.after or change.before
    kind, key = _KINDS.get(change.type, (change.type, "name"))
    return f"The {kind} {code(values.get(key) or change.address)}"


def _fields(change: Change) -> list[str]:
    # A block of which only a part is unknown has an entry too, which is not True.
    unknown = {key for key, value in change.unknown.items() if value is True}
    differing = {key for key in change.after if change.before.get(key) != change.after[key]}
    # Alone where it follows another resource, such as the id of a warehouse that is made anew.
    return sorted(differing - unknown or unknown)


def _grant(change: Change) -> Iterator[str]:
    values = change.after or change.before
    kind = next((kind for kind in _SECURABLES if values.get(kind)), "object")
    old, new = (set(side.get("privileges") or ()) for side in (change.before, change.after))
    on = f"on the {kind} {code(values.get(kind) or change.address)}"
    who = code(values.get("principal") or _SOMEBODY)
    if gained := sorted(new - old):
        yield f"{who} gets {listing(code(each) for each in gained)} {on}."
    if lost := sorted(old - new):
        yield f"{who} **loses** {listing(code(each) for each in lost)} {on}."


def _permissions(change: Change) -> Iterator[str]:
    old, new = _levels(change.before), _levels(change.after)
    # The id of an object that is still to be made is unknown.
    known = {**(change.after or change.before), **change.unknown}
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


def _levels(values: Json) -> dict[str, str]:
    named = ("group_name", "user_name", "service_principal_name")
    return {
        next((str(entry[key]) for key in named if entry.get(key)), _SOMEBODY): str(
            entry.get("permission_level")
        )
        for entry in blocks(values, "access_control")
    }
