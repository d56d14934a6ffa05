"""An environment's file with some keys changed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scgpt_databricks.infra import layout


def write_settings(folder: Path, **changes: Any) -> None:
    """The repository's ``local.toml``, with tables merged and values replaced; None removes."""
    declared = tomllib.loads((layout.ENVIRONMENTS / "local.toml").read_text())
    (folder / "local.toml").write_text("\n".join(_lines(_merged(declared, changes))) + "\n")


def _merged(declared: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(declared)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged(found[key], value)
        else:
            found[key] = value
    return {key: value for key, value in found.items() if value is not None}


def _lines(table: Mapping[str, Any]) -> list[str]:
    # Dotted keys and inline tables: no section can be declared twice.
    return [f"{key} = {_inline(value)}" for key, value in table.items()]


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, default=str) if not hasattr(value, "isoformat") else str(value)
