"""Composition root: environments -> stacks -> synth. ``cdktf.json`` runs it."""

from __future__ import annotations

import os
import sys

from . import settings
from .bindings import App
from .errors import InfraError
from .release import Manifest
from .settings import Settings
from .stacks.monitoring import MonitoringStack
from .stacks.registry import RegistryStack
from .stacks.serving import ServingStack


def build(app: App, environment: Settings, manifest: Manifest | None) -> None:
    """Add the stacks of one environment."""
    RegistryStack(app, environment)
    if manifest is not None:
        ServingStack(app, environment, manifest)
    MonitoringStack(app, environment)


def main() -> None:
    """Synthesise the environment that ``SCGPT_ENVIRONMENT`` names, or every one that is right."""
    only = os.environ.get("SCGPT_ENVIRONMENT")
    names = [only] if only else settings.known()
    app, broken = App(), 0
    for name in names:
        try:
            each = settings.load(name).deployed_by(os.environ.get("SCGPT_DEPLOYER"))
            build(app, each, each.released())
        except InfraError as error:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
            broken += 1
    if broken and broken == len(names):
        sys.exit(1)
    app.synth()


if __name__ == "__main__":
    main()
