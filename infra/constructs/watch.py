"""The resources that watch an endpoint: warehouse, alerts, dashboard, queries, profile, jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import monitoring, watched
from ..bindings import (
    AlertV2,
    Construct,
    Dashboard,
    DataQualityMonitor,
    Job,
    NotificationDestination,
    Query,
    SqlEndpoint,
    TerraformResource,
    declare,
)
from ..settings import Settings
from ..settings.access import WorkspaceObject
from .access import access_list, entries

_ID_ARGUMENTS: Mapping[WorkspaceObject, str] = {
    "warehouse": "sql_endpoint_id",
    "alert": "alert_v2_id",
    "dashboard": "dashboard_id",
    "query": "sql_query_id",
    "job": "job_id",
}
"""Kind of object -> the argument by which an access list names it."""


class Watch(Construct):
    """Every alert, tile, report and job of :mod:`scgpt_databricks.infra.monitoring`."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, table: str) -> None:
        super().__init__(scope, id_)
        self._settings, watch = settings, settings.monitoring
        warehouse = watch.warehouse_id
        if warehouse is None:
            warehouse = self._listed(
                "warehouse", SqlEndpoint, "warehouse", watched.warehouse(settings)
            )
        told = list(watch.destinations)
        if watch.emails:
            fields = watched.destination(settings)
            told.insert(0, declare(NotificationDestination, self, "destination", fields).id)
        asking: dict[str, str] = {"table": table, "warehouse": warehouse}
        for alert in monitoring.ALERTS:
            fields = watched.alert(settings, alert, told=told, **asking)
            self._listed("alert", AlertV2, f"alert_{alert.key}", fields)
        self._listed("dashboard", Dashboard, "dashboard", watched.dashboard(settings, **asking))
        for report in monitoring.REPORTS:
            fields = watched.query(settings, report, **asking)
            self._listed("query", Query, f"query_{report.key}", fields)
        if watch.profile is not None:
            fields = watched.profile(watch.profile, warehouse=warehouse)
            declare(DataQualityMonitor, self, "request_profile", fields)
        for job in monitoring.JOBS:
            self._listed("job", Job, f"job_{job.key}", watched.job(settings, job, **asking))

    def _listed(
        self,
        kind: WorkspaceObject,
        resource: type[TerraformResource],
        logical_id: str,
        fields: Mapping[str, Any],
    ) -> str:
        """Declare an object with its access list; return its id."""
        made: Any = declare(resource, self, logical_id, fields)
        levels = entries(self._settings.object_levels(kind))
        access_list(self, f"{logical_id}_permissions", levels, **{_ID_ARGUMENTS[kind]: made.id})
        return str(made.id)
