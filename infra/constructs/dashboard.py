"""The dashboard of the endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..bindings import Construct, Dashboard
from ..monitoring import Tile
from ..monitoring.lakeview import serialized
from ..naming import Names
from .access_list import access_list


class EndpointDashboard(Construct):
    """Every tile of :data:`scgpt_databricks.infra.monitoring.TILES` on one page."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        warehouse: str,
        table: str,
        tiles: Sequence[Tile],
        levels: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        title = names.watched("requests")
        dashboard = Dashboard(
            self,
            "dashboard",
            display_name=title,
            parent_path=names.workspace_folder,
            warehouse_id=warehouse,
            # Who looks at it needs no privilege on the inference table, which holds cells.
            embed_credentials=True,
            serialized_dashboard=serialized(tiles, title=title, table=table),
        )
        dashboard.override_logical_id("dashboard")
        access_list(self, "dashboard_permissions", levels, dashboard_id=dashboard.id)
