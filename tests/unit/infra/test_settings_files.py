"""Files of a folder that cannot be read, are none, or say more than they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.settings import SettingsError
from tests.unit.infra.toml_files import FIVE_LINES, write


def test_a_neighbour_that_cannot_be_read_is_no_concern(tmp_path: Path) -> None:
    write(tmp_path, FIVE_LINES, "prod")
    (tmp_path / ".#prod.toml").symlink_to("me@laptop.1:2")
    (tmp_path / "gone.toml").symlink_to("nowhere")
    (tmp_path / "dev.toml").mkdir()
    write(tmp_path, f"a = {'[' * 3000}", "deep")
    write(tmp_path, f"a = {'[' * 400}{']' * 400}", "deeper")
    write(tmp_path, f"a = {'1' * 5000}", "long")
    assert settings.load("prod", tmp_path).production
    assert not any(name.startswith(".") for name in settings.known(tmp_path)), "an editor's lock"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "Is a directory"),
        (f"a = {'[' * 3000}", "nested too deeply"),
        (f"a = {'[' * 400}{']' * 400}", "nested too deeply"),
        (f"a = {'1' * 5000}", "no TOML: "),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str | None, said: str) -> None:
    if text is None:
        (tmp_path / "dev.toml").mkdir()
    else:
        write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        settings.load("dev", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'dev.toml'}: ")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300
