"""Figures in the documents are those that the benchmarks wrote."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import page
from benchmarks.figures import Figure
from benchmarks.gpu import ceilings
from benchmarks.run import RESULTS, table

FIDELITY, BINS = RESULTS.with_name("fidelity.json"), RESULTS.with_name("bins.json")
TIES = ("mean cosine", "least cosine", "neighbour overlap", "overlap with the mean draw",
        "label of neighbours", "distinct bins per cell")  # fmt: skip


def test_the_table_of_the_page_is_what_was_measured(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(page.PAGE.read_text())
    page.write(json.loads(RESULTS.read_text()), copy)
    assert copy.read_text() == page.PAGE.read_text()


def test_every_goal_of_the_benchmarks_is_in_the_table() -> None:
    measured = {found["name"] for found in json.loads(RESULTS.read_text())}
    assert measured == set(page.COMPARES)


@pytest.mark.parametrize(
    ("said", "ratio", "shown"),
    [
        (">= 6", 6.0, ">= 6"),
        (">= 6", 5.99, ">= 6: missed"),
        ("<= 1.1", 1.2, "<= 1.1: missed"),
        ("explains", 0.5, "none"),
    ],
)
def test_a_missed_goal_says_so(said: str, ratio: float, shown: str) -> None:
    assert page.goal(said, ratio) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.9175, "2.92"), (1520.6, "1,521"), (101.0, "101"), (27.04, "27.0"), (0.00071, "0.000710")],
)
def test_three_figures(value: float, shown: str) -> None:
    assert page.number(value) == shown


def test_the_table_of_bins_is_what_was_measured() -> None:
    said = (page.PAGE.parent / "fidelity.md").read_text()
    for row in json.loads(BINS.read_text()):
        assert f"| {' | '.join(map(str, row.values()))} |" in said


def test_the_table_of_ties_is_what_was_measured() -> None:
    said = (page.PAGE.parent / "fidelity.md").read_text()
    for row in json.loads(FIDELITY.read_text())["ties"]:
        line = next(x for x in said.splitlines() if x.startswith("|") and row[""] in x)
        shown = [cell.strip() for cell in line.strip("|").split("|")][1:]
        for key, text in zip(TIES, shown, strict=True):
            assert bool(text) == (key in row), (row[""], key)
            if text:
                decimals = len(text.partition(".")[2])
                assert f"{row[key]:.{decimals}f}" == text, (row[""], key)


def test_the_table_of_a_terminal_is_read_at_80_columns() -> None:
    found = [Figure(**each) for each in json.loads(RESULTS.read_text())]
    console = Console(width=80, file=io.StringIO())
    console.print(table(found))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    for figure in found:
        (line,) = (line for line in lines if line.split()[:1] == [figure.name])
        assert page.number(figure.ratio) in line
        assert line.split()[-1] == figure.unit.split()[-1]


def test_the_table_of_devices_is_what_the_command_prints() -> None:
    assert f"\n{ceilings()}\n" in page.PAGE.read_text()
