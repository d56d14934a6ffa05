"""Progress that people see while they wait."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from scgpt_databricks.scripts.cli import console


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([5.0, 20.0, 25.0, 40.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("embedding") as update:
        for done in (1_000, 4_000, 5_000, 14_000):
            update(done, 20_000)
    assert capsys.readouterr().err.splitlines() == [
        "  embedding: 4,000 of 20,000, 200/s, 80 s left",
        "  embedding: 14,000 of 20,000, 500/s, 12 s left",
    ]


def test_no_line_is_written_while_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stream waits for its next slice, and a killed run's last slice takes its time."""
    clock = iter([5.0, 20.0, 40.0, 55.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("embedding") as update:
        for done in (0, 0, 0, 500):
            update(done, 1_000)
    assert capsys.readouterr().err.splitlines() == ["  embedding: 500 of 1,000, 10/s, 50 s left"]


def test_progress_in_a_terminal_shows_the_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, color_system=None)
    now = [100.0]
    monkeypatch.setattr(terminal, "get_time", lambda: now[0])
    monkeypatch.setattr(console, "err", terminal)
    with console.progress("embedding") as update:
        update(0, 20_000)
        for done in (1_000, 2_000, 3_000):
            now[0] += 5
            update(done, 20_000)
        terminal.print("a line of its own makes the bar be drawn again")
    shown = screen.getvalue()
    assert re.search(r"embedding .* 3000/20000 200/s 0:01:25", shown), shown
