"""Warehouse, alerts, dashboard, queries and jobs against the API: that each is there once, and what
it does, whom it tells, what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra import monitoring, watched
from scgpt_databricks.infra.plan import Json
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.settings.access import WorkspaceObject
from scgpt_databricks.infra.wheel import wheel

from ...connection import get_or_none
from ..facts import live_alerts
from . import described
from .difference import ABSENT, Difference, compare, level_differences, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def _as_listed(_client: WorkspaceClient, found: Any, _declared: Json) -> Json:
    return dict(found.as_dict())


def _destination(client: WorkspaceClient, found: Any, _declared: Json) -> Json:
    return client.notification_destinations.get(found.id).as_dict()


def _query(client: WorkspaceClient, found: Any, _declared: Json) -> Json:
    return client.queries.get(found.id).as_dict()


def _dashboard(client: WorkspaceClient, found: Any, declared: Json) -> Json:
    draft = client.lakeview.get(found.dashboard_id)
    published = get_or_none(lambda: client.lakeview.get_published(found.dashboard_id))
    text, there = declared["serialized_dashboard"], draft.serialized_dashboard or "{}"
    return {
        **draft.as_dict(),
        "published": published and published.as_dict(),
        "content": described.unlike(text, there),
    }


def _job(client: WorkspaceClient, found: Any, _declared: Json) -> Json:
    settings = client.jobs.get(found.job_id).settings
    job: Json = settings.as_dict() if settings else {}
    return {**job, "task": job.get("tasks"), "environment": job.get("environments")}


@dataclass(frozen=True)
class _Kind:
    """One kind of object: how it is described and read, and who may use it."""

    title: str
    describe: Callable[[Json], described.Fields]
    read: Callable[[WorkspaceClient, Any, Json], Json] = _as_listed
    """Return the document of an object that a list has named; lists leave parts of some out."""
    id: str = "id"
    listed: tuple[str, WorkspaceObject] | None = None
    """Its collection in the permissions API, and its word in the settings."""


_WAREHOUSE = _Kind("warehouse", described.warehouse, listed=("warehouses", "warehouse"))
_DESTINATION = _Kind("notification destination", described.destination, _destination)
_ALERT = _Kind("alert", described.alert, listed=("alertsv2", "alert"))
_DASHBOARD = _Kind(
    "dashboard", described.dashboard, _dashboard, "dashboard_id", ("dashboards", "dashboard")
)
_QUERY = _Kind("query", described.query, _query, listed=("queries", "query"))
_JOB = _Kind("job", described.job, _job, "job_id", ("jobs", "job"))
_PROFILE = _Kind("profile of table", described.profile)


def monitoring_differences(client: WorkspaceClient, settings: Settings) -> list[Difference]:
    """Return the differences of the monitoring stack; none where it is turned off."""
    table = settings.names.inference_table
    if not settings.monitoring.enabled or table is None:
        return []
    found = [
        difference
        for kind, declared, same in _wanted(client, settings, table)
        for difference in _once(client, settings, kind, declared, same)
    ]
    return [*found, *_wheel(client, settings)]


def _wanted(
    client: WorkspaceClient, settings: Settings, table: str
) -> Iterator[tuple[_Kind, Json, list[Any]]]:
    """Yield each object that is declared, and those of its name in the workspace."""
    watch = settings.monitoring
    warehouse, told = watch.warehouse_id, list(watch.destinations)
    if warehouse is None:
        declared = watched.warehouse(settings)
        same = [each for each in client.warehouses.list() if each.name == declared["name"]]
        warehouse = str(same[0].id) if same else ABSENT
        yield _WAREHOUSE, declared, same
    if watch.emails:
        declared = watched.destination(settings)
        same = _titled(client.notification_destinations.list(), declared)
        told += [str(each.id) for each in same[:1]]
        yield _DESTINATION, declared, same
    asking = {"table": table, "warehouse": warehouse}
    alerts = live_alerts(client)
    for alert in monitoring.ALERTS:
        declared = watched.alert(settings, alert, told=told, **asking)
        yield _ALERT, declared, _titled(alerts, declared)
    declared = watched.dashboard(settings, **asking)
    shown = {**declared, "published": declared}
    yield _DASHBOARD, shown, _titled(client.lakeview.list(), declared)
    queries = list(client.queries.list())
    for report in monitoring.REPORTS:
        declared = watched.query(settings, report, **asking)
        yield _QUERY, declared, _titled(queries, declared)
    for job in monitoring.JOBS:
        declared = watched.job(settings, job, **asking)
        yield _JOB, declared, list(client.jobs.list(name=declared["name"]))
    if watch.profile is not None:
        number = watch.profile.table_id
        there = get_or_none(lambda: client.data_quality.get_monitor("table", number))
        declared = watched.profile(watch.profile, warehouse=warehouse)
        yield _PROFILE, declared, [there] if there else []


def _once(
    client: WorkspaceClient, settings: Settings, kind: _Kind, declared: Json, same: list[Any]
) -> Iterator[Difference]:
    """Compare field by field; a second one of the same name is a creation whose answer was lost."""
    name = next(declared[key] for key in ("display_name", "name", "object_id") if key in declared)
    resource = f"{kind.title} {name}"
    if not same:
        yield missing(resource)
        return
    if len(same) > 1:
        yield Difference(resource, "number of that name", 1, len(same))
    found = kind.read(client, same[0], declared)
    yield from compare(resource, kind.describe(declared), kind.describe(found))
    if kind.listed is not None:
        path, word = kind.listed
        number, levels = str(getattr(same[0], kind.id)), settings.object_levels(word)
        yield from level_differences(client, resource, path, number, levels)


def _titled(found: Iterable[Any], declared: Json) -> list[Any]:
    return [each for each in found if each.display_name == declared["display_name"]]


def _wheel(client: WorkspaceClient, settings: Settings) -> Iterator[Difference]:
    """Find the wheel that the jobs need; one of another length is an upload that was cut off."""
    path = settings.names.wheel_path(wheel().file_name, wheel().sha256)
    there = get_or_none(lambda: client.files.get_metadata(path))
    if there is None:
        yield missing(f"file {path}")
    elif there.content_length != (length := len(wheel().content)):
        yield Difference(f"file {path}", "bytes", length, there.content_length)
