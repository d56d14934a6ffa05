"""Composition root: environments -> stacks -> synth. ``cdktf.json`` runs it."""

from __future__ import annotations

import os
import sys

from infra import release, settings
from infra.bindings import App
from infra.errors import InfraError
from infra.release import Manifest
from infra.settings import Settings
from infra.stacks.registry import RegistryStack
from infra.stacks.serving import ServingStack


def build(app: App, environment: Settings, manifest: Manifest | None) -> None:
    """Add the stacks of one environment."""
    RegistryStack(app, environment)
    if manifest is not None:
        ServingStack(app, environment, manifest)


def main() -> None:
    """Synthesise every environment, or the one that ``SCGPT_ENVIRONMENT`` names."""
    only = os.environ.get("SCGPT_ENVIRONMENT")
    app = App()
    try:
        for name in [only] if only else settings.known():
            each = settings.load(name)
            build(app, each, release.find(each.manifest_path, model=each.names.full_model))
    except InfraError as error:
        sys.exit(f"error: {error}")
    app.synth()


if __name__ == "__main__":
    main()
