"""Secrets in the wrong place are refused, and no message repeats one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from tests.unit.infra.toml_files import FIVE_LINES, problems, write

HOST = 'host = "https://dbc-9.cloud.databricks.com"'


@pytest.mark.parametrize(
    "tag",
    [
        'token = "hunter2hunter2"',
        '"db.password" = "hunter2"',
        'owner = "dapi0123456789abcdef"',
        'chat = "https://hooks.slack.com/services/T0/B0/x"',
    ],
)
def test_tags_are_plain_text(tmp_path: Path, tag: str) -> None:
    (_, line) = problems(tmp_path, f"{FIVE_LINES}[tags]\n{tag}\n")
    name, value = (part.strip('"') for part in tag.split(" = "))
    assert line.startswith(f"tags: {name}: looks like a secret")
    assert value not in line


def test_tags_that_only_sound_so(tmp_path: Path) -> None:
    tags = {
        "team": "sk-engineering-east",
        "project_key": "SCGPT",
        "private": "true",
        "key": "4711",
        "tokens": "30000",
    }
    table = "".join(f'{name} = "{value}"\n' for name, value in tags.items())
    assert settings.load("dev", write(tmp_path, f"{FIVE_LINES}[tags]\n{table}")).tags == tags


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (
            "[state]",
            '[endpoint]\ndescription = "ask with dapi0123456789abcdef"\n[state]',
            "endpoint.description",
        ),
        ("[workspace]", 'owner = "ghp_abcdefghij0123456789"\n[workspace]', "owner"),
        (
            'backend = "local"',
            'backend = "gcs"\nbucket = "b"\nprefix = "hf_abcdefghijklm"',
            "state.prefix",
        ),
    ],
)
def test_no_text_is_a_secret(tmp_path: Path, old: str, new: str, key: str) -> None:
    (_, line) = problems(tmp_path, FIVE_LINES.replace(old, new))
    assert line == f"{key}: looks like a secret, which never stands in this file: take it out"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (HOST, 'host = "https://me:hunter2@dbc-9.cloud.databricks.com"', "workspace.host"),
        (HOST, 'host = "https://hunter2@dbc-9.cloud.databricks.com"', "workspace.host"),
        (HOST, 'host = "me:hunter2@dbc-9.cloud.databricks.com"', "workspace.host"),
        (HOST, 'host = "https://dbc-9.cloud.databricks.com?token=hunter2"', "workspace.host"),
        (HOST, 'host = ["https://me:hunter2@dbc-9.cloud.databricks.com"]', "workspace.host"),
        ('catalog = "lab"', 'catalog = "dapi0123456789hunter2"', "catalog"),
        (
            "[state]",
            '[permissions.users]\n"dapi0123456789hunter2" = "CAN_VIEW"\n[state]',
            "permissions.users.(not shown)",
        ),
        ('backend = "local"', 'backend = "https://me:hunter2@example.com"', "state.backend"),
    ],
)
def test_what_was_wrong_is_not_repeated_where_a_secret_is_in_it(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    lines = problems(tmp_path, FIVE_LINES.replace(old, new))
    assert any(line.startswith(f"{key}: ") for line in lines)
    assert "hunter2" not in "\n".join(lines)
