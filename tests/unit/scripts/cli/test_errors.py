"""A command that fails says so to people and to programs, and what to do next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.errors import RefusedError
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.scripts.cli.console import Commands
from scgpt_databricks.scripts.cli.main import cli


def scgpt(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@click.group(cls=Commands)
def fails() -> None:
    """Commands that end in each way that there is."""


@fails.command()
@click.argument("how")
@click.option("--json", "as_json", is_flag=True)
def end(how: str, as_json: bool) -> None:
    if how == "asks":
        click.confirm("Go on?", abort=True)
    raise {
        "refused": RefusedError("a guard refuses"),
        "invalid": InvalidRequest("no_cells", "there is no cell"),
        "silent": TimeoutError("Timed out after 0:05:00"),
        "stopped": KeyboardInterrupt(),
        "usage": click.UsageError("give one"),
    }[how]


ENDS = [
    ("refused", 3, "RefusedError", "a guard refuses"),
    ("invalid", 1, "no_cells", "there is no cell"),
    (
        "silent",
        1,
        "TimeoutError",
        "the workspace stopped answering: Timed out after 0:05:00. Run the command again",
    ),
    ("stopped", 130, "Aborted", "interrupted"),
    ("asks", 1, "Aborted", "not confirmed; nothing was changed"),
    ("usage", 2, "UsageError", "give one"),
]


@pytest.mark.parametrize(("how", "exit_code", "code", "message"), ENDS)
def test_with_json_errors_are_json(how: str, exit_code: int, code: str, message: str) -> None:
    plain = CliRunner().invoke(fails, ["end", how])
    assert plain.exit_code == exit_code
    assert message in plain.stderr
    told = CliRunner().invoke(fails, ["end", how, "--json"])
    assert told.exit_code == exit_code
    said = told.stdout[told.stdout.index("{") :]  # behind a question
    assert json.loads(said)["error"] == {"code": code, "message": message, "exit_code": exit_code}


def test_real_commands_tell_programs_what_was_wrong() -> None:
    for arguments in (["plan", "nowhere"], ["plan"], ["guard", "--plan", "no.json"], ["smoke"]):
        result = scgpt(*arguments, "--json")
        assert result.exit_code in (1, 2)
        assert json.loads(result.stdout)["error"]["exit_code"] == result.exit_code


def test_an_option_that_resembles_none_is_told_those_that_there_are() -> None:
    result = scgpt("adopt", "dev", "--endpoint", "e", "--out", "here")
    assert result.exit_code == 2
    assert "No such option '--out'. There are: --blocks, --cloud," in result.stderr
    assert "--environments," in result.stderr


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "A" * 64])
def test_a_digest_that_no_plan_can_have_is_refused_at_once(digest: str) -> None:
    result = scgpt("deploy", "dev", "--reviewed", digest)
    assert result.exit_code == 2
    assert f"{digest!r} is no digest of a plan: 64 of 0-9 and a-f" in result.stderr


@pytest.mark.parametrize("command", ["review", "drift"])
def test_what_cannot_be_posted_is_not_planned(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    result = scgpt(command, "dev", "--post")
    assert result.exit_code == 1
    assert "GITHUB_REPOSITORY is not set" in result.stderr


def test_an_expired_waiver_is_told_before_anything_is_planned(tmp_path: Path) -> None:
    shutil.copy(layout.ENVIRONMENTS / "local.toml", tmp_path)
    with (tmp_path / "local.toml").open("a") as file:
        file.write(
            '\n[[waivers]]\ncheck = "table-disabled"\nreason = "no requests yet"\n'
            "until = 2020-01-01\n"
        )
    result = scgpt("plan", "local", "--environments", tmp_path)
    assert result.exit_code == 1
    first, last = result.stderr.splitlines()
    assert "(no requests yet) expired on 2020-01-01 (waiver-expired)" in first
    assert "has no profile 'local'" in last
