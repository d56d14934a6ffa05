"""Warehouse, alerts, dashboard, queries and jobs against the API: that each is there once, and what
it does, whom it tells, what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra import monitoring
from scgpt_databricks.infra.monitoring import lakeview
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.settings.access import WorkspaceObject
from scgpt_databricks.infra.wheel import wheel

from ..facts import live_alerts
from . import described
from .difference import ABSENT, Difference, compare, get_or_none, level_differences, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from .described import Fields


_LISTS: dict[WorkspaceObject, tuple[str, str]] = {
    "warehouse": ("warehouses", "id"),
    "alert": ("alertsv2", "id"),
    "dashboard": ("dashboards", "dashboard_id"),
    "query": ("queries", "id"),
    "job": ("jobs", "job_id"),
}
"""Kind of object -> its collection in the permissions API, and the field that is its id."""


def monitoring_differences(client: WorkspaceClient, settings: Settings) -> list[Difference]:
    """Return the differences of the monitoring stack; none where it is turned off."""
    watch, table = settings.monitoring, settings.names.inference_table
    if not watch.enabled or table is None:
        return []
    found: list[Difference] = []
    warehouse = watch.warehouse_id
    if warehouse is None:
        wrong, warehouse = _warehouse_differences(client, settings)
        found += wrong
    told: list[str] = []
    if watch.emails:
        wrong, told = _destination_differences(client, settings)
        found += wrong
    told = sorted([*told, *watch.destinations])
    found += _alerts_differences(client, settings, table, warehouse, told)
    found += _dashboard_differences(client, settings, table, warehouse)
    found += _queries_differences(client, settings, table, warehouse)
    found += _jobs_differences(client, settings, table, warehouse)
    found += _profile_differences(client, settings, warehouse)
    return found + list(_wheel(client, settings))


def _warehouse_differences(
    client: WorkspaceClient, settings: Settings
) -> tuple[list[Difference], str | None]:
    """Return the differences of the stack's own warehouse, and its id where it is there."""
    name = settings.names.warehouse
    same = [each for each in client.warehouses.list() if each.name == name]
    found = _once(
        f"warehouse {name}",
        _warehouse(settings),
        same,
        described.warehouse,
        partial(_listed, client, settings, "warehouse"),
    )
    return list(found), str(same[0].id) if same else None


def _destination_differences(
    client: WorkspaceClient, settings: Settings
) -> tuple[list[Difference], list[str]]:
    """Return the differences of the alerts' destination, and the ids that they tell."""
    name = settings.names.watched("alerts")
    same = [each for each in client.notification_destinations.list() if _titled(each, name)]
    found = _once(
        f"notification destination {name}",
        {"addresses": sorted(settings.monitoring.emails)},
        same,
        partial(described.destination, client),
    )
    return list(found), [str(each.id) for each in same[:1]]


def _alerts_differences(
    client: WorkspaceClient,
    settings: Settings,
    table: str,
    warehouse: str | None,
    told: list[str],
) -> Iterator[Difference]:
    alerts = live_alerts(client)
    for alert in monitoring.ALERTS:
        name = settings.names.watched(alert.title)
        yield from _once(
            f"alert {name}",
            {
                **_alert(settings, alert, table),
                "summary": name,
                "subscriptions": told,
                "warehouse": warehouse,
            },
            [each for each in alerts if each.display_name == name],
            described.alert,
            partial(_listed, client, settings, "alert"),
        )


def _dashboard_differences(
    client: WorkspaceClient, settings: Settings, table: str, warehouse: str | None
) -> Iterator[Difference]:
    name = settings.names.watched("requests")
    given = settings.monitoring.warehouse_id
    content = json.loads(
        lakeview.serialized(monitoring.TILES, title=name, table=table, warehouse=given)
    )
    return _once(
        f"dashboard {name}",
        {
            "warehouse": warehouse,
            "folder": described.folder(settings.names.workspace_folder),
            "published_warehouse": warehouse,
            "embed_credentials": True,
            "content": described.AS_DECLARED,
        },
        [each for each in client.lakeview.list() if _titled(each, name)],
        partial(described.dashboard, client, content),
        partial(_listed, client, settings, "dashboard"),
    )


def _queries_differences(
    client: WorkspaceClient, settings: Settings, table: str, warehouse: str | None
) -> Iterator[Difference]:
    names, queries = settings.names, list(client.queries.list())
    for report in monitoring.REPORTS:
        name = names.watched(report.title)
        yield from _once(
            f"query {name}",
            {
                "query": monitoring.asked(report, table=table, endpoint=names.endpoint),
                "warehouse": warehouse,
                "folder": described.folder(names.workspace_folder),
            },
            [each for each in queries if _titled(each, name)],
            partial(described.query, client),
            partial(_listed, client, settings, "query"),
        )


def _jobs_differences(
    client: WorkspaceClient, settings: Settings, table: str, warehouse: str | None
) -> Iterator[Difference]:
    for job in monitoring.JOBS:
        name = settings.names.watched(job.title)
        yield from _once(
            f"job {name}",
            _job(
                settings,
                job,
                monitoring.arguments(
                    job, table=table, warehouse=str(warehouse), **settings.job_values
                ),
            ),
            client.jobs.list(name=name),
            partial(described.job, client),
            partial(_listed, client, settings, "job"),
        )


def _profile_differences(
    client: WorkspaceClient, settings: Settings, warehouse: str | None
) -> Iterator[Difference]:
    """Find what the platform's own monitor lacks; none where it is not asked for."""
    profile = settings.monitoring.profile
    if profile is None:
        return
    resource = f"profile of table {profile.table_id}"
    there = get_or_none(lambda: client.data_quality.get_monitor("table", profile.table_id))
    if there is None:
        yield missing(resource)
        return
    declared = {
        "schema": profile.schema_id,
        "warehouse": warehouse,
        "builtin_dashboard": False,
        "slices": list(monitoring.PROFILE_SLICES),
        "time": monitoring.PROFILE_TIME,
        "granularities": [monitoring.PROFILE_GRANULARITY],
    }
    yield from compare(resource, declared, described.profile(there))


def _once(
    resource: str,
    declared: Fields,
    found: Iterable[Any],
    describe: Callable[[Any], Fields],
    listed: Callable[[str, Any], Iterable[Difference]] = lambda _resource, _found: (),
) -> Iterator[Difference]:
    """Field by field; a second one of the same name is a creation whose answer was lost."""
    same = list(found)
    if not same:
        yield missing(resource)
        return
    if len(same) > 1:
        yield Difference(resource, "number of that name", 1, len(same))
    yield from compare(resource, declared, describe(same[0]))
    yield from listed(resource, same[0])


def _listed(
    client: WorkspaceClient, settings: Settings, kind: WorkspaceObject, resource: str, found: Any
) -> Iterator[Difference]:
    path, key = _LISTS[kind]
    number, levels = str(getattr(found, key)), settings.object_levels(kind)
    return level_differences(client, resource, path, number, levels)


def _titled(each: Any, name: str) -> bool:
    return bool(each.display_name == name)


def _schedule(settings: Settings, cron: str) -> Fields:
    watch = settings.monitoring
    return {"schedule": cron, "timezone": watch.timezone, "pause_status": watch.pause_status}


def _warehouse(settings: Settings) -> Fields:
    return {
        "cluster_size": settings.monitoring.warehouse_size,
        "max_num_clusters": 1,
        "auto_stop_mins": monitoring.AUTO_STOP_MINUTES,
        "serverless": True,
        "type": "PRO",
        **{f"tags.{key}": value for key, value in settings.tags.items()},
    }


def _alert(settings: Settings, alert: monitoring.Alert, table: str) -> Fields:
    return {
        "column": alert.column,
        "aggregation": "MAX",
        "operator": "GREATER_THAN",
        "threshold": settings.monitoring.threshold(alert.threshold),
        "empty_result_state": "OK",
        "notify_on_ok": True,
        "retrigger_seconds": monitoring.REMIND_SECONDS,
        "description": alert.summary,
        "query": monitoring.query(alert.sql, table=table, **alert.values),
        "folder": described.folder(settings.names.workspace_folder),
        **_schedule(settings, settings.monitoring.schedule),
    }


def _job(settings: Settings, job: monitoring.Job, parameters: list[str]) -> Fields:
    return {
        "tasks": job.key,
        "environment_keys": monitoring.JOB_ENVIRONMENT_KEY,
        "environments": monitoring.JOB_ENVIRONMENT_KEY,
        "wheel": settings.names.wheel_path(wheel().file_name, wheel().sha256),
        "environment_version": monitoring.JOB_ENVIRONMENT_VERSION,
        "package": wheel().package,
        "entry_point": job.entry_point,
        "parameters": parameters,
        **_schedule(settings, job.schedule),
        "emails.on_failure": sorted(settings.monitoring.emails),
        "queue": True,
        "max_concurrent_runs": 1,
        "timeout_seconds": monitoring.LONGEST_SECONDS,
        "budget_policy_id": settings.endpoint.budget_policy_id or ABSENT,
        **{f"tags.{key}": value for key, value in settings.tags.items()},
    }


def _wheel(client: WorkspaceClient, settings: Settings) -> Iterator[Difference]:
    """Find the wheel that the jobs need; one of another length is an upload that was cut off."""
    path = settings.names.wheel_path(wheel().file_name, wheel().sha256)
    there = get_or_none(lambda: client.files.get_metadata(path))
    if there is None:
        yield missing(f"file {path}")
    elif there.content_length != (length := len(wheel().content)):
        yield Difference(f"file {path}", "bytes", length, there.content_length)
