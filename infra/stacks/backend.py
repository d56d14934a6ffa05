"""The backend in which a stack keeps its state."""

from __future__ import annotations

import os
from pathlib import Path

from .. import layout, naming
from ..bindings import (
    AzurermBackend,
    GcsBackend,
    HttpBackend,
    LocalBackend,
    S3Backend,
    TerraformStack,
)
from ..settings import AzureState, GoogleState, HttpState, LocalState, S3State, Settings


def declare_backend(stack: TerraformStack, name: str, settings: Settings, outdir: Path) -> None:
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
