"""What every stack has: the provider, and a place for its state."""

from __future__ import annotations

import os
from pathlib import Path

from infra import layout, naming
from infra.bindings import (
    App,
    AzurermBackend,
    DatabricksProvider,
    GcsBackend,
    LocalBackend,
    S3Backend,
    TerraformStack,
)
from infra.settings import AzureState, GoogleState, LocalState, S3State, Settings


class EnvironmentStack(TerraformStack):
    """A stack of one environment, of one of the kinds in :data:`infra.naming.STACKS`."""

    def __init__(self, app: App, kind: str, settings: Settings) -> None:
        name = settings.names.stack(kind)
        super().__init__(app, name)
        # No credentials: they come from the profile or the environment of whoever deploys.
        DatabricksProvider(
            self,
            "databricks",
            host=settings.workspace.host,
            retry_timeout_seconds=settings.workspace.retry_timeout_seconds,
        )
        _declare_backend(self, name, settings, Path(app.outdir))


def _declare_backend(stack: TerraformStack, name: str, settings: Settings, outdir: Path) -> None:
    match settings.state:
        case LocalState():
            # Terraform runs in the stack's folder. Without a declared backend, the CDK would write
            # a path that is absolute on the machine that synthesises.
            workdir = (outdir / "stacks" / name).resolve()
            state = layout.state_folder(settings.folder) / f"{name}.tfstate"
            LocalBackend(stack, path=os.path.relpath(state, workdir))
        case S3State() as s3:
            S3Backend(
                stack,
                bucket=s3.bucket,
                key=naming.state_key(s3.prefix, name),
                region=s3.region,
                encrypt=True,
                dynamodb_table=s3.dynamodb_table,
            )
        case AzureState() as azure:
            AzurermBackend(
                stack,
                resource_group_name=azure.resource_group,
                storage_account_name=azure.storage_account,
                container_name=azure.container,
                key=naming.state_key(azure.prefix, name),
            )
        case GoogleState() as google:
            # The backend itself adds `/<workspace>.tfstate`.
            GcsBackend(stack, bucket=google.bucket, prefix=naming.state_key(google.prefix, name))
