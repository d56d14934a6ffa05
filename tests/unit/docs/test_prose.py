"""Docstrings and comments begin with what something is or does, not with a question word."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from scgpt_databricks.infra.layout import ROOT

FOLDERS = ("infra", "local_workspace", "model", "scripts", "tests", "benchmarks", "examples")
MOST = 29
QUESTION = re.compile(r"(What|Whether|Where|Which|Of)\b")


def docstrings(source: str) -> Iterator[str]:
    """Yield texts that stand alone: docstrings, and those below an attribute."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else []:
            value = each.value if isinstance(each, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value.strip()


def comments(source: str) -> Iterator[str]:
    """Yield the first line of each comment."""
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = token.line.lstrip().startswith("#")
            if not (alone and token.start[0] == last + 1):
                yield token.string.lstrip("#: ")
            last = token.start[0] if alone else -1


def questions(source: str) -> list[str]:
    """Return the docstrings and comments that begin with a question word."""
    return [text for text in (*docstrings(source), *comments(source)) if QUESTION.match(text)]


def test_few_texts_begin_with_a_question_word() -> None:
    modules = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    found = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in modules
        for text in questions(path.read_text())
    ]
    assert len(found) <= MOST, "\n".join(found)


def test_each_kind_of_text_is_found() -> None:
    source = (
        '"""What it is."""\n# Where it is,\n# Which goes on.\nx = 1  # Of old.\n"""Whether."""\n'
    )
    assert questions(source) == ["What it is.", "Whether.", "Where it is,", "Of old."]
    assert questions('"""Return what it is."""\n# Here, of old.\n') == []


def test_the_folders_hold_modules() -> None:
    assert all(list(Path(ROOT / folder).rglob("*.py")) for folder in FOLDERS)
