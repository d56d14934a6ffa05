"""No text of the file is a template of Terraform, and no key is a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from tests.unit.infra.toml_files import FIVE_LINES, problems, write

SECRET = "dapi0123456789abcdef"


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('[tags]\nproject = "${path.cwd}"', "tags.project"),
        ('[endpoint]\ndescription = "100 %{ off"', "endpoint.description"),
        ('[tags]\nproject = "#{TfToken[TOKEN.0]}"', "tags.project"),
        ('[endpoint]\nenvironment = { HOME_OF = "$${x}" }', "endpoint.environment.HOME_OF"),
        ('[permissions.groups]\n"a ${file(x)}" = "CAN_QUERY"', "a key of permissions.groups"),
        ('[[grants]]\nprincipal = "${path.root}"\nschema = ["SELECT"]', "grants.0.principal"),
        ('[monitoring]\nwarehouse_id = "${path.cwd}"', "monitoring.warehouse_id"),
    ],
)
def test_what_terraform_would_evaluate(tmp_path: Path, table: str, place: str) -> None:
    (_, line) = problems(tmp_path, f"{FIVE_LINES}{table}\n")
    assert line.startswith(place)
    assert "template of Terraform" in line


def test_templates_in_the_state_and_the_profile(tmp_path: Path) -> None:
    text = FIVE_LINES.replace("[state]", 'profile = "${path.cwd}"\n[state]')
    text = text.replace('"local"', '"gcs"\nbucket = "b"\nprefix = "${terraform.workspace}"')
    (_, line) = problems(tmp_path, text)
    assert line.startswith("workspace.profile, state.prefix: ")


def test_braces_and_dollars_alone_are_text(tmp_path: Path) -> None:
    text = f'{FIVE_LINES}[tags]\ncost = "5 $ {{a}} 100 % $x #{{y}}"\n'
    assert settings.load("dev", write(tmp_path, text)).tags["cost"] == "5 $ {a} 100 % $x #{y}"


@pytest.mark.parametrize(
    ("table", "place"),
    [
        (f'[tags]\n{SECRET} = "x"', "a key of tags: "),
        (f'[tags]\n{SECRET} = "${{x}}"', "a key of tags: "),
        (f'[tags]\n"token.{SECRET}" = "x"', "tags: (not shown)"),
        (f'[permissions.groups]\n"{SECRET}" = "CAN_QUERY"', "a key of permissions.groups: "),
        (f'[endpoint]\nenvironment = {{ {SECRET} = "x" }}', "a key of endpoint.environment: "),
    ],
)
def test_no_key_is_a_secret(tmp_path: Path, table: str, place: str) -> None:
    (_, line) = problems(tmp_path, f"{FIVE_LINES}{table}\n")
    assert line.startswith(place)
    assert "looks like a secret" in line
    assert SECRET not in line


@pytest.mark.parametrize(
    ("top", "tables"),
    [
        ('readers = ["Team", "team"]', ""),
        ('owner = "Team"\nreaders = ["team"]', ""),
        (
            'deployer = "Ann@example.com"',
            '[permissions.users]\n"ann@example.com" = "CAN_MANAGE"',
        ),
        ("", '[permissions.groups]\nTeam = "CAN_VIEW"\nteam = "CAN_QUERY"'),
        ('readers = ["team"]', '[[grants]]\nprincipal = "Team"\nschema = ["SELECT"]'),
        (
            "",
            (
                '[gateway]\nrate_limits = [{ calls = 1, key = "user_group", principal = "Team" }, '
                '{ calls = 2, key = "user_group", principal = "team" }]'
            ),
        ),
    ],
)
def test_one_principal_is_spelled_in_one_way(tmp_path: Path, top: str, tables: str) -> None:
    (_, line) = problems(tmp_path, f"{top}\n{FIVE_LINES}{tables}\n")
    assert "differ only in case and are one principal" in line
