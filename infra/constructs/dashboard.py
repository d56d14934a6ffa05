"""The dashboard of the endpoint."""

from __future__ import annotations

from .. import monitoring
from ..bindings import Construct, Dashboard
from ..monitoring.lakeview import serialized
from ..settings import Settings
from .access import access_list


class EndpointDashboard(Construct):
    """Every tile of :data:`scgpt_databricks.infra.monitoring.TILES` on one page."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, *, warehouse: str, table: str
    ) -> None:
        super().__init__(scope, id_)
        title = settings.names.watched("requests")
        dashboard = Dashboard(
            self,
            "dashboard",
            display_name=title,
            parent_path=settings.names.workspace_folder,
            warehouse_id=warehouse,
            # Who looks at it needs no privilege on the inference table, which holds cells.
            embed_credentials=True,
            serialized_dashboard=serialized(
                monitoring.TILES,
                title=title,
                table=table,
                warehouse=settings.monitoring.warehouse_id,
            ),
        )
        dashboard.override_logical_id("dashboard")
        levels = settings.object_levels("dashboard")
        access_list(self, "dashboard_permissions", levels, dashboard_id=dashboard.id)
