"""Write the TOML file of a new environment: the five lines that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import RefusedError, SettingsError
from scgpt_databricks.infra.settings import Endpoint, Settings
from scgpt_databricks.whole_file import write_text

from .connection import profiles_file, profiles_in
from .toml import to_toml


@dataclass(frozen=True)
class NewEnvironment:
    """A TOML file, written or not."""

    path: Path
    text: str
    settings: Settings


def new_environment(
    name: str,
    *,
    host: str | None,
    catalog: str,
    schema: str | None = None,
    endpoint: str | None = None,
    profile: str | None = None,
    cloud: str | None = None,
    state: Mapping[str, Any],
    folder: Path | None = None,
    dry_run: bool = False,
) -> NewEnvironment:
    """Describe a new environment in the folder of environments.

    Without a host it is one of the local workspace. Where no endpoint is named and a neighbour has
    the usual name on the same workspace, the environment's name makes it another one.

    Raises
    ------
    RefusedError
        There is such a file already.
    SettingsError
        The values are wrong, or another environment claims the same names; nothing was written.
    """
    target = layout.environments_folder(folder)
    path = target / f"{name}.toml"
    if path.exists():
        raise RefusedError(
            f"{path} exists: edit it, or choose another name, or another folder with --environments"
        )

    def described(endpoint: str | None) -> NewEnvironment:
        tables = {
            "catalog": catalog,
            "schema": schema,
            "cloud": cloud,
            "workspace": {"local": None if host else True, "host": host, "profile": profile},
            "endpoint": {"name": endpoint},
            "state": state,
        }
        heading = f"Written by `scgpt init {name}`; dev.toml explains every key."
        text = to_toml(_given(tables), heading)
        return NewEnvironment(path, text, settings.parse(name, text, target))

    try:
        new = described(endpoint)
    except SettingsError:
        if endpoint is not None:
            raise
        new = described(f"{Endpoint.model_fields['name'].default}-{name}")
    if not dry_run:
        write_text(path, new.text)
    return new


def _given(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not given, to have the default."""
    inner = {key: _given(v) if isinstance(v, Mapping) else v for key, v in tables.items()}
    return {key: value for key, value in inner.items() if value not in (None, {})}


def address(text: str) -> str:
    """Return the host of a workspace from its address, as a browser shows it."""
    found = urlsplit(text if "://" in text else f"https://{text}")
    return f"{found.scheme}://{found.netloc}".lower()


def address_of(profile: str) -> str:
    """Return the address in a profile of this machine.

    Raises
    ------
    SettingsError
        There is no such profile.
    """
    file = profiles_file()
    host = profiles_in(file).get(profile, "host", fallback=None)
    if host is None:
        raise SettingsError(f"{file} has no profile {profile!r} with a host: give --host as well")
    return address(host)
