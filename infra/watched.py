"""The resources of the watch, as Terraform's provider takes them.

The monitoring stack declares them, and the verification compares the workspace with them. An id
that Terraform knows after the apply alone, such as that of the warehouse, is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import monitoring
from .monitoring import lakeview
from .settings import Settings
from .settings.monitoring import Profile
from .wheel import wheel
from .wheel_jobs import on_serverless, wheel_task

Fields = dict[str, Any]


def warehouse(settings: Settings) -> Fields:
    """Return the SQL warehouse that alerts, dashboard and jobs ask."""
    tags = [{"key": key, "value": value} for key, value in sorted(settings.tags.items())]
    return {
        "name": settings.names.warehouse,
        "cluster_size": settings.monitoring.warehouse_size,
        "max_num_clusters": 1,
        "auto_stop_mins": monitoring.AUTO_STOP_MINUTES,
        # It is asked once an hour: others would take minutes to start each time.
        "enable_serverless_compute": True,
        "warehouse_type": "PRO",
        "tags": {"custom_tags": tags} if tags else None,
    }


def destination(settings: Settings) -> Fields:
    """Return the destination of the alerts' e-mails."""
    return {
        "display_name": settings.names.watched("alerts"),
        "config": {"email": {"addresses": list(settings.monitoring.emails)}},
    }


def alert(
    settings: Settings, alert: monitoring.Alert, *, table: str, warehouse: str, told: Sequence[str]
) -> Fields:
    """Return an alert over the inference table, and the destinations that are told.

    The provider takes no default from the workspace: a value that was not configured and comes back
    breaks the alert. So everything is configured, the folder in the workspace's own form.
    """
    names, watch = settings.names, settings.monitoring
    return {
        "display_name": names.watched(alert.title),
        "custom_summary": names.watched(alert.title),
        "custom_description": alert.summary,
        "parent_path": names.workspace_folder,
        "warehouse_id": warehouse,
        "query_text": monitoring.query(alert.sql, table=table, **alert.values),
        "evaluation": {
            "source": {"name": alert.column, "aggregation": "MAX"},
            "comparison_operator": "GREATER_THAN",
            "threshold": {"value": {"double_value": watch.threshold(alert.threshold)}},
            "empty_result_state": "OK",
            "notification": {
                "notify_on_ok": True,
                "retrigger_seconds": monitoring.REMIND_SECONDS,
                "subscriptions": [{"destination_id": each} for each in told] or None,
            },
        },
        "schedule": {
            "quartz_cron_schedule": watch.schedule,
            "timezone_id": watch.timezone,
            "pause_status": watch.pause_status,
        },
    }


def dashboard(settings: Settings, *, table: str, warehouse: str) -> Fields:
    """Return the dashboard with every tile of :data:`.monitoring.TILES` on one page."""
    title, given = settings.names.watched("requests"), settings.monitoring.warehouse_id
    return {
        "display_name": title,
        "parent_path": settings.names.workspace_folder,
        "warehouse_id": warehouse,
        # Who looks at it needs no privilege on the inference table, which holds cells.
        "embed_credentials": True,
        "serialized_dashboard": lakeview.serialized(
            monitoring.TILES, title=title, table=table, warehouse=given
        ),
    }


def query(settings: Settings, report: monitoring.Report, *, table: str, warehouse: str) -> Fields:
    """Return a saved query: a table of the report, of the last week."""
    names = settings.names
    return {
        "display_name": names.watched(report.title),
        "parent_path": names.workspace_folder,
        "warehouse_id": warehouse,
        "query_text": monitoring.asked(report, table=table, endpoint=names.endpoint),
    }


def job(settings: Settings, job: monitoring.Job, *, table: str, warehouse: str) -> Fields:
    """Return a job that runs an entry point of our own wheel."""
    watch, built = settings.monitoring, wheel()
    given = monitoring.arguments(job, table=table, warehouse=warehouse, **settings.job_values)
    return {
        "name": settings.names.watched(job.title),
        "task": [wheel_task(job.key, built, job.entry_point, given)],
        **on_serverless(settings, built),
        "schedule": {
            "quartz_cron_expression": job.schedule,
            "timezone_id": watch.timezone,
            "pause_status": watch.pause_status,
        },
        "email_notifications": {"on_failure": list(watch.emails)} if watch.emails else None,
        "timeout_seconds": monitoring.LONGEST_SECONDS,
    }


def profile(profile: Profile, *, warehouse: str) -> Fields:
    """Return the platform's own monitor: a profile by hour and served entity.

    It takes ids, which the table has once ``scgpt monitor init`` has made it. Arrays are not
    profiled, so it is over the table of requests, whose columns are scalars.
    """
    return {
        "object_type": "table",
        "object_id": profile.table_id,
        "data_profiling_config": {
            "output_schema_id": profile.schema_id,
            "warehouse_id": warehouse,
            "skip_builtin_dashboard": True,
            "slicing_exprs": [*monitoring.PROFILE_SLICES],
            "time_series": {
                "timestamp_column": monitoring.PROFILE_TIME,
                "granularities": [monitoring.PROFILE_GRANULARITY],
            },
        },
    }
