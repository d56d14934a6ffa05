"""Schema, volumes, registered model, grants and experiment against the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from infra.settings import Securable, Settings

from .difference import ABSENT, Difference, get_or_none, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def registry_differences(client: WorkspaceClient, settings: Settings) -> list[Difference]:
    """What of the registry stack is not as declared.

    Grants that others made are left alone, so what somebody holds beyond the declared is none of
    our differences.
    """
    names = settings.names
    schema, model = names.full_schema, names.full_model
    # Unity Catalog files the grants on models under functions.
    wanted: list[tuple[Securable, str, str, Callable[[], object]]] = [
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
        if get_or_none(get) is None:
            found.append(missing(resource))
        else:
            declared = settings.privileges(securable)
            found += _grants(client, resource, kind, name, declared)
    return found + list(_experiment(client, settings))


def _grants(
    client: WorkspaceClient,
    resource: str,
    kind: str,
    name: str,
    declared: dict[str, tuple[str, ...]],
) -> Iterator[Difference]:
    answer = client.grants.get(kind, name)
    held = {
        str(assignment.principal): {privilege.value for privilege in assignment.privileges or []}
        for assignment in answer.privilege_assignments or []
    }
    for principal, privileges in declared.items():
        has = held.get(principal, set())
        if not has >= set(privileges):
            listed = ", ".join(sorted(has)) or ABSENT
            yield Difference(resource, f"grant to {principal}", ", ".join(privileges), listed)


def _experiment(client: WorkspaceClient, settings: Settings) -> Iterator[Difference]:
    if settings.manage_experiment:
        name = settings.names.experiment
        answer = get_or_none(lambda: client.experiments.get_by_name(name))
        stage = answer.experiment.lifecycle_stage if answer and answer.experiment else None
        if stage != "active":
            yield missing(f"experiment {name}")
