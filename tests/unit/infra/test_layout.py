"""Folders of a checkout, and of an installed package, which has no repository around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.errors import SettingsError


def test_a_checkout_has_its_own_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCGPT_ENVIRONMENTS", raising=False)
    assert layout.environments_folder() == layout.ENVIRONMENTS
    assert layout.provider_folder().is_relative_to(layout.ROOT)


def test_an_installed_package_asks_for_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "IN_CHECKOUT", False)
    monkeypatch.delenv("SCGPT_ENVIRONMENTS", raising=False)
    with pytest.raises(SettingsError, match="set SCGPT_ENVIRONMENTS to the folder"):
        layout.environments_folder()
    assert layout.environments_folder(tmp_path) == tmp_path
    monkeypatch.setenv("SCGPT_ENVIRONMENTS", str(tmp_path))
    assert layout.environments_folder() == tmp_path


def test_an_installed_package_writes_nothing_beside_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "IN_CHECKOUT", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert layout.provider_folder().is_relative_to(tmp_path)
