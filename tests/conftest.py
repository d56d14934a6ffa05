"""Tests that share a slow fixture run in one process, so that two processes never both make it."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = ("quickstart", "registry")
"""Session fixtures of the acceptance cases, in the order in which one of them decides."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = Path(item.nodeid.partition("::")[0])
        used = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
        group = used[0] if used else str(folder.parent if "acceptance" in folder.parts else folder)
        item.add_marker(pytest.mark.xdist_group(group))
