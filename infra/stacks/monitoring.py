"""The watch over the endpoint: alerts, dashboard, saved queries, jobs, and their warehouse."""

from __future__ import annotations

from ..bindings import App
from ..constructs.alerts import Alerts
from ..constructs.dashboard import EndpointDashboard
from ..constructs.jobs import Jobs
from ..constructs.profile import RequestProfile
from ..constructs.queries import Queries
from ..constructs.warehouse import warehouse_id
from ..settings import Settings
from .environment import EnvironmentStack


class MonitoringStack(EnvironmentStack):
    """``<env>-monitoring``: empty where nothing is watched, so that what was there is removed."""

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(app, "monitoring", settings)
        table = settings.names.inference_table
        if not settings.monitoring.enabled or table is None:
            return
        warehouse = warehouse_id(self, settings)
        Alerts(self, "alerts", settings, warehouse=warehouse, table=table)
        EndpointDashboard(self, "endpoint_dashboard", settings, warehouse=warehouse, table=table)
        Queries(self, "queries", settings, warehouse=warehouse, table=table)
        RequestProfile(self, "profile", settings, warehouse=warehouse)
        Jobs(self, "jobs", settings, warehouse=warehouse, table=table)
