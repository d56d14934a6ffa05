"""The base of every stack: the provider, and a place for its state."""

from __future__ import annotations

from pathlib import Path

from ..bindings import App, DatabricksProvider, TerraformStack
from ..settings import Settings
from ..settings.state import OLDEST_TERRAFORM
from .backend import declare_backend


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
        declare_backend(self, name, settings, Path(app.outdir))
