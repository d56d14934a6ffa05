"""Warehouse, alerts, dashboard and jobs against the API: that each is there once, and what it does,
whom it tells, what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from infra import monitoring
from infra.monitoring import lakeview
from infra.settings import Settings
from infra.wheel import wheel
from scripts.deploy.facts import live_alerts

from .difference import ABSENT, Difference, compare, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.dashboards import Dashboard
    from databricks.sdk.service.jobs import BaseJob
    from databricks.sdk.service.settings import ListNotificationDestinationsResult
    from databricks.sdk.service.sql import AlertV2, EndpointInfo

Fields = dict[str, Any]

_AS_DECLARED = "as declared"


def monitoring_differences(client: WorkspaceClient, settings: Settings) -> list[Difference]:
    """What of the monitoring stack is not as declared; nothing where there is none."""
    watch, names, table = settings.monitoring, settings.names, settings.names.inference_table
    if not watch.enabled or table is None:
        return []
    found: list[Difference] = []
    warehouse = watch.warehouse_id
    if warehouse is None:
        same = [each for each in client.warehouses.list() if each.name == names.warehouse]
        found += _once(f"warehouse {names.warehouse}", _warehouse(settings), same, _of_warehouse)
        warehouse = str(same[0].id) if same else None
    told: list[str] = []
    if watch.emails:
        name = names.watched("alerts")
        kinds = [each for each in client.notification_destinations.list() if _titled(each, name)]
        found += _once(
            f"notification destination {name}",
            {"addresses": sorted(watch.emails)},
            kinds,
            partial(_of_destination, client),
        )
        told = [str(each.id) for each in kinds[:1]]
    alerts = live_alerts(client)
    for alert in monitoring.ALERTS:
        name = names.watched(alert.title)
        declared = {
            "operator": "GREATER_THAN",
            "threshold": getattr(watch, alert.threshold),
            "subscriptions": told,
            "query": monitoring.query(alert.sql, table=table, **alert.values),
            "warehouse": warehouse,
            **_schedule(settings, watch.schedule),
        }
        same_alerts = [each for each in alerts if each.display_name == name]
        found += _once(f"alert {name}", declared, same_alerts, _of_alert)
    name = names.watched("requests")
    dashboards = [each for each in client.lakeview.list() if _titled(each, name)]
    content = json.loads(lakeview.serialized(monitoring.TILES, title=name, table=table))
    found += _once(
        f"dashboard {name}",
        {"warehouse": warehouse, "content": _AS_DECLARED},
        dashboards,
        partial(_of_dashboard, client, content),
    )
    for job in monitoring.JOBS:
        name = names.watched(job.title)
        declared = {
            "wheel": names.wheel_path(wheel().file_name, wheel().sha256),
            "parameters": ["--table", table, "--warehouse", warehouse, *job.parameters],
            **_schedule(settings, job.schedule),
        }
        jobs = list(client.jobs.list(name=name, expand_tasks=True))
        found += _once(f"job {name}", declared, jobs, _of_job)
    return found


def _once(
    resource: str, declared: Fields, found: Iterable[Any], describe: Callable[[Any], Fields]
) -> Iterator[Difference]:
    """Field by field; a second one of the same name is a creation whose answer was lost."""
    same = list(found)
    if not same:
        yield missing(resource)
        return
    if len(same) > 1:
        yield Difference(resource, "number of that name", 1, len(same))
    yield from compare(resource, declared, describe(same[0]))


def _titled(each: Any, name: str) -> bool:
    return bool(each.display_name == name)


def _schedule(settings: Settings, cron: str) -> Fields:
    watch = settings.monitoring
    return {"schedule": cron, "timezone": watch.timezone, "pause_status": watch.pause_status}


def _warehouse(settings: Settings) -> Fields:
    return {"cluster_size": settings.monitoring.warehouse_size}


def _of_warehouse(found: EndpointInfo) -> Fields:
    return {"cluster_size": found.cluster_size}


def _of_destination(client: WorkspaceClient, found: ListNotificationDestinationsResult) -> Fields:
    config = client.notification_destinations.get(str(found.id)).config
    return {"addresses": sorted((config and config.email and config.email.addresses) or [])}


def _of_alert(found: AlertV2) -> Fields:
    threshold, schedule = found.evaluation.threshold, found.schedule
    value = threshold.value if threshold else None
    notification = found.evaluation.notification
    return {
        "operator": found.evaluation.comparison_operator.value,
        "subscriptions": [
            each.destination_id or each.user_email
            for each in (notification and notification.subscriptions) or []
        ],
        "threshold": ABSENT
        if value is None or value.double_value is None
        else float(value.double_value),
        "query": found.query_text,
        "warehouse": found.warehouse_id,
        "schedule": schedule.quartz_cron_schedule,
        "timezone": schedule.timezone_id,
        "pause_status": schedule.pause_status.value if schedule.pause_status else "UNPAUSED",
    }


def _of_dashboard(client: WorkspaceClient, content: Any, found: Dashboard) -> Fields:
    text = client.lakeview.get(str(found.dashboard_id)).serialized_dashboard
    where = next(_unlike(content, json.loads(text or "{}")), None)
    return {
        "warehouse": found.warehouse_id,
        "content": _AS_DECLARED if where is None else f"another at {where}",
    }


def _unlike(declared: Any, found: Any, at: str = "") -> Iterator[str]:
    """Where a dashboard lacks what is declared; what the platform adds to it is left alone."""
    if isinstance(declared, dict) and isinstance(found, dict):
        for key, value in declared.items():
            yield from _unlike(value, found.get(key), f"{at}.{key}".lstrip("."))
    elif isinstance(declared, list) and isinstance(found, list) and len(declared) == len(found):
        for index, (value, there) in enumerate(zip(declared, found, strict=True)):
            yield from _unlike(value, there, f"{at}.{index}")
    elif declared != found:
        yield at


def _of_job(found: BaseJob) -> Fields:
    job = found.settings
    schedule = job.schedule if job else None
    dependencies = [
        path
        for environment in (job and job.environments) or []
        for path in (environment.spec and environment.spec.dependencies) or []
    ]
    wheels = [task.python_wheel_task for task in (job and job.tasks) or []]
    return {
        "wheel": ", ".join(dependencies) or ABSENT,
        "parameters": [each for task in wheels if task for each in task.parameters or []],
        "schedule": schedule.quartz_cron_expression if schedule else ABSENT,
        "timezone": schedule.timezone_id if schedule else ABSENT,
        "pause_status": schedule.pause_status.value
        if schedule and schedule.pause_status
        else "UNPAUSED",
    }
