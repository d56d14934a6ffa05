"""Extras of the installed distribution: `pip install` brings the client, they bring the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import click

DISTRIBUTION = "scgpt-databricks"

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w,]+)\])?.*;\s*extra\s*==\s*[\"'](\w+)[\"']\s*")


def require_extra(command: str, extra: str) -> None:
    """Refuse a command whose extra is not installed, before it begins.

    Raises
    ------
    click.ClickException
        Names the missing packages and how to install them.
    """
    missing = [name for name in _packages(extra) if not _installed(name)]
    if missing:
        raise click.ClickException(
            f"{command} needs the extra {extra!r}, without which {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing: "
            f"pip install '{DISTRIBUTION}[{extra}]'"
        )


def _packages(extra: str) -> Iterator[str]:
    for line in requires(DISTRIBUTION) or ():
        found = _REQUIREMENT.fullmatch(line)
        if found and found[3] == extra:
            yield found[1]


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
