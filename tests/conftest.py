"""Tests that share a slow fixture go to one process, so that it is made once. And the
options of this suite.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from scgpt_databricks.infra.layout import ROOT

SHARED = ("quickstart", "registry")
"""Session fixtures of the acceptance cases."""


@cache
def group_of(path: str) -> str:
    """The group of a test file: a shared fixture, a folder of acceptance cases, or the file."""
    text = (ROOT / path).read_text()
    used = [name for name in SHARED if f"{name}: Site" in text]
    return used[0] if used else path.rpartition("/")[0] if "/acceptance/" in path else path


class Groups(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        base = re.search(r"\[(\w+)/", test)  # the cases that are read as documents
        return base[1] if base and "/cases/" in path else group_of(path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-cases", action="store_true", help="case.t: as it is said now")
