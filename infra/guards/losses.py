"""Plans that destroy what cannot be brought back, or create what is there already."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import ENDPOINT
from ..settings import Settings
from .findings import Facts, Finding, Planned
from .waivers import waive

_MODEL = "databricks_registered_model"
_GOVERNED = {
    "databricks_schema": "everything in it",
    "databricks_volume": "the files in it",
    _MODEL: "all its versions",
    "databricks_mlflow_experiment": "its runs and their metrics",
    ENDPOINT: "the endpoint, which stops answering",
}


def losses(planned: Planned) -> Iterator[Finding]:
    """Refuse to delete, replace or forget resources of the governed types."""
    if planned.change.type not in _GOVERNED or not {"delete", "forget"} & {*planned.change.actions}:
        return
    if "forget" in planned.change.actions:
        yield planned.finds(
            "forgotten",
            "would leave Terraform's state and stay in the workspace, where no plan sees it any "
            "more",
            "Take the `removed` block out; where another configuration is to govern it, import it "
            "there first and waive this check.",
        )
    elif planned.change.reason == "replace_because_tainted":
        yield _tainted(planned)
    elif "create" in planned.change.actions:
        yield _replaced(planned)
    else:
        yield planned.finds(
            "deletion",
            f"would be deleted, losing {_GOVERNED[planned.change.type]}",
            f"Put it back; where it is meant, run `scgpt destroy {_environment(planned)}`.",
        )


def ungoverned(settings: Settings, facts: Facts, *, released: bool) -> Iterator[Finding]:
    """Refuse an endpoint whose manifest was lost: no stack declares it, so no plan shows it."""
    name = settings.names.endpoint
    if released or name not in facts.endpoints:
        return
    found = Finding(
        "manifest-missing",
        settings.environment,
        f"the endpoint {name} exists, but {settings.manifest_path.name} does not: nothing would "
        "govern it",
        "Put the manifest back from git. Where the endpoint is to go, put it back and run `scgpt "
        f"destroy {settings.environment}`; where it was made elsewhere, take it over: `scgpt adopt "
        f"{settings.environment} --endpoint {name}`.",
    )
    yield waive(found, settings, facts.today)


def existing(planned: Planned) -> Iterator[Finding]:
    """Tell of what would be created and is there: the platform would refuse it half way."""
    found = planned.facts.existing.get(planned.change.address)
    if found is None or not (planned.change.created or planned.change.importing):
        return
    if planned.facts.left_over(planned.change.address):
        yield planned.finds(
            "exists-already",
            "exists in the workspace already"
            if found.anyones
            else "exists in the workspace, made by an earlier deploy that was cut off",
            "A deploy removes it, since it never worked, and makes it anew."
            if found.broken
            else "A deploy takes it over instead of creating it.",
            "warn",
        )
    else:
        yield planned.finds(
            "exists-already",
            "exists in the workspace, but not in Terraform's state; it was made by "
            f"{found.creator or 'somebody'}",
            "Use another name, or take it over: `scgpt adopt`, or in the stack's folder "
            f"`terraform import {planned.change.address} {found.import_id}`.",
        )


def _tainted(planned: Planned) -> Finding:
    """Judge what a creation left that stopped half way."""
    half = "was created only half way and would be replaced"
    if _is_empty(planned):
        return planned.finds("tainted", half, "Nothing depends on it yet: it is made anew.", "warn")
    return planned.finds(
        "tainted",
        f"{half}, losing {_GOVERNED[planned.change.type]}",
        f"If it is whole, run `terraform untaint {planned.change.address}` in the stack's folder.",
    )


def _is_empty(planned: Planned) -> bool:
    """Return True where nothing is lost; nobody is asked what schemas and volumes hold."""
    if planned.change.type == ENDPOINT:
        return planned.endpoint is not None and not planned.endpoint.ready
    if planned.change.type != _MODEL or planned.facts.versions is None:
        return False
    parts = ("catalog_name", "schema_name", "name")
    model = ".".join(str(planned.change.before.get(part)) for part in parts)
    return all(name != model for name, _ in planned.facts.versions)


def _replaced(planned: Planned) -> Finding:
    paths = planned.change.replace_paths
    if planned.change.type == ENDPOINT and ["route_optimized"] in paths:
        return planned.finds(
            "route-optimization",
            "route_optimized would change, which is fixed at creation: the endpoint would be "
            "deleted and made anew",
            "Undo the change, or give the endpoint another name in an environment of its own and "
            "move its callers: route optimisation also changes the URL and refuses personal "
            "tokens.",
        )
    fields = ", ".join(".".join(str(part) for part in path) for path in paths)
    return planned.finds(
        "replacement",
        f"would be deleted and made anew because of {fields or 'its new attributes'}, "
        f"losing {_GOVERNED[planned.change.type]}",
        f"Undo the change; where it is meant, run `scgpt destroy {_environment(planned)}` with "
        "the old settings first.",
    )


def _environment(planned: Planned) -> str:
    return planned.settings.environment if planned.settings else "ENV"
