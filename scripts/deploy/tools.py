"""The check that the tools of a deploy are there, and new enough."""

from __future__ import annotations

import os
import re
import subprocess

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.settings.state import OLDEST_TERRAFORM

_NEEDED = {
    "terraform": (
        OLDEST_TERRAFORM,
        ("terraform", "version"),
        "developer.hashicorp.com/terraform/install",
    ),
    # The CDK for Python runs on it.
    "node": ("20.0", ("node", "--version"), "nodejs.org"),
}


def require_tools() -> None:
    """Stop before anything starts where a tool is missing or too old.

    Raises
    ------
    DeployError
        Names every such tool, the version found and the one needed.
    """
    problems = []
    for tool, (needed, command, where) in _NEEDED.items():
        found = _version(command)
        if found is None:
            problems.append(f"{tool} {needed} or newer is needed, and none is on the PATH")
        elif found < tuple(map(int, needed.split("."))):
            have = ".".join(map(str, found))
            problems.append(f"{tool} {needed} or newer is needed, {have} is on the PATH")
        else:
            continue
        problems[-1] += f": install it ({where})"
    if problems:
        raise DeployError("; ".join(problems))


def _version(command: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the major and minor number; None where the tool is missing or says none."""
    try:
        done = subprocess.run(
            command,
            # Terraform would ask the network, and takes arguments from variables.
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("TF_CLI_ARGS")},
                "CHECKPOINT_DISABLE": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except (FileNotFoundError, PermissionError):
        return None
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None
