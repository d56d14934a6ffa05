"""The repository's environments in a folder of the test's own, where manifests may be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scgpt_databricks.infra import layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for source in layout.ENVIRONMENTS.glob("*.toml"):
        shutil.copy(source, tmp_path)
    return tmp_path
