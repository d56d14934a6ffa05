"""Calls the entry point of an installed wheel, as a Databricks job does.

A script of its own, on the standard library only: ``python wheel_entry.py PACKAGE ENTRY ARG ...``.
ENTRY is the name of an entry point of the distribution PACKAGE, or of a function of that module.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any


def _function(package: str, entry: str) -> Callable[[], Any]:
    try:
        points = [point for point in distribution(package).entry_points if point.name == entry]
    except PackageNotFoundError:
        sys.exit(f"No distribution {package!r} is installed; package_name must be the wheel's.")
    if points:
        found: Callable[[], Any] = points[0].load()
        return found
    try:
        named: Callable[[], Any] = getattr(importlib.import_module(package), entry)
    except (ImportError, AttributeError):
        sys.exit(f"{package!r} has neither an entry point nor a function {entry!r}.")
    return named


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this script
    _, package, entry, *arguments = sys.argv
    sys.argv = [package, *arguments]
    _function(package, entry)()  # what it returns says nothing about success
