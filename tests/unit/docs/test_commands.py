"""Every `scgpt` command that a message, a help text or a page names is one that can be typed."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.scripts.cli import deploy
from scgpt_databricks.scripts.cli.main import cli

FILLED = "1"
"""Stands for what a message fills in, and for what another command prints."""

COMING: tuple[str, ...] = ()
"""Commands that are being written; to be empty at a release."""

# Released versions stay as they were, and a case runs what it names.
FILES = ("*.md", "*.py", "*.toml", "*.yml", "*.mjs", "Makefile", ":!CHANGELOG.md", ":!tests")
NAMED = re.compile(r"(?:(?<![\w./-])(`{0,2})(?:\.venv/bin/)?scgpt|\$\(SCGPT\))(?= [a-z-])")
# Ends a command that no backticks hold; two spaces or `#` set off what explains it.
END = re.compile(r"[)\]`\n]|[:;,.](?=\s|$)| [|&#]|\s{2,}|$")


def tracked() -> list[Path]:
    command = ["git", "ls-files", *FILES]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def texts(path: Path) -> Iterator[str]:
    """Yield what people read of a file: of Python the strings and comments."""
    content = path.read_text()
    if path.suffix != ".py":
        yield content
        return
    yield from re.findall(r"#.*", content)
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.JoinedStr):
            # Its parts are visited as well: each is the same text, but for what is filled in.
            yield "".join(
                str(each.value) if isinstance(each, ast.Constant) else FILLED
                for each in node.values
            )
            for each in node.values:
                each.value = FILLED  # type: ignore[attr-defined]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def commands(text: str) -> Iterator[str]:
    """Yield the commands that a text names, without the word `scgpt`."""
    text = re.sub(r"\\\n\s*", "", text)
    for found in NAMED.finditer(text):
        if text[: found.start()].endswith("<!-- "):
            continue  # a mark that readers of a comment on GitHub do not see
        rest = re.sub(r"\$\([^()]*\)", FILLED, text[found.end() :])
        command = (rest.partition(found[1])[0] if found[1] else END.split(rest)[0]).strip()
        if not command.startswith((FILLED, *COMING)):  # the name itself may be filled in
            yield command


def mistake(command: str) -> str | None:
    """Return what the real parser has against a command; None where it takes it.

    A name alone mentions a command, and so does a name with options alone.
    """
    found: click.Command = cli
    context, words = click.Context(cli), shlex.split(command.partition(" | ")[0])
    try:
        while words and isinstance(found, click.Group) and not words[0].startswith("-"):
            _, inner, words = found.resolve_command(context, words)
            assert inner is not None
            found, context = inner, click.Context(inner, parent=context)
        if words and words != ["--version"]:
            found.make_context(found.name, [*words])
    except click.exceptions.Exit:  # of --help
        return None
    except click.MissingParameter as error:
        return None if words[0].startswith("-") else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    return None


@pytest.fixture(autouse=True)
def values_that_stand_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is named need not lie here, nor a digest be one."""
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
    monkeypatch.setattr(deploy, "check_digest", lambda value: value)


def test_every_command_that_is_named_can_be_typed() -> None:
    named = {
        (str(path.relative_to(ROOT)), command)
        for path in tracked()
        for text in texts(path)
        for command in commands(text)
    }
    assert len(named) > 100
    wrong = {place: said for place in sorted(named) if (said := mistake(place[1]))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("undo it: run `scgpt advance dev prod`", "No such command 'advance'."),
        ("next: scgpt workspace begin", "No such command 'begin'."),
        ("`scgpt adopt dev` takes it over", "Missing option '--endpoint'."),
        ("$ scgpt plan dev prod  # both", "Got unexpected extra argument (prod)"),
        ("``scgpt build --with-scanpy``", "No such option '--with-scanpy'"),
        ("scgpt quickstart --port high", "'high' is not a valid integer"),
        ("`scgpt deploy` does it, as `scgpt build ENV --checkpoint DIR` says; scgpt 0.2.4", None),
        ('scgpt deploy dev --reviewed "$(scgpt reviewed dev)"', None),
    ],
)
def test_a_command_that_cannot_be_typed_is_found(text: str, found: str | None) -> None:
    wrong = [said for command in commands(text) if (said := mistake(command))]
    assert wrong == ([] if found is None else wrong)
    assert found is None or any(found in said for said in wrong)
