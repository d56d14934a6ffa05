"""Warehouse, alerts, dashboard, queries and jobs as the API has them, in declared words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .difference import ABSENT, get_or_none

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.dashboards import Dashboard
    from databricks.sdk.service.dataquality import Monitor
    from databricks.sdk.service.jobs import BaseJob
    from databricks.sdk.service.settings import ListNotificationDestinationsResult
    from databricks.sdk.service.sql import AlertV2, EndpointInfo, ListQueryObjectsResponseQuery

Fields = dict[str, Any]

AS_DECLARED = "as declared"


def warehouse(found: EndpointInfo) -> Fields:
    """Size, costs and tags."""
    tags = (found.tags and found.tags.custom_tags) or []
    return {
        "cluster_size": found.cluster_size,
        "max_num_clusters": found.max_num_clusters,
        "auto_stop_mins": found.auto_stop_mins,
        "serverless": bool(found.enable_serverless_compute),
        "type": found.warehouse_type.value if found.warehouse_type else ABSENT,
        **{f"tags.{tag.key}": tag.value for tag in tags},
    }


def destination(client: WorkspaceClient, found: ListNotificationDestinationsResult) -> Fields:
    """Return who is told."""
    config = client.notification_destinations.get(str(found.id)).config
    return {"addresses": sorted((config and config.email and config.email.addresses) or [])}


def alert(found: AlertV2) -> Fields:
    """Describe when it fires, and what it then says to whom."""
    evaluation, schedule = found.evaluation, found.schedule
    value = evaluation.threshold.value if evaluation.threshold else None
    notification = evaluation.notification
    source, empty = evaluation.source, evaluation.empty_result_state
    return {
        "column": source.name,
        "aggregation": source.aggregation.value if source.aggregation else ABSENT,
        "operator": evaluation.comparison_operator.value,
        "threshold": ABSENT
        if value is None or value.double_value is None
        else float(value.double_value),
        "empty_result_state": empty.value if empty else ABSENT,
        "notify_on_ok": bool(notification and notification.notify_on_ok),
        "retrigger_seconds": (notification and notification.retrigger_seconds) or ABSENT,
        "subscriptions": [
            each.destination_id or each.user_email
            for each in (notification and notification.subscriptions) or []
        ],
        "summary": found.custom_summary or ABSENT,
        "description": found.custom_description or ABSENT,
        "query": found.query_text,
        "warehouse": found.warehouse_id,
        "folder": folder(found.parent_path),
        "schedule": schedule.quartz_cron_schedule,
        "timezone": schedule.timezone_id,
        "pause_status": schedule.pause_status.value if schedule.pause_status else "UNPAUSED",
    }


def query(client: WorkspaceClient, found: ListQueryObjectsResponseQuery) -> Fields:
    """Describe text, place and warehouse of a saved query; the list leaves its place out."""
    saved = client.queries.get(str(found.id))
    return {
        "query": saved.query_text,
        "warehouse": saved.warehouse_id,
        "folder": folder(saved.parent_path),
    }


def profile(found: Monitor) -> Fields:
    """Describe what the platform's own monitor adds up, over which time, for what."""
    config = found.data_profiling_config
    if config is None:
        return {}
    series = config.time_series
    return {
        "schema": config.output_schema_id,
        "warehouse": config.warehouse_id,
        "builtin_dashboard": not config.skip_builtin_dashboard,
        "slices": config.slicing_exprs or [],
        "time": series.timestamp_column if series else ABSENT,
        "granularities": [each.value for each in series.granularities] if series else [],
    }


def folder(path: str | None) -> str:
    """A folder of the workspace, in the shorter one of its two spellings."""
    return (path or ABSENT).removeprefix("/Workspace")


def dashboard(client: WorkspaceClient, content: Any, found: Dashboard) -> Fields:
    """Describe place, contents and warehouse of the published dashboard, which readers see."""
    identifier = str(found.dashboard_id)
    draft = client.lakeview.get(identifier)
    published = get_or_none(lambda: client.lakeview.get_published(identifier))
    where = next(_unlike(content, json.loads(draft.serialized_dashboard or "{}")), None)
    return {
        "warehouse": draft.warehouse_id,
        "folder": folder(draft.parent_path),
        "published_warehouse": published.warehouse_id if published else ABSENT,
        "embed_credentials": bool(published.embed_credentials) if published else ABSENT,
        "content": AS_DECLARED if where is None else f"another at {where}",
    }


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


def job(client: WorkspaceClient, found: BaseJob) -> Fields:
    """Describe what it runs, when, and who is told."""
    job = client.jobs.get(int(found.job_id or 0)).settings
    if job is None:
        return {}
    specs = [each.spec for each in job.environments or [] if each.spec]
    tasks = job.tasks or []
    wheels = [task.python_wheel_task for task in tasks if task.python_wheel_task]
    schedule, emails = job.schedule, job.email_notifications
    return {
        "tasks": _listed(task.task_key for task in tasks),
        "environment_keys": _listed(task.environment_key for task in tasks),
        "environments": _listed(each.environment_key for each in job.environments or []),
        "wheel": _listed(path for spec in specs for path in spec.dependencies or []),
        "environment_version": _listed(spec.environment_version for spec in specs),
        "package": _listed(task.package_name for task in wheels),
        "entry_point": _listed(task.entry_point for task in wheels),
        "parameters": [each for task in wheels for each in task.parameters or []],
        "schedule": schedule.quartz_cron_expression if schedule else ABSENT,
        "timezone": schedule.timezone_id if schedule else ABSENT,
        "pause_status": schedule.pause_status.value
        if schedule and schedule.pause_status
        else "UNPAUSED",
        "emails.on_failure": sorted((emails and emails.on_failure) or []),
        "queue": bool(job.queue and job.queue.enabled),
        "max_concurrent_runs": job.max_concurrent_runs,
        "timeout_seconds": job.timeout_seconds or ABSENT,
        "budget_policy_id": job.budget_policy_id or ABSENT,
        **{f"tags.{key}": value for key, value in (job.tags or {}).items()},
    }


def _listed(values: Iterable[str | None]) -> str:
    """One value as a rule, and nothing where there is none."""
    return ", ".join(value or ABSENT for value in values) or ABSENT
