"""Resources of a stack that exist already, with the ids by which Terraform imports them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..deploy.facts import endpoint_of, existing, privileges

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def ids(client: WorkspaceClient, stack: Mapping[str, Any]) -> dict[str, str]:
    """Return address -> import id of the resources of a ``cdk.tf.json`` that the workspace has."""
    return {
        f"{kind}.{name}": identifier
        for kind, resources in stack.get("resource", {}).items()
        for name, attributes in resources.items()
        for identifier in _id(client, kind, attributes, stack)
    }


def add_caller(state: dict[str, Any], caller: tuple[str, str, str]) -> None:
    """Put the caller's own entry into the permissions of a state, from which an import leaves it
    out.
    """
    (permissions,) = (
        instance["attributes"]["access_control"]
        for resource in state["resources"]
        if resource["type"] == "databricks_permissions"
        for instance in resource["instances"]
    )
    kind, name, level = caller
    empty = {"group_name": "", "service_principal_name": "", "user_name": ""}
    permissions.append({**empty, f"{kind[:-1]}_name": name, "permission_level": level})


def _id(
    client: WorkspaceClient, kind: str, attributes: Mapping[str, Any], stack: Mapping[str, Any]
) -> Iterator[str]:
    """The id where the resource exists; nothing where it does not, or is of no kind that
    endpoints made elsewhere have.
    """
    if kind == "databricks_grant":
        securable = next(key for key in ("schema", "model", "volume") if key in attributes)
        full, principal = attributes[securable], attributes["principal"]
        word = "function" if securable == "model" else securable
        if principal in privileges(client, word, full):
            yield f"{securable}/{full}/{principal}"
    elif kind == "databricks_permissions":
        (endpoint,) = stack["resource"]["databricks_model_serving"].values()
        if found := endpoint_of(client, endpoint["name"]):
            yield f"/serving-endpoints/{found['id']}"
    elif there := existing(client, kind, attributes):
        yield there.import_id
