"""The SQL warehouse that alerts, dashboard and jobs ask."""

from __future__ import annotations

from collections.abc import Mapping

from ..bindings import Construct, SqlEndpoint, SqlEndpointTags, SqlEndpointTagsCustomTags
from ..monitoring import AUTO_STOP_MINUTES
from ..naming import Names
from ..settings import Monitoring
from .access_list import access_list


def warehouse_id(
    scope: Construct,
    *,
    names: Names,
    monitoring: Monitoring,
    tags: Mapping[str, str],
    levels: Mapping[str, str],
) -> str:
    """Id of the warehouse that the settings name, or of one made for this environment.

    Only the latter has the access list.
    """
    if monitoring.warehouse_id is not None:
        return monitoring.warehouse_id
    warehouse = SqlEndpoint(
        scope,
        "warehouse",
        name=names.warehouse,
        cluster_size=monitoring.warehouse_size,
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
    access_list(scope, "warehouse_permissions", levels, sql_endpoint_id=warehouse.id)
    return str(warehouse.id)
