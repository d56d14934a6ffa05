"""The watch over the endpoint: alerts, dashboard, jobs, and the warehouse that they ask."""

from __future__ import annotations

from .. import monitoring
from ..bindings import App
from ..constructs.alerts import Alerts
from ..constructs.dashboard import EndpointDashboard
from ..constructs.jobs import Jobs
from ..constructs.warehouse import warehouse_id
from ..settings import Settings
from ..wheel import wheel
from .environment import EnvironmentStack


class MonitoringStack(EnvironmentStack):
    """``<env>-monitoring``: empty where nothing is watched, so that what was there is removed."""

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(app, "monitoring", settings)
        names, watch = settings.names, settings.monitoring
        table = names.inference_table
        if not watch.enabled or table is None:
            return
        warehouse = warehouse_id(
            self,
            names=names,
            monitoring=watch,
            tags=settings.tags,
            levels=settings.object_levels("warehouse"),
        )
        Alerts(
            self,
            "alerts",
            names=names,
            monitoring=watch,
            warehouse=warehouse,
            table=table,
            alerts=monitoring.ALERTS,
            levels=settings.object_levels("alert"),
        )
        EndpointDashboard(
            self,
            "endpoint_dashboard",
            names=names,
            warehouse=warehouse,
            table=table,
            tiles=monitoring.TILES,
            levels=settings.object_levels("dashboard"),
        )
        Jobs(
            self,
            "jobs",
            names=names,
            monitoring=watch,
            warehouse=warehouse,
            table=table,
            jobs=monitoring.JOBS,
            wheel=wheel(),
            tags=settings.tags,
            budget_policy_id=settings.endpoint.budget_policy_id,
            levels=settings.object_levels("job"),
        )
