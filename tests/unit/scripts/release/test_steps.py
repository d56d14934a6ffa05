"""Steps are looked up before they are done."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.release.steps import Outcome, Step, run


@dataclass
class World:
    """The state that steps change, and the lines that they say."""

    there: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def step(self, name: str) -> Step:
        return Step(name, lambda: name in self.there, lambda: self.there.add(name))

    def run(self, *steps: Step, dry_run: bool = False) -> list[Outcome]:
        return run(steps, report=self.said.append, dry_run=dry_run)


def test_only_what_is_left_is_done() -> None:
    world = World({"a"})
    found = world.run(world.step("a"), world.step("b"))
    assert found == [Outcome("a", "done before"), Outcome("b", "done")]
    assert world.said == ["a: done before", "b: done"]


def test_a_dry_run_changes_nothing() -> None:
    world = World({"a"})
    found = world.run(world.step("a"), world.step("b"), dry_run=True)
    assert [each.state for each in found] == ["done before", "to do"]
    assert world.there == {"a"}


def test_a_step_that_leaves_no_trace_is_an_error() -> None:
    world = World()
    nothing = Step("b", lambda: False, lambda: None)
    with pytest.raises(DeployError, match="b: was done, and cannot be found"):
        world.run(world.step("a"), nothing, world.step("c"))
    assert world.there == {"a"}
