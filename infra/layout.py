"""Where things lie: the repository, its environments, and what is made at run time.

What people write and review is tracked; what a run makes lies in one *runtime folder*: ``.local/``
of the repository, or, for environments kept elsewhere (tests, trials), the folder of those
environments itself. Two environment folders therefore never share state, manifests or credentials.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / "infra" / "environments"
RUNTIME = ROOT / ".local"

LOCAL = "local"
"""The environment of the local workspace: the only one whose manifest is no tracked file."""


def environments_folder(folder: Path | None = None) -> Path:
    """The folder of the environments: ``folder``, else ``SCGPT_ENVIRONMENTS``, else the
    repository's.
    """
    if folder is None:
        named = os.environ.get("SCGPT_ENVIRONMENTS")
        folder = Path(named) if named else ENVIRONMENTS
    return folder.resolve()


def runtime_folder(environments: Path) -> Path:
    """Where runs of the environments in this folder keep what they make."""
    return RUNTIME if environments == ENVIRONMENTS else environments


def manifest_path(environments: Path, environment: str) -> Path:
    """The release manifest of an environment: beside its TOML file, that of ``local`` at run
    time's.
    """
    folder = runtime_folder(environments) if environment == LOCAL else environments
    return folder / f"{environment}.release.json"


def state_folder(environments: Path) -> Path:
    """Terraform state of the environments that keep it in local files."""
    return runtime_folder(environments) / "state"
