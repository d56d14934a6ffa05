"""Disturb a command in the middle: faults of the API, and the end of the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from scgpt_databricks.scripts.release import operation, steps
from scgpt_databricks.scripts.release.steps import Outcome, Step
from tests.unit.scripts.release.lab import Lab

FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "503": {"status": 503},
    "timeout": {"delay_s": 2, "drop": True},
    "lost answer": {"drop": True, "when": "after"},
    "lost answer once": {"drop": True, "when": "after", "times": 1},
}
"""Name -> rule of the local workspace's control route; all calls of a step meet it."""


class Killed(BaseException):
    """The process ends here, without tidying up what it wrote."""


@dataclass
class Trouble:
    """Makes one step of the next command go wrong."""

    lab: Lab
    monkeypatch: pytest.MonkeyPatch
    reached: bool = False

    def in_step(self, name: str, fault: str) -> None:
        """Let the calls that a step makes go wrong."""

        def do(step: Step) -> None:
            with self.lab.fault(**FAULTS[fault]):
                step.do()

        self._change(name, do)

    def kill_after(self, name: str) -> None:
        """End the process when a step is done, and before it is looked up."""

        def do(step: Step) -> None:
            step.do()
            raise Killed

        self._change(name, do)

    def over(self) -> None:
        """Let the next command go as it goes; the one before must have met its trouble."""
        assert self.reached, "the step was never begun"
        self.monkeypatch.setattr(operation, "run", steps.run)

    def _change(self, name: str, do: Callable[[Step], None]) -> None:
        def reach(step: Step) -> None:
            self.reached = True
            do(step)

        def run(all_steps: Sequence[Step], **more: Any) -> list[Outcome]:
            changed = [
                replace(step, do=lambda step=step: reach(step)) if step.name == name else step
                for step in all_steps
            ]
            assert any(step.name == name for step in all_steps), f"there is no step {name!r}"
            return steps.run(changed, **more)

        self.monkeypatch.setattr(operation, "run", run)
