"""One operation on the versions of an environment, written down while it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from scgpt_databricks.infra.errors import RefusedError
from scgpt_databricks.infra.layout import runtime_folder
from scgpt_databricks.infra.settings import Settings

from ..deploy.lock import only_one
from ..ledger import Entry, Ledger
from .steps import Outcome, Step, run

Report = Callable[[str], None]


@contextmanager
def alone(settings: Settings, operation: str) -> Iterator[None]:
    """Hold the environment against deploys and other operations on this machine.

    Raises
    ------
    DeployError
        Another process holds it; says which.
    """
    folder = runtime_folder(settings.folder) / "deploy"
    with only_one(folder / f"{settings.environment}.lock", operation):
        yield


@dataclass(frozen=True)
class Moved:
    """How an operation that moves requests went."""

    environment: str
    before: dict[int, int]
    """Version -> percent of the requests."""
    after: dict[int, int]
    steps: list[Outcome]
    next: str


@dataclass
class Operation:
    """The steps of one command on an environment.

    Parameters
    ----------
    ledger
        Where it is written down.
    entry
        What is written; an open entry of the same work takes its place.
    after
        Looks up version -> percent of the requests when all is done.
    effects
        The steps between the two that write it down.
    """

    ledger: Ledger
    entry: Entry
    after: Callable[[], dict[int, int]]
    effects: Sequence[Step] = field(default_factory=tuple)

    def note(self, **changes: Any) -> None:
        """Keep in mind what the entry is to say when it is closed."""
        self.entry = self.entry.model_copy(update=changes)

    def keep(self, **facts: Any) -> None:
        """Write down at once what was found out: an operation that goes on need not find it out
        again.
        """
        self.note(facts={**self.entry.facts, **facts})
        self.ledger.update(self.entry)

    def steps(self) -> list[Step]:
        """Return all steps, in their order."""
        return [
            Step("write down what begins", self._begun, lambda: self.ledger.begin(self.entry)),
            *self.effects,
            Step("write down how it ended", self._ended, self._close),
        ]

    def run(self, report: Report, *, dry_run: bool = False, resume: bool = False) -> list[Outcome]:
        """Do what is left to do; nothing is written where nothing is.

        Raises
        ------
        RefusedError
            A gate refused; the ledger says so.
        DeployError
            Another operation is open, or a step failed. The same command goes on from there.
        """
        self.entry = self.ledger.require_free(self.entry, resume=resume)
        if self.ledger.open() is None and all(step.done() for step in self.effects):
            return [Outcome(step.name, "done before") for step in self.effects]
        try:
            return run(self.steps(), report=report, dry_run=dry_run)
        except RefusedError as error:
            self.note(state="refused", facts={**self.entry.facts, "refused": str(error)})
            self.ledger.close(self.entry)
            raise

    def _begun(self) -> bool:
        found = self.ledger.open()
        return found is not None and found.id == self.entry.id

    def _ended(self) -> bool:
        return self.entry.state == "done" and self.ledger.open() is None

    def _close(self) -> None:
        self.note(state="done", after=self.after())
        self.ledger.close(self.entry)
