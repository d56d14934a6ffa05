"""The platform's own monitor over the table of requests: a profile of its scalar columns."""

from __future__ import annotations

from .. import monitoring
from ..bindings import (
    Construct,
    DataQualityMonitor,
    DataQualityMonitorDataProfilingConfig,
    DataQualityMonitorDataProfilingConfigTimeSeries,
)
from ..settings import Settings


class RequestProfile(Construct):
    """A ``time_series`` profile by hour and served entity, of a table that is there already.

    It takes ids, which the table has once ``scgpt monitor init`` has made it. Arrays are not
    profiled, so it is over the table of requests, whose columns are scalars.
    """

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, warehouse: str) -> None:
        super().__init__(scope, id_)
        profile = settings.monitoring.profile
        if profile is None:
            return
        monitor = DataQualityMonitor(
            self,
            "request_profile",
            object_type="table",
            object_id=profile.table_id,
            data_profiling_config=DataQualityMonitorDataProfilingConfig(
                output_schema_id=profile.schema_id,
                warehouse_id=warehouse,
                skip_builtin_dashboard=True,
                slicing_exprs=[*monitoring.PROFILE_SLICES],
                time_series=DataQualityMonitorDataProfilingConfigTimeSeries(
                    timestamp_column=monitoring.PROFILE_TIME,
                    granularities=[monitoring.PROFILE_GRANULARITY],
                ),
            ),
        )
        monitor.override_logical_id("request_profile")
