"""The place of a changed manifest: the working tree, or a branch that asks for a review."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scgpt_databricks.infra.layout import runtime_folder
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.whole_file import write_text

from .branch import Branch
from .point import Place, WorkingTree
from .steps import Outcome, Step


@dataclass(frozen=True)
class Review:
    """The review of one operation.

    Parameters
    ----------
    current
        The manifest as it is. The branch's name follows from it: the same change, the same branch.
    version
        The version that is to serve, as the operation calls it.
    wanted
        A pull request is asked for.
    """

    settings: Settings
    current: Manifest | None
    version: int | str
    operation: str
    wanted: bool

    @cached_property
    def branch(self) -> Branch | None:
        """The branch of the pull request; None where none is asked for."""
        if not self.wanted:
            return None
        name, over = self.settings.environment, self.current.digest()[:7] if self.current else "new"
        return Branch(
            f"{self.operation}/{name}-{self.version}-{over}",
            self.settings.folder,
            f"{name}: {self.operation} to version {self.version}",
        )

    @property
    def place(self) -> Place:
        """The place that the manifest is written to."""
        return self.branch or WorkingTree()

    @property
    def body(self) -> Path:
        """File with the text of the pull request."""
        name = f"{self.operation}-{self.settings.environment}.md"
        return runtime_folder(self.settings.folder) / "deploy" / name

    def write(self, text: str) -> None:
        """Keep the text for reviewers."""
        write_text(self.body, text + "\n")

    def steps(self) -> list[Step]:
        """Return the steps that ask for a review."""
        return [] if self.branch is None else list(self.branch.steps(self.body))

    def next(self, outcomes: Sequence[Outcome]) -> str:
        """Say what comes next."""
        name = self.settings.environment
        if any(each.state == "to do" for each in outcomes):
            return "the same without --dry-run"
        if self.branch is not None:
            url = self.branch.url() if shutil.which("gh") else None
            return f"review {url}" if url else self.branch.what_next(self.body)
        if all(each.state == "done before" for each in outcomes):
            return f"nothing: {name} serves this version already"
        return f"commit {self.settings.manifest_path.name}, and scgpt plan {name}"
