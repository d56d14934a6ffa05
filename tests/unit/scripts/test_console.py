"""What people see while they wait."""

from __future__ import annotations

import pytest

from scripts.cli import console


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
