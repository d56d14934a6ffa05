"""``scgpt status``: how the endpoint of an environment stands now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.endpoint import shares
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from ..connection import get_or_none
from ..deploy import record
from ..deploy.facts import endpoint_of, is_ready, update_of
from ..monitoring.device import device, service_log, workload_type
from ..monitoring.metrics import Sample, samples

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from ..deploy.record import Record

ABSENT = "absent"
_FAILED = "DEPLOYMENT_FAILED"
_COUNTS = {
    "requests": "request_count_total",
    "refused": "request_4xx_count_total",
    "failed": "request_5xx_count_total",
}
_PARTS = ("_total", "_bucket", "_sum", "_count")


@dataclass(frozen=True)
class Entity:
    """One served entity."""

    name: str
    model: str
    version: int
    traffic: int
    """Percent of the requests."""
    workload_type: str
    workload_size: str | None
    state: str
    message: str
    device: str | None
    """Device that it computes on; None where its log does not say."""
    precision: str | None
    torch: str | None
    requests: int
    """Since its process started; so are the next three."""
    refused: int
    failed: int
    mean_ms: float | None
    log: str = field(repr=False)
    build_log: str = field(repr=False)


@dataclass(frozen=True)
class Status:
    """How an endpoint stands."""

    environment: str
    endpoint: str
    state: str
    """``READY``, ``NOT_READY`` or ``absent``."""
    update: str
    """``NOT_UPDATING``, ``IN_PROGRESS``, ``UPDATE_FAILED`` or ``UPDATE_CANCELED``."""
    entities: tuple[Entity, ...] = ()
    pending: tuple[Entity, ...] = ()
    """Entities of an update that is under way or has failed."""
    gauges: dict[str, float] = field(default_factory=dict)
    """Other figures that the endpoint exports, such as the load of its processors."""
    last_deploy: Record | None = None
    released: dict[int, int] = field(default_factory=dict)
    """Version -> percent of the requests, as the manifest says."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences that tell of no error."""


def status(client: WorkspaceClient, settings: Settings, manifest: Manifest | None) -> Status:
    """Ask a workspace how an environment's endpoint stands."""
    name = settings.names.endpoint
    released = {each.version: each.traffic for each in manifest.served} if manifest else {}
    last, found = record.last(client, settings), endpoint_of(client, name)
    if found is None:
        then = "deploy" if manifest else "build"
        problem = f"there is no endpoint {name}: `scgpt {then} {settings.environment}` comes first"
        return Status(
            settings.environment,
            name,
            ABSENT,
            "",
            last_deploy=last,
            released=released,
            problems=(problem,),
        )
    exported = _exported(client, name)
    entities = tuple(_entities(client, name, found.get("config"), exported))
    pending = tuple(_entities(client, name, found.get("pending_config"), exported))
    told = Status(
        settings.environment,
        name,
        "READY" if is_ready(found) else "NOT_READY",
        update_of(found),
        entities,
        pending,
        _gauges(exported),
        last,
        released,
    )
    problems, notes = tuple(_problems(told)), tuple(_notes(told))
    return Status(**{**vars(told), "problems": problems, "notes": notes})


def _entities(
    client: WorkspaceClient, endpoint: str, config: dict[str, Any] | None, exported: list[Sample]
) -> Iterator[Entity]:
    share = shares(config)
    for each in (config or {}).get("served_entities") or []:
        name, state = str(each["name"]), each.get("state") or {}
        log, kind = service_log(client, endpoint, name), workload_type(each)
        found = device(log, kind)
        mine = [sample for sample in exported if sample.is_of(name)]
        yield Entity(
            name=name,
            model=str(each.get("entity_name")),
            version=int(each.get("entity_version") or 0),
            traffic=share[name],
            workload_type=kind,
            workload_size=each.get("workload_size"),
            state=str(state.get("deployment")),
            message=str(state.get("deployment_state_message") or ""),
            device=found.name,
            precision=found.precision,
            torch=found.torch,
            **{field: int(_sum(mine, metric)) for field, metric in _COUNTS.items()},
            mean_ms=_mean_ms(mine),
            log=log,
            build_log=_build_log(client, endpoint, name),
        )


def _exported(client: WorkspaceClient, endpoint: str) -> list[Sample]:
    # An endpoint that has not been ready yet has none.
    return get_or_none(lambda: samples(client, endpoint)) or []


def _build_log(client: WorkspaceClient, endpoint: str, entity: str) -> str:
    found = get_or_none(lambda: client.serving_endpoints.build_logs(endpoint, entity))
    return found.logs if found else ""


def _sum(found: list[Sample], metric: str) -> float:
    return sum(each.value for each in found if each.name == metric)


def _mean_ms(found: list[Sample]) -> float | None:
    count = _sum(found, "request_latency_ms_count")
    return _sum(found, "request_latency_ms_sum") / count if count else None


def _gauges(exported: list[Sample]) -> dict[str, float]:
    """Return what is neither a counter nor part of a histogram; the largest of several."""
    found: dict[str, float] = {}
    for each in exported:
        if not each.name.endswith(_PARTS):
            found[each.name] = max(each.value, found.get(each.name, each.value))
    return found


def _problems(told: Status) -> Iterator[str]:
    if told.state != "READY":
        yield f"endpoint {told.endpoint} is {told.state}: it does not answer yet"
    if told.update in ("UPDATE_FAILED", "UPDATE_CANCELED"):
        yield f"the last update ended as {told.update}: the versions before it go on serving"
    for each in (*told.entities, *told.pending):
        if each.state == _FAILED:
            yield f"{each.name} was not deployed: {each.message or 'see its logs'}"
        elif each.device == "cpu" and not each.workload_type.startswith("CPU"):
            yield (
                f"{each.name} has a GPU ({each.workload_type}) and computes on its CPU: its torch "
                f"finds none. See `scgpt status {told.environment} --logs 50`, and "
                "docs/runbooks/device_fallback.md"
            )


def _notes(told: Status) -> Iterator[str]:
    live = {each.version: each.traffic for each in told.entities}
    if told.update == "IN_PROGRESS":
        yield "an update is under way: what serves goes on until the new versions answer"
    elif told.released and live != told.released:
        yield f"it does not serve what the manifest says: `scgpt verify {told.environment}`"
    for each in told.entities:
        if each.device is None and not each.workload_type.startswith("CPU"):
            yield f"the log of {each.name} does not say which device it computes on"
