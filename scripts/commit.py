"""Which commit of this repository is at work."""

from __future__ import annotations

import subprocess

from scgpt_databricks.infra.layout import ROOT


def git_commit() -> str:
    """The commit, with ``-dirty`` when tracked files were changed since; ``unknown`` where there is
    no git.
    """
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
