"""The places of things: the repository, its environments, and what is made at run time.

What people write and review is tracked; what a run makes lies in one *runtime folder*: ``.local/``
of the repository, or, for environments kept elsewhere (tests, trials), the folder of those
environments itself. Two environment folders therefore never share state, manifests or credentials.

An installed package has no repository: its environments are always named, and nothing is written
beside its code.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import SettingsError

ROOT = Path(__file__).resolve().parents[1]
"""The repository; of an installed package its folder."""
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file()
ENVIRONMENTS = ROOT / "infra" / "environments"
RUNTIME = ROOT / ".local"

LOCAL = "local"
"""The environment, and the profile, that are of the local workspace without saying so."""


def environments_folder(folder: Path | None = None) -> Path:
    """Return the folder of the environments.

    That is `folder`, else ``SCGPT_ENVIRONMENTS``, else the repository's.

    Raises
    ------
    SettingsError
        None is named, and this is no checkout of the repository.
    """
    if folder is None:
        named = os.environ.get("SCGPT_ENVIRONMENTS")
        if not named and not IN_CHECKOUT:
            raise SettingsError(
                "no folder of environments: set SCGPT_ENVIRONMENTS to the folder with the TOML "
                f"files of your environments. Files to begin with lie in {ENVIRONMENTS}; copy one, "
                "since nothing may be written there"
            )
        folder = Path(named) if named else ENVIRONMENTS
    return folder.resolve()


def runtime_folder(environments: Path) -> Path:
    """Return the folder in which runs of these environments keep what they make."""
    return RUNTIME if environments == ENVIRONMENTS else environments


def provider_folder() -> Path:
    """Return the folder that remembers which Terraform provider serves on this machine."""
    if IN_CHECKOUT:
        return RUNTIME / "terraform"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return caches / "scgpt-databricks" / "terraform"


def manifest_path(environments: Path, environment: str, *, local: bool) -> Path:
    """Return the path of an environment's release manifest: beside its TOML file.

    That of a local workspace names what is on this machine alone: it lies in the runtime folder.
    """
    folder = runtime_folder(environments) if local else environments
    return folder / f"{environment}.release.json"


def state_folder(environments: Path) -> Path:
    """Terraform state of the environments that keep it in local files."""
    return runtime_folder(environments) / "state"
