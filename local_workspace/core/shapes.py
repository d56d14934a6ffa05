"""The form of bodies: which fields are objects, lists or text, wherever they stand.

A name has the same form in every part of the API, so one table serves all handlers.
"""

from __future__ import annotations

from typing import Any

from .errors import invalid

_OBJECTS = frozenset(
    (
        *("config", "traffic_config", "environment_vars", "ai_gateway", "fallback_config"),
        *("inference_table_config", "usage_tracking_config", "email_notifications"),
        *("schedule", "run_as", "queue", "new_settings", "python_wheel_task", "spec"),
        *("evaluation", "threshold", "notification", "continuous", "new_cluster", "pypi"),
        *("email", "slack", "generic_webhook", "microsoft_teams", "pagerduty"),
    )
)
_ROWS = frozenset(
    (
        *("served_entities", "routes", "rate_limits", "add_tags", "access_control_list"),
        *("tasks", "environments", "job_clusters", "depends_on", "libraries"),
        *("subscriptions", "parts"),
    )
)
_LISTS = frozenset(
    ("addresses", "delete_tags", "dependencies", "fields_to_remove", "parameters", "add", "remove")
)
_TEXTS = frozenset(
    (
        *("name", "new_name", "key", "alias", "owner", "path", "principal", "scope", "comment"),
        *("description", "display_name", "query_text", "statement", "warehouse_id"),
        *("catalog_name", "schema_name", "entity_name", "user_name", "group_name"),
        *("service_principal_name", "permission_level", "task_key", "environment_key"),
        *("package_name", "entry_point", "comparison_operator", "parent_path", "session_token"),
    )
)
_FREE = frozenset(
    (
        *("environment_vars", "properties", "tags", "custom_tags"),
        *("named_parameters", "job_parameters", "spark_conf"),
    )
)
"""Objects whose keys are the caller's own."""


def checked(value: Any, name: str = "") -> Any:
    """Return a JSON value without its nulls, which count as left out.

    Raises
    ------
    ApiError
        400 naming a field of the wrong form.
    """
    if wanted := _wanted(value, name):
        raise invalid(f"{name} must be {wanted}, not {str(value)[:80]!r}.")
    if isinstance(value, dict):
        free = name in _FREE
        return {
            key: checked(below, "" if free else key)
            for key, below in value.items()
            if below is not None
        }
    return [checked(below) for below in value] if isinstance(value, list) else value


def _wanted(value: Any, name: str) -> str | None:
    """Return what a field must be when it is something else."""
    if name in _OBJECTS and not isinstance(value, dict):
        return "an object"
    if name in _TEXTS and not isinstance(value, str):
        return "text"
    if name in (_ROWS | _LISTS) and not isinstance(value, list):
        return "a list"
    if name in _ROWS and not all(isinstance(below, dict) for below in value):
        return "a list of objects"
    return None
