"""Run a command as named steps, each looked up before it is done.

A command that was cut off anywhere is run again: it finds what it had done, and does the rest. A
step is done when the workspace, the repository or the ledger says so, never because an earlier run
remembers it. An answer that was lost therefore costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from scgpt_databricks.infra.errors import DeployError

State = Literal["done before", "done", "to do"]


@dataclass(frozen=True)
class Step:
    """One effect of a command."""

    name: str
    """As people read it: ``copy the version``."""
    done: Callable[[], bool]
    """Looks it up; changes nothing."""
    do: Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """How a step went."""

    name: str
    state: State


def run(
    steps: Sequence[Step], *, report: Callable[[str], None], dry_run: bool = False
) -> list[Outcome]:
    """Do the steps that are not done yet, in their order.

    Raises
    ------
    DeployError
        A step was done, and cannot be found.
    """
    outcomes = []
    for step in steps:
        outcomes.append(Outcome(step.name, _run(step, dry_run)))
        report(f"{step.name}: {outcomes[-1].state}")
    return outcomes


def _run(step: Step, dry_run: bool) -> State:
    if step.done():
        return "done before"
    if dry_run:
        return "to do"
    step.do()
    if not step.done():
        raise DeployError(
            f"{step.name}: was done, and cannot be found. Run the command again, to go on from here"
        )
    return "done"
