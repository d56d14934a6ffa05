"""Find the commit of this repository that is at work."""

from __future__ import annotations

import subprocess

import scgpt_databricks
from scgpt_databricks.infra.layout import IN_CHECKOUT, ROOT


def git_commit() -> str:
    """Return the commit, with ``-dirty`` when tracked files were changed since.

    It is ``unknown`` where there is no git. An installed package names its version instead.
    """
    if not IN_CHECKOUT:  # the environment may lie in somebody else's repository
        return f"v{scgpt_databricks.__version__}"
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
