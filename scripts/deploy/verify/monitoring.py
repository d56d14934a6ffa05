"""Warehouse, alerts, dashboard and jobs against the API: that each is there once, and its main
fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from infra import monitoring
from infra.settings import Settings
from infra.wheel import wheel
from scripts.deploy.facts import live_alerts

from .difference import ABSENT, Difference, compare, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.dashboards import Dashboard
    from databricks.sdk.service.jobs import BaseJob
    from databricks.sdk.service.sql import AlertV2, EndpointInfo

Fields = dict[str, Any]


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
    if watch.emails:
        name = names.watched("alerts")
        kinds = [each for each in client.notification_destinations.list() if _titled(each, name)]
        found += _once(f"notification destination {name}", {}, kinds, lambda _: {})
    alerts = live_alerts(client)
    for alert in monitoring.ALERTS:
        name = names.watched(alert.title)
        declared = {
            "threshold": getattr(watch, alert.threshold),
            "query": monitoring.query(alert.sql, table=table, **alert.values),
            "warehouse": warehouse,
            **_schedule(settings, watch.schedule),
        }
        same_alerts = [each for each in alerts if each.display_name == name]
        found += _once(f"alert {name}", declared, same_alerts, _of_alert)
    name = names.watched("requests")
    dashboards = [each for each in client.lakeview.list() if _titled(each, name)]
    found += _once(f"dashboard {name}", {"warehouse": warehouse}, dashboards, _of_dashboard)
    for job in monitoring.JOBS:
        name = names.watched(job.title)
        declared = {
            "wheel": names.wheel_path(wheel().file_name, wheel().sha256),
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


def _of_alert(found: AlertV2) -> Fields:
    threshold, schedule = found.evaluation.threshold, found.schedule
    value = threshold.value if threshold else None
    return {
        "threshold": ABSENT
        if value is None or value.double_value is None
        else float(value.double_value),
        "query": found.query_text,
        "warehouse": found.warehouse_id,
        "schedule": schedule.quartz_cron_schedule,
        "timezone": schedule.timezone_id,
        "pause_status": schedule.pause_status.value if schedule.pause_status else "UNPAUSED",
    }


def _of_dashboard(found: Dashboard) -> Fields:
    return {"warehouse": found.warehouse_id}


def _of_job(found: BaseJob) -> Fields:
    job = found.settings
    schedule = job.schedule if job else None
    dependencies = [
        path
        for environment in (job and job.environments) or []
        for path in (environment.spec and environment.spec.dependencies) or []
    ]
    return {
        "wheel": ", ".join(dependencies) or ABSENT,
        "schedule": schedule.quartz_cron_expression if schedule else ABSENT,
        "timezone": schedule.timezone_id if schedule else ABSENT,
        "pause_status": schedule.pause_status.value
        if schedule and schedule.pause_status
        else "UNPAUSED",
    }
