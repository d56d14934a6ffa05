"""The comparison of a workspace with what is declared, by its API: a plan does not tell all.

After a failed update the provider may believe that it was done, and then plans no change for ever;
what somebody removed in the workspace is often invisible to it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from ..facts import endpoint_of
from .difference import EXISTS, Difference
from .monitoring import monitoring_differences
from .registry import registry_differences
from .serving import await_endpoint, serving_differences

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

__all__ = ["Difference", "await_endpoint", "differences"]


def differences(
    client: WorkspaceClient, settings: Settings, manifest: Manifest | None
) -> list[Difference]:
    """Return the fields in which the workspace is not as declared.

    Without a manifest nothing was released yet, and no endpoint is declared.
    """
    found = registry_differences(client, settings)
    if manifest is not None:
        found += serving_differences(client, settings, manifest)
    elif endpoint_of(client, settings.names.endpoint) is not None:
        undeclared = f"nothing: there is no {settings.manifest_path.name}"
        resource = f"endpoint {settings.names.endpoint}"
        found.append(Difference(resource, EXISTS, declared=undeclared, found=True))
    return found + monitoring_differences(client, settings)
