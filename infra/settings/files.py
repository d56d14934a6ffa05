"""From TOML files to settings: defaults that depend on other keys, all problems at once."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import layout, sizes
from ..errors import SettingsError
from ..plain_secrets import leaves, shown
from ..problems import describe
from .environment import Settings, is_loopback

_INJECTED = frozenset({"environment", "folder"})
_UNSHOWN = frozenset({"environment", "options", "address"})
"""Tables in which a misplaced secret may stand."""
_PRODUCTION = frozenset({"prod", "production", "prd", "live"})
_NOT_PRODUCTION = frozenset({"pre", "non"})
"""Words of an environment's name that tell what it is, where the file does not."""


def known(folder: Path | None = None) -> tuple[str, ...]:
    """Names of the environments in a folder, in order: not ``.#dev.toml``, an editor's lock."""
    files = layout.environments_folder(folder).glob("*.toml")
    return tuple(sorted(path.stem for path in files if not path.name.startswith(".")))


def load(name: str, folder: Path | None = None) -> Settings:
    """Return the settings of the environment whose TOML file has this name.

    It lies in ``folder``, else in ``SCGPT_ENVIRONMENTS``, else in ``infra/environments``.

    Raises
    ------
    SettingsError
        When there is no such environment, when its file is wrong (lists every problem), or when
        another environment of the folder claims the same names on the same workspace. What is
        wrong with other files is no concern of this one.
    """
    folder = layout.environments_folder(folder)
    if name not in (names := known(folder)):
        raise SettingsError(
            f"unknown environment {name!r}: known in {folder} are {', '.join(names) or 'none'}"
        )
    return parse(name, _text(folder / f"{name}.toml"), folder)


def parse(name: str, text: str, folder: Path) -> Settings:
    """Return the settings of a TOML text, as though it lay in the folder under this name.

    Raises
    ------
    SettingsError
        As :func:`load` does; nothing has to lie there yet.
    """
    settings = _read(name, text, folder)
    refuse_shared_names(settings, _readable({*known(folder)} - {name}, folder))
    return settings


def _readable(names: set[str], folder: Path) -> list[Settings]:
    found = []
    for name in sorted(names):
        try:
            found.append(_read(name, _text(folder / f"{name}.toml"), folder))
        except SettingsError:
            continue
    return found


def _read(name: str, text: str, folder: Path) -> Settings:
    path = folder / f"{name}.toml"
    declared = _tables(path, text)
    problems = [
        f"{key}: unknown key (it follows from where the file lies)"
        for key in sorted(_INJECTED & declared.keys())
    ]
    given = {**_with_defaults(declared, name), "environment": name, "folder": str(folder)}
    if "cloud" not in given:
        given["cloud"] = sizes.CLOUDS[0]
        problems.append(f"cloud: missing: the host does not tell; one of {', '.join(sizes.CLOUDS)}")
    try:
        settings = Settings.model_validate_json(
            _as_json(path, given), context=_is_local(declared, name)
        )
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":  # the parser's only limit is on depth
            raise SettingsError(f"{path}: nested too deeply") from None
        problems += [
            describe(entry, Settings, hidden=_INJECTED, unshown=_UNSHOWN)
            for entry in error.errors()
        ]
    problems += _dates(declared)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise SettingsError("\n  ".join([f"{path}: {count}", *problems]))
    return settings


def _as_json(path: Path, given: dict[str, Any]) -> str:
    """The values as JSON, because strict validation takes its arrays for tuples."""
    try:
        return json.dumps(given, default=str)
    except RecursionError:
        raise SettingsError(f"{path}: nested too deeply") from None
    except ValueError as error:  # a hexadecimal number of thousands of digits
        raise SettingsError(f"{path}: a number is too long: {error}") from error


def _dates(declared: dict[str, Any]) -> list[str]:
    """List the mistakes in dates, which would pass for text as JSON."""
    given = dict(declared)
    if isinstance(waivers := given.pop("waivers", ()), list):
        given["waivers"] = [
            {key: value for key, value in waiver.items() if key != "until"}
            for waiver in waivers
            if isinstance(waiver, dict)
        ]
    return [
        f"{shown(key)}: is a date or a time, and none is asked for: text stands in quotes"
        for key, value in leaves(given)
        if isinstance(value, date | time)
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: no TOML: {error}") from error


def _tables(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path}: nested too deeply") from None
    except ValueError as error:  # wrong TOML, a number of thousands of digits
        raise SettingsError(f"{path}: no TOML: {error}") from error


def _called_production(name: str) -> bool:
    words = {*re.findall(r"[a-z]+", name)}  # prod1 and eu-prod are production too
    return bool(words & _PRODUCTION) and not words & _NOT_PRODUCTION


def _with_defaults(declared: dict[str, Any], name: str) -> dict[str, Any]:
    """Add the defaults that depend on the environment's name or on other keys."""
    local = _is_local(declared, name)
    found = {
        "production": _called_production(name),
        "deletion_protection": not local,
        "workspace": {},
        "endpoint": {},
        **declared,
    }
    if isinstance(workspace := found["workspace"], dict):
        profile = {"profile": layout.LOCAL} if local else {}
        found["workspace"] = workspace = {"local": local, **profile, **workspace}
    if isinstance(endpoint := found["endpoint"], dict):
        found["endpoint"] = endpoint = {"scale_to_zero": found["production"] is False, **endpoint}
        if not {"size", "workload_type"} & endpoint.keys():
            endpoint["size"] = "small"
        if not {"workload_size", "provisioned_concurrency"} & endpoint.keys():
            endpoint["workload_size"] = "Small"
    gateway = found.get("gateway")
    if isinstance(gateway, dict) and gateway.get("inference_table_prefix") == "":
        found.setdefault("monitoring", {"enabled": False})
    host = workspace.get("host") if isinstance(workspace, dict) else None
    if local or not isinstance(host, str):
        found.setdefault("cloud", "aws")
    elif cloud := sizes.cloud_of(host):
        found.setdefault("cloud", cloud)
    return found


def _is_local(declared: dict[str, Any], name: str) -> bool:
    """Return True for the local workspace: by its key, its address, or the environment's name."""
    workspace = declared.get("workspace")
    given = workspace if isinstance(workspace, dict) else {}
    if isinstance(said := given.get("local"), bool):
        return said
    return name == layout.LOCAL or is_loopback(str(given.get("host")))


def refuse_shared_names(settings: Settings, others: Iterable[Settings]) -> None:
    """Refuse names that another environment has on the same workspace.

    Each would take the other's resources for its own, and the later deploy would win.

    Raises
    ------
    SettingsError
        Names the other environment and everything that both claim.
    """
    for other in others:
        if not _on_one_workspace(settings, other):
            continue
        theirs, where = _claims(other), settings.workspace.host or "the local one"
        shared = [
            f"{kind} {name}" for kind, name in _claims(settings).items() if theirs[kind] == name
        ]
        if shared:
            raise SettingsError(
                f"{settings.environment} and {other.environment} are on one workspace "
                f"({where}) and both claim {' and '.join(shared)}: give each "
                "environment names of its own, or a workspace of its own"
            )


def _on_one_workspace(one: Settings, other: Settings) -> bool:
    hosts = (one.workspace.host, other.workspace.host)
    return hosts[0] == hosts[1] or (one.is_local and other.is_local and None in hosts)


def _claims(settings: Settings) -> dict[str, str]:
    return {"schema": settings.names.full_schema, "endpoint": settings.names.endpoint}
