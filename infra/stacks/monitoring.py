"""The watch over the endpoint: alerts, dashboard, saved queries, jobs, and their warehouse."""

from __future__ import annotations

from ..bindings import App
from ..constructs.watch import Watch
from ..settings import Settings
from .environment import EnvironmentStack


class MonitoringStack(EnvironmentStack):
    """``<env>-monitoring``: empty where nothing is watched, so that what was there is removed."""

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(app, "monitoring", settings)
        table = settings.names.inference_table
        if settings.monitoring.enabled and table is not None:
            Watch(self, "watch", settings, table=table)
