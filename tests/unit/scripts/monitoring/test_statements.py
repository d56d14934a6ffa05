"""Statements that a warehouse does not begin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scgpt_databricks.scripts.monitoring import statements


class Warehouse:
    """Is asked, and says the same ever after; its clock goes on while somebody waits."""

    def __init__(self, *states: str) -> None:
        self.states, self.now, self.cancelled = list(states), 0.0, []  # type: ignore[var-annotated]
        self.statement_execution = self

    def execute_statement(self, *_: Any, **__: Any) -> Any:
        return self.get_statement("s1")

    def get_statement(self, name: str) -> Any:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        status = SimpleNamespace(state=SimpleNamespace(value=state), error=None)
        return SimpleNamespace(statement_id=name or "s1", status=status, manifest=None, result=None)

    def cancel_execution(self, name: str) -> None:
        self.cancelled.append(name)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 36_000, "it is asked for ever"


def test_a_statement_that_never_begins_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse: Any = Warehouse("PENDING")
    monkeypatch.setattr(statements, "time", warehouse)
    with pytest.raises(statements.WarehouseError) as refused:
        statements.rows(warehouse, "SELECT 1", "0123456789abcdef")
    assert "warehouse 0123456789abcdef has not begun" in str(refused.value)
    assert "databricks warehouses get 0123456789abcdef" in str(refused.value)
    assert warehouse.cancelled == ["s1"]


def test_a_statement_that_runs_for_long_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse: Any = Warehouse("PENDING", *["RUNNING"] * 2_000, "SUCCEEDED")
    monkeypatch.setattr(statements, "time", warehouse)
    assert statements.rows(warehouse, "SELECT 1", "0123456789abcdef") == []
    assert not warehouse.cancelled
