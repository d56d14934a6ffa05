"""Schema, volumes, registered model, grants and experiment against the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.naming import COMMENTS
from scgpt_databricks.infra.settings import Securable, Settings

from ...connection import get_or_none
from .. import deployment_job
from ..facts import privileges
from .difference import ABSENT, Difference, compare, level_differences, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def registry_differences(client: WorkspaceClient, settings: Settings) -> list[Difference]:
    """Return the differences of the registry stack.

    Grants that others made are left alone, so what somebody holds beyond the declared is none of
    our differences.
    """
    names = settings.names
    # Unity Catalog files the grants on models under functions.
    wanted: list[tuple[Securable, str, str, Callable[[str], Any]]] = [
        ("schema", "schema", names.full_schema, client.schemas.get),
        ("volume", "volume", names.full_volume, client.volumes.read),
        ("checkpoints_volume", "volume", names.full_checkpoints_volume, client.volumes.read),
        ("model", "function", names.full_model, client.registered_models.get),
    ]
    found: list[Difference] = []
    for securable, kind, name, get in wanted:
        resource = f"{'model' if kind == 'function' else kind} {name}"
        there = get_or_none(partial(get, name))
        if there is None:
            found.append(missing(resource))
            continue
        declared, has = {"comment": COMMENTS[securable]}, {"comment": there.comment or ABSENT}
        if kind == "volume":
            declared["type"] = "MANAGED"
            has["type"] = there.volume_type.value if there.volume_type else ABSENT
        found += compare(resource, declared, has)
        found += _grants(client, resource, kind, name, settings.privileges(securable))
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
