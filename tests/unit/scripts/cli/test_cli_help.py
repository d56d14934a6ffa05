"""Walks the whole tree of commands and reads what each says of itself."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from scgpt_databricks.scripts.cli import console
from scgpt_databricks.scripts.cli.console import LONGEST_SHORT_HELP
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.cli.options import Number


def tree(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from tree(found, (*path, name))


def command_of(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


def is_group(path: tuple[str, ...]) -> bool:
    return isinstance(command_of(path), click.Group)


def joined(path: tuple[str, ...]) -> str:
    return " ".join(("scgpt", *path))


ALL = list(tree(cli))
COMMANDS = [path for path in ALL if not is_group(path)]


def test_the_tree_has_branches() -> None:
    """Otherwise the cases below are none."""
    assert {(), ("deploy",), ("demo",), ("demo", "cells"), ("endpoint", "apply")} < set(ALL)


@pytest.mark.parametrize("path", ALL, ids=joined)
def test_help_has_an_example_of_this_command(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    (example,) = [line for line in result.stdout.splitlines() if "Example:" in line]
    assert example.strip().startswith("Example:"), "an example has a line of its own"
    assert joined(path) in example
    # A line of an example may end in a backslash, for the shell; click's own mark never shows.
    assert not [line for line in result.stdout.splitlines() if line.strip() in ("\\", "\\b")]


@pytest.mark.parametrize("path", ALL, ids=joined)
def test_help_begins_with_one_sentence(path: tuple[str, ...]) -> None:
    command = command_of(path)
    first, _, _ = str(command.help).partition("\n\n")
    assert re.fullmatch(r"[A-Z][^.:;]+\.", first.strip()), first
    assert path == () or not command.get_short_help_str(LONGEST_SHORT_HELP).endswith("...")


@pytest.mark.parametrize("path", COMMANDS, ids=joined)
def test_numbers_have_bounds(path: tuple[str, ...]) -> None:
    """Else one below zero, or NaN, reaches what takes it for something else or never ends."""
    for option in command_of(path).params:
        assert option.type not in (click.INT, click.FLOAT), option.name
        assert type(option.type) is not click.FloatRange, option.name
        if isinstance(option.type, click.IntRange | Number):
            assert option.type.min is not None, option.name


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "ten"])
def test_a_number_is_finite_and_within_its_bounds(given: str) -> None:
    done = CliRunner().invoke(cli, ["canary", "watch", "dev", "--for", given, "--json"])
    assert done.exit_code == 2
    assert "'--for'" in json.loads(done.stdout)["error"]["message"]


def test_sections_name_every_command_once() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    _, _, listed = shown.partition("Try it on this machine:")
    names = re.findall(r"^  ([a-z-]+)  ", listed, re.M)
    assert sorted(names) == sorted(path[0] for path in ALL if len(path) == 1)


@pytest.mark.parametrize("path", filter(None, ALL), ids=joined)
def test_a_mistyped_command_is_told_the_nearest_one(path: tuple[str, ...]) -> None:
    *group, name = path
    result = CliRunner().invoke(cli, [*group, f"{name}x"])
    assert result.exit_code == 2
    assert f"No such command '{name}x'. Did you mean '{name}'" in result.stderr


def test_what_resembles_no_command_gets_no_suggestion() -> None:
    for arguments in (["sing"], ["workspace", "sing"]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2
        assert result.stderr.endswith("No such command 'sing'.\n")


@pytest.mark.parametrize("path", COMMANDS, ids=joined)
def test_a_mistyped_option_is_told_the_nearest_one(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--jsonn"])
    assert result.exit_code == 2
    # `--version`, where a command has it, is near as well.
    assert re.search(r"'--jsonn'\. \(?Did you mean .*'--json'", result.stderr)


@pytest.mark.parametrize("path", ALL, ids=joined)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    options = [each for each in command_of(path).params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("path", COMMANDS, ids=joined)
def test_every_result_can_be_had_as_json(path: tuple[str, ...]) -> None:
    assert "as_json" in {parameter.name for parameter in command_of(path).params}


def test_an_option_means_the_same_everywhere() -> None:
    """Same spelling, same kind; `--out` and `--folder` say what of in their help."""
    kinds: dict[str, set[tuple[object, bool]]] = {}
    for path in COMMANDS:
        for each in command_of(path).params:
            if isinstance(each, click.Option):
                for spelling in each.opts:
                    kinds.setdefault(spelling, set()).add((each.name, each.is_flag))
    assert {spelling: kind for spelling, kind in kinds.items() if len(kind) > 1} == {}


@pytest.mark.parametrize("path", COMMANDS, ids=joined)
def test_an_environment_is_the_first_argument(path: tuple[str, ...]) -> None:
    named = {each.name: each for each in command_of(path).params}
    if environment := named.get("environment"):
        arguments = [each for each in named.values() if isinstance(each, click.Argument)]
        assert arguments[0] is environment
        assert environment.metavar == ("[ENV]" if path == ("guard",) else "ENV")
        if path != ("reviewed",):  # it asks GitHub and reads no file
            assert "--environments" in named["folder"].opts
    assert not {"--env", "--environment"} & {opt for each in named.values() for opt in each.opts}


def test_the_exit_codes_are_told() -> None:
    said = " ".join(CliRunner().invoke(cli, ["--help"]).stdout.split())
    assert "3 refused (gate, guard, review, adoption); 128+n ended by signal n" in said


def _called(function: str, functions: dict[str, ast.AST], seen: set[str]) -> set[str]:
    """Return the names that a function of a module calls, and those its own functions call."""
    if function in seen or function not in functions:
        return {function}
    seen.add(function)
    named = [
        each.func.id if isinstance(each.func, ast.Name) else ""
        for each in ast.walk(functions[function])
        if isinstance(each, ast.Call)
    ]
    return set().union(*(_called(name, functions, seen) for name in named))


@pytest.mark.parametrize("path", COMMANDS, ids=joined)
def test_a_command_ends_with_what_comes_next(path: tuple[str, ...]) -> None:
    """Only `show` prints results, and it takes what comes next; the types ask for it."""
    callback = inspect.unwrap(command_of(path).callback)  # type: ignore[arg-type]
    module = ast.parse(Path(inspect.getfile(callback)).read_text())
    functions: dict[str, ast.AST] = {
        each.name: each for each in module.body if isinstance(each, ast.FunctionDef)
    }
    assert "show" in _called(callback.__name__, functions, set())


def test_what_comes_next_is_never_left_empty() -> None:
    """Otherwise the test above says nothing."""
    folder = Path(inspect.getfile(console)).parent
    empty = []
    for file in sorted(folder.glob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "show":
                then = call.args[3]
                constants = [each for each in ast.walk(then) if isinstance(each, ast.Constant)]
                if any(not each.value for each in constants):
                    empty.append(f"{file.name}:{call.lineno}")
    assert empty == []


def test_what_comes_next_is_told_to_people_and_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.show({"a": 1}, True, "done", ["scgpt plan dev", "scgpt deploy dev"])
    assert json.loads(capsys.readouterr().out)["next"] == ["scgpt plan dev", "scgpt deploy dev"]
    console.show({"a": 1}, False, "done", "scgpt plan dev")
    assert capsys.readouterr() == ("done\nnext: scgpt plan dev\n", "")
    console.show({"a": 1}, False, "export A=1", "scgpt plan dev", piped=True)
    assert capsys.readouterr() == ("export A=1\n", "next: scgpt plan dev\n")
