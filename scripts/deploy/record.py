"""The record of the last deploy: a small file in the environment's volume.

It is no resource of a stack, so no plan and no verification shows it as drift, and whoever may read
the volume sees it, from any machine and without Terraform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from scgpt_databricks.infra.settings import Settings

from .. import volume

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


class Record(BaseModel):
    """One deploy that changed something and was verified."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    by: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,256}$")]
    """User name, or application id of a service principal."""
    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{40}(-dirty)?|unknown|v[\w.]+)$")]
    """The commit of this repository, or the version of an installed package."""
    plan_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """As in the review of the plan."""


def write(client: WorkspaceClient, settings: Settings, record: Record) -> None:
    """Put the record in the place of the one before; the volume must exist."""
    volume.write(client, settings.names.deploy_record, record)


def last(client: WorkspaceClient, settings: Settings) -> Record | None:
    """Return the last deploy; None where none was recorded, or the record cannot be read."""
    return volume.read(client, settings.names.deploy_record, Record)
