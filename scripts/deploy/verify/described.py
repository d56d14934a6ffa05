"""Objects of the watch in the words of a difference, for both sides of a comparison.

A document is what is declared, as the provider takes it, or what the API answers in that shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scgpt_databricks.infra.plan import Json

from .difference import ABSENT

Fields = dict[str, Any]

AS_DECLARED = "as declared"

_Table = Mapping[str, tuple[str, Any]]
"""Field of a difference -> its dotted path in a document, and its value when absent."""

_WAREHOUSE: _Table = {
    "cluster_size": ("cluster_size", ABSENT),
    "max_num_clusters": ("max_num_clusters", ABSENT),
    "auto_stop_mins": ("auto_stop_mins", ABSENT),
    "serverless": ("enable_serverless_compute", False),
    "type": ("warehouse_type", ABSENT),
}
_QUERY: _Table = {"query": ("query_text", ABSENT), "warehouse": ("warehouse_id", ABSENT)}
_ALERT: _Table = {
    "column": ("evaluation.source.name", ABSENT),
    "aggregation": ("evaluation.source.aggregation", ABSENT),
    "operator": ("evaluation.comparison_operator", ABSENT),
    "threshold": ("evaluation.threshold.value.double_value", ABSENT),
    "empty_result_state": ("evaluation.empty_result_state", ABSENT),
    "notify_on_ok": ("evaluation.notification.notify_on_ok", False),
    "summary": ("custom_summary", ABSENT),
    "description": ("custom_description", ABSENT),
    **_QUERY,
    "schedule": ("schedule.quartz_cron_schedule", ABSENT),
    "timezone": ("schedule.timezone_id", ABSENT),
    "pause_status": ("schedule.pause_status", "UNPAUSED"),
}
_DASHBOARD: _Table = {
    "warehouse": ("warehouse_id", ABSENT),
    "published_warehouse": ("published.warehouse_id", ABSENT),
    "embed_credentials": ("published.embed_credentials", ABSENT),
    "content": ("content", AS_DECLARED),
}
_JOB: _Table = {
    "schedule": ("schedule.quartz_cron_expression", ABSENT),
    "timezone": ("schedule.timezone_id", ABSENT),
    "pause_status": ("schedule.pause_status", "UNPAUSED"),
    "emails.on_failure": ("email_notifications.on_failure", []),
    "queue": ("queue.enabled", False),
    "max_concurrent_runs": ("max_concurrent_runs", ABSENT),
    "budget_policy_id": ("budget_policy_id", ABSENT),
}
_PROFILE: _Table = {
    "schema": ("output_schema_id", ABSENT),
    "warehouse": ("warehouse_id", ABSENT),
    "slices": ("slicing_exprs", []),
    "time": ("time_series.timestamp_column", ABSENT),
    "granularities": ("time_series.granularities", []),
}


def warehouse(document: Json) -> Fields:
    """Describe size, costs and tags; a tag that was blanked has no name."""
    tags = (document.get("tags") or {}).get("custom_tags") or []
    named = {f"tags.{tag.get('key', '')}": tag.get("value", "") for tag in tags}
    return {**_picked(document, _WAREHOUSE), **named}


def destination(document: Json) -> Fields:
    """Describe who is told."""
    return {"addresses": sorted(_at(document, "config.email.addresses") or [])}


def alert(document: Json) -> Fields:
    """Describe when it fires, and what it then says to whom."""
    told = _at(document, "evaluation.notification.subscriptions") or []
    return {
        **_picked(document, _ALERT),
        "retrigger_seconds": _at(document, "evaluation.notification.retrigger_seconds") or ABSENT,
        "subscriptions": sorted(
            str(each.get("destination_id") or each.get("user_email")) for each in told
        ),
        "folder": _folder(document),
    }


def query(document: Json) -> Fields:
    """Describe text, place and warehouse of a saved query."""
    return {**_picked(document, _QUERY), "folder": _folder(document)}


def profile(document: Json) -> Fields:
    """Describe what the platform's own monitor adds up, over which time, for what."""
    config = document.get("data_profiling_config") or {}
    shown = not config.get("skip_builtin_dashboard")
    return {**_picked(config, _PROFILE), "builtin_dashboard": shown}


def dashboard(document: Json) -> Fields:
    """Describe place, contents and warehouse of the published dashboard, which readers see."""
    return {**_picked(document, _DASHBOARD), "folder": _folder(document)}


def job(document: Json) -> Fields:
    """Describe what it runs, when, and who is told."""
    tasks, environments = document.get("task") or [], document.get("environment") or []
    specs = [each["spec"] for each in environments if each.get("spec")]
    wheels = [each["python_wheel_task"] for each in tasks if each.get("python_wheel_task")]
    return {
        "tasks": _listed(each.get("task_key") for each in tasks),
        "environment_keys": _listed(each.get("environment_key") for each in tasks),
        "environments": _listed(each.get("environment_key") for each in environments),
        "wheel": _listed(path for spec in specs for path in spec.get("dependencies") or []),
        "environment_version": _listed(spec.get("environment_version") for spec in specs),
        "package": _listed(each.get("package_name") for each in wheels),
        "entry_point": _listed(each.get("entry_point") for each in wheels),
        "parameters": [word for each in wheels for word in each.get("parameters") or []],
        **_picked(document, _JOB),
        "timeout_seconds": document.get("timeout_seconds") or ABSENT,  # 0 stands for none
        **{f"tags.{key}": value for key, value in (document.get("tags") or {}).items()},
    }


def unlike(declared: str, found: str) -> str:
    """Say where a dashboard is another than the declared one."""
    where = next(_unlike(json.loads(declared), json.loads(found)), None)
    return AS_DECLARED if where is None else f"another at {where}"


def _unlike(declared: Any, found: Any, at: str = "") -> Iterator[str]:
    """Find what a dashboard lacks of what is declared; additions of the platform are left alone."""
    if isinstance(declared, dict) and isinstance(found, dict):
        for key, value in declared.items():
            yield from _unlike(value, found.get(key), f"{at}.{key}".lstrip("."))
    elif isinstance(declared, list) and isinstance(found, list) and len(declared) == len(found):
        for index, (value, there) in enumerate(zip(declared, found, strict=True)):
            yield from _unlike(value, there, f"{at}.{index}")
    elif declared != found:
        yield at


def _picked(document: Json, table: _Table) -> Fields:
    found = {field: _at(document, path) for field, (path, _) in table.items()}
    return {
        field: default if found[field] in (None, "") else found[field]
        for field, (_, default) in table.items()
    }


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = (document or {}).get(part)
    return document


def _folder(document: Json) -> str:
    """Return the folder of an object, in the shorter one of its two spellings."""
    return (document.get("parent_path") or ABSENT).removeprefix("/Workspace")


def _listed(values: Iterable[str | None]) -> str:
    """Return one value as a rule, and nothing where there is none."""
    return ", ".join(value or ABSENT for value in values) or ABSENT
