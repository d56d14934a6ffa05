"""Schema, volumes, registered model, grants and experiment against the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from scgpt_databricks.infra.naming import COMMENTS
from scgpt_databricks.infra.settings import Securable, Settings

from ...connection import get_or_none
from .. import deployment_job
from ..facts import privileges
from .difference import ABSENT, Difference, compare, level_differences, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


_MANAGED = "MANAGED"


class _Commented(Protocol):
    comment: str | None


def _type(volume: Any) -> str:
    return str(volume.volume_type.value) if volume.volume_type else ABSENT


def registry_differences(client: WorkspaceClient, settings: Settings) -> list[Difference]:
    """Return the differences of the registry stack.

    Grants that others made are left alone, so what somebody holds beyond the declared is none of
    our differences.
    """
    names = settings.names
    schema, model = names.full_schema, names.full_model
    # Unity Catalog files the grants on models under functions.
    wanted: list[tuple[Securable, str, str, Callable[[], _Commented]]] = [
        ("schema", "schema", schema, lambda: client.schemas.get(schema)),
        ("volume", "volume", names.full_volume, lambda: client.volumes.read(names.full_volume)),
        (
            "checkpoints_volume",
            "volume",
            names.full_checkpoints_volume,
            lambda: client.volumes.read(names.full_checkpoints_volume),
        ),
        ("model", "function", model, lambda: client.registered_models.get(model)),
    ]
    found: list[Difference] = []
    for securable, kind, name, get in wanted:
        resource = f"{'model' if kind == 'function' else kind} {name}"
        there = get_or_none(get)
        if there is None:
            found.append(missing(resource))
        else:
            comment = {"comment": COMMENTS[securable]}
            found += compare(resource, comment, {"comment": there.comment or ABSENT})
            if kind == "volume":
                found += compare(resource, {"type": _MANAGED}, {"type": _type(there)})
            declared = settings.privileges(securable)
            found += _grants(client, resource, kind, name, declared)
    return [*found, *_experiment(client, settings), *_deployment_job(client, settings)]


def _deployment_job(client: WorkspaceClient, settings: Settings) -> Iterator[Difference]:
    """Compare the job that new versions start with the declared one."""
    if settings.promotion.deployment_job is None:
        return
    declared = deployment_job.declared(client, settings) or ABSENT
    if (found := deployment_job.connected(client, settings) or ABSENT) != declared:
        resource = f"model {settings.names.full_model}"
        yield Difference(resource, "deployment job", declared, found)


def _grants(
    client: WorkspaceClient,
    resource: str,
    kind: str,
    name: str,
    declared: dict[str, tuple[str, ...]],
) -> Iterator[Difference]:
    held = privileges(client, kind, name)
    for principal, wanted in declared.items():
        has = set(held.get(principal, ()))
        if not has >= set(wanted):
            listed = ", ".join(sorted(has)) or ABSENT
            yield Difference(resource, f"grant to {principal}", ", ".join(wanted), listed)


def _experiment(client: WorkspaceClient, settings: Settings) -> Iterator[Difference]:
    if not settings.manage_experiment:
        return
    name, declared = settings.names.experiment, settings.object_levels("experiment")
    answer = get_or_none(lambda: client.experiments.get_by_name(name))
    found = answer.experiment if answer else None
    if found is None or found.lifecycle_stage != "active":
        yield missing(f"experiment {name}")
    else:
        number = str(found.experiment_id)
        yield from level_differences(client, f"experiment {name}", "experiments", number, declared)
