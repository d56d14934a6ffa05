"""The saved queries: every table of the report, to be opened and changed in the workspace."""

from __future__ import annotations

from .. import monitoring
from ..bindings import Construct, Query
from ..settings import Settings
from .access import access_list


class Queries(Construct):
    """Every table of :data:`scgpt_databricks.infra.monitoring.REPORTS`, of the last week."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, *, warehouse: str, table: str
    ) -> None:
        super().__init__(scope, id_)
        names = settings.names
        for report in monitoring.REPORTS:
            logical_id = f"query_{report.key}"
            resource = Query(
                self,
                logical_id,
                display_name=names.watched(report.title),
                parent_path=names.workspace_folder,
                warehouse_id=warehouse,
                query_text=monitoring.asked(report, table=table, endpoint=names.endpoint),
            )
            resource.override_logical_id(logical_id)
            levels = settings.object_levels("query")
            access_list(self, f"{logical_id}_permissions", levels, sql_query_id=resource.id)
