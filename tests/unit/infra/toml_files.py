"""Settings as the tests write them: the shortest that there are, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.settings import SettingsError

FIVE_LINES = """
catalog = "lab"
[workspace]
host = "https://dbc-9.cloud.databricks.com"
[state]
backend = "local"
"""


def write(folder: Path, text: str, name: str = "dev") -> Path:
    (folder / f"{name}.toml").write_text(text)
    return folder


def problems(folder: Path, text: str, name: str = "dev") -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.load(name, write(folder, text, name))
    return [line.strip() for line in str(caught.value).splitlines()]


def changed(folder: Path, old: str, new: str, name: str = "dev") -> settings.Settings:
    assert old in FIVE_LINES
    return settings.load(name, write(folder, FIVE_LINES.replace(old, new), name))
