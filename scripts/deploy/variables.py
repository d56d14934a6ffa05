"""The variables with which Terraform and the CDK's command line reach one environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.settings import Settings

from .. import connection
from .provider import Provider, find_provider

_OTHER_STATE = ("TF_WORKSPACE", "TF_DATA_DIR")
"""In somebody's shell they would lead Terraform to another state, in which nothing exists yet."""


def provider() -> Provider:
    """Return the Terraform provider that serves on this machine."""
    return find_provider(layout.provider_folder(), Path(sys.executable))


def terraform_variables(settings: Settings) -> dict[str, str]:
    """Return what ``cdktf`` and ``terraform`` need for this environment; no value is a secret."""
    found = {
        **connection.variables(settings),
        "SCGPT_ENVIRONMENT": settings.environment,
        "CHECKPOINT_DISABLE": "1",
        # The Node releases of the CDK's era; it complains at length about each.
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    if settings.folder != layout.ENVIRONMENTS:
        found["SCGPT_ENVIRONMENTS"] = str(settings.folder)
        # Stacks of the same name have another state: they need a folder of their own.
        found["CDKTF_OUTPUT"] = str(layout.runtime_folder(settings.folder) / "cdktf.out")
    serving = provider()
    # The stand-in reaches the local workspace only.
    if serving.kind != "stand-in" or settings.is_local:
        found |= serving.environment()
    return found


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the whole environment of a child process that deploys."""
    foreign = {*connection.foreign_variables(settings), *_OTHER_STATE}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, **terraform_variables(settings)}
