"""The variables with which Terraform and the CDK's command line reach one environment."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.settings import Settings

from .. import connection
from .provider import Provider, find_provider

_OTHER_PLANS = re.compile(r"TF_WORKSPACE|TF_DATA_DIR|TF_CLI_ARGS(_\w+)?")
"""In somebody's shell they lead Terraform to another state, or to another plan than is shown."""
_HARMLESS = re.compile(r"--?(lock-timeout|parallelism)=\S+")
"""The arguments of single commands that change no plan; pipelines wait for locks with them."""
_NO_PROXY = ("NO_PROXY", "no_proxy")


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
    found |= _harmless_arguments()
    found |= {name: os.environ[name] for name in _NO_PROXY if name in os.environ}
    serving = provider()
    # The stand-in reaches the local workspace only.
    if serving.kind != "stand-in" or settings.is_local:
        found |= serving.environment()
    return found


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the whole environment of a child process that deploys."""
    foreign = foreign_variables(settings)
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, **terraform_variables(settings)}


def foreign_variables(settings: Settings) -> list[str]:
    """Name the variables of this process that would lead a deploy elsewhere."""
    ours = _harmless_arguments()
    terraforms = {name for name in os.environ if _OTHER_PLANS.fullmatch(name) and name not in ours}
    return sorted({*connection.foreign_variables(settings), *terraforms})


def _harmless_arguments() -> dict[str, str]:
    """Return what stays of Terraform's arguments in the shell, by the command that takes them."""
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if name.startswith("TF_CLI_ARGS_"):
            kept = [each for each in value.split() if _HARMLESS.fullmatch(each)]
            found |= {name: " ".join(kept)} if kept else {}
    return found
