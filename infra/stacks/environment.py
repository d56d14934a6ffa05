"""The base of every stack: the provider, and the backend in which it keeps its state."""

from __future__ import annotations

import os
from pathlib import Path

from .. import layout, naming
from ..bindings import (
    App,
    AzurermBackend,
    DatabricksProvider,
    GcsBackend,
    HttpBackend,
    LocalBackend,
    S3Backend,
    TerraformStack,
)
from ..settings import AzureState, GoogleState, HttpState, LocalState, S3State, Settings
from ..settings.state import OLDEST_TERRAFORM


class EnvironmentStack(TerraformStack):
    """A stack of one environment, of one of the kinds in :data:`..naming.STACKS`."""

    def __init__(self, app: App, kind: str, settings: Settings) -> None:
        name = settings.names.stack(kind)
        super().__init__(app, name)
        self.add_override("terraform.required_version", f">= {OLDEST_TERRAFORM}")
        # No credentials: they come from the profile or the environment of whoever deploys.
        DatabricksProvider(
            self,
            "databricks",
            host=settings.workspace.host,
            retry_timeout_seconds=settings.workspace.retry_timeout_seconds,
        )
        _declare_backend(self, name, settings, Path(app.outdir))


def _declare_backend(stack: TerraformStack, name: str, settings: Settings, outdir: Path) -> None:
    """Declare the backend that the settings name; credentials never go through here."""
    match settings.state:
        case LocalState():
            # Terraform runs in the stack's folder. Without a declared backend, the CDK would write
            # a path that is absolute on the machine that synthesises.
            workdir = (outdir / "stacks" / name).resolve()
            state = layout.state_folder(settings.folder) / f"{name}.tfstate"
            LocalBackend(stack, path=os.path.relpath(state, workdir))
            return
        case S3State() as s3:
            S3Backend(
                stack,
                bucket=s3.bucket,
                key=naming.state_key(s3.prefix, name),
                region=s3.region,
                encrypt=True,
                dynamodb_table=s3.dynamodb_table,
            )
            if s3.use_lockfile:  # the binding is older than the argument
                stack.add_override("terraform.backend.s3.use_lockfile", True)
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
        case HttpState() as http:
            address = f"{http.address.rstrip('/')}/{name}"
            HttpBackend(
                stack,
                address=address,
                lock_address=f"{address}/lock",
                lock_method=http.lock_method,
                unlock_address=f"{address}/lock",
                unlock_method=http.unlock_method,
            )
    for key, value in settings.state.options.items():
        stack.add_override(f"terraform.backend.{settings.state.backend}.{key}", value)
