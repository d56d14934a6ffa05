"""The SQL warehouse that alerts, dashboard and jobs ask."""

from __future__ import annotations

from ..bindings import Construct, SqlEndpoint, SqlEndpointTags, SqlEndpointTagsCustomTags
from ..monitoring import AUTO_STOP_MINUTES
from ..settings import Settings
from .access import access_list


def warehouse_id(scope: Construct, settings: Settings) -> str:
    """Return the id of the warehouse that the settings name, or of one made for the environment.

    Only the latter has the access list.
    """
    watch, tags = settings.monitoring, settings.tags
    if watch.warehouse_id is not None:
        return watch.warehouse_id
    warehouse = SqlEndpoint(
        scope,
        "warehouse",
        name=settings.names.warehouse,
        cluster_size=watch.warehouse_size,
        max_num_clusters=1,
        auto_stop_mins=AUTO_STOP_MINUTES,
        # It is asked once an hour: others would take minutes to start each time.
        enable_serverless_compute=True,
        warehouse_type="PRO",
        tags=SqlEndpointTags(
            custom_tags=[
                SqlEndpointTagsCustomTags(key=key, value=tags[key]) for key in sorted(tags)
            ]
        )
        if tags
        else None,
    )
    warehouse.override_logical_id("warehouse")
    levels = settings.object_levels("warehouse")
    access_list(scope, "warehouse_permissions", levels, sql_endpoint_id=warehouse.id)
    return str(warehouse.id)
