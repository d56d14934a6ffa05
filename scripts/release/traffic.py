"""Set the versions and shares of an endpoint by the API, at once, as a manifest names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgpt_databricks.infra.endpoint import describe, shares
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from ..deploy.facts import endpoint_of, update_of
from ..deploy.verify import await_endpoint
from .steps import Step

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def live(client: WorkspaceClient, settings: Settings) -> dict[str, int] | None:
    """Return name behind the endpoint -> percent of the requests; None without an endpoint."""
    endpoint = endpoint_of(client, settings.names.endpoint)
    if endpoint is None:
        return None
    return shares(endpoint.get("config"))


def wanted(manifest: Manifest) -> dict[str, int]:
    """Return the same as a manifest says."""
    return {manifest.name_of(each): each.traffic for each in manifest.served}


def apply(client: WorkspaceClient, settings: Settings, manifest: Manifest) -> None:
    """Let the endpoint serve what a manifest names, and wait until it does.

    Where only shares change, nothing is built and nothing is waited for.

    Raises
    ------
    DeployError
        The endpoint could not be updated; the old configuration goes on.
    """
    name = settings.names.endpoint
    await_endpoint(client, settings)  # one update at a time
    body = describe(settings, manifest)["config"]
    client.api_client.do("PUT", f"/api/2.0/serving-endpoints/{name}/config", body=body)
    await_endpoint(client, settings)
    endpoint = endpoint_of(client, name)
    if endpoint is not None and update_of(endpoint) in ("UPDATE_FAILED", "UPDATE_CANCELED"):
        raise DeployError(
            f"endpoint {name}: {update_of(endpoint)}; it serves what it served before. Its events "
            "tell the cause"
        )


def move(client: WorkspaceClient, settings: Settings, manifest: Manifest) -> Step:
    """Return the step that gives the requests to what a manifest names."""
    return Step(
        "move the requests",
        lambda: live(client, settings) == wanted(manifest),
        lambda: apply(client, settings, manifest),
    )
