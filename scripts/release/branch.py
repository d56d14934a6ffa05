"""Put a manifest on a branch of its own and ask for a review, without touching the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scgpt_databricks.infra import release
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from .steps import Step


@dataclass(frozen=True)
class Branch:
    """A branch of the repository that holds the environments.

    Parameters
    ----------
    name
        The branch; made when something is written to it.
    title
        Of the commit and the pull request.
    """

    name: str
    folder: Path
    title: str

    def find(self, settings: Settings) -> Manifest | None:
        """Return the manifest on the branch; None where there is no such branch or file."""
        text = self._try("show", f"{self.name}:./{settings.manifest_path.name}")
        if text is None:
            return None
        return release.parse(text, environment=settings.environment, source=self.name)

    def write(self, settings: Settings, manifest: Manifest) -> None:
        """Commit the manifest to the branch, which begins where the remote's main branch is."""
        base = self._commit() or self._base()
        path = f"{self._git('rev-parse', '--show-prefix').strip()}{settings.manifest_path.name}"
        text = manifest.to_json(settings.environment)
        blob = self._git("hash-object", "-w", "--stdin", given=text).strip()
        with tempfile.TemporaryDirectory() as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            self._git("read-tree", base, variables=index)
            self._git(
                "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", variables=index
            )
            tree = self._git("write-tree", variables=index).strip()
        commit = self._git("commit-tree", tree, "-p", base, "-m", self.title).strip()
        self._git("update-ref", f"refs/heads/{self.name}", commit)

    def steps(self, body: Path) -> Iterator[Step]:
        """Yield the steps that ask for a review; ``body`` holds the text when they are done."""
        if not self._remote():
            return
        yield Step(
            "push the branch", lambda: self._pushed() == self._commit() is not None, self._push
        )
        if shutil.which("gh"):
            yield Step("open the pull request", lambda: bool(self.url()), lambda: self._ask(body))

    def url(self) -> str | None:
        """Return the address of the open or merged pull request."""
        done = subprocess.run(
            ["gh", "pr", "view", self.name, "--json", "url", "--jq", ".url"],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() or None if done.returncode == 0 else None

    def what_next(self, body: Path) -> str:
        """Say what a person does where no pull request could be opened."""
        push = "" if self._remote() else f"git push REMOTE {self.name}, then "
        return (
            f"{push}open a pull request for the branch {self.name}; its text is in {body}. "
            "Its merge deploys"
        )

    def _ask(self, body: Path) -> None:
        done = subprocess.run(
            ["gh", "pr", "create", "--head", self.name, "--title", self.title,
             "--body-file", str(body)],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise DeployError(f"gh opened no pull request for {self.name}: {done.stderr.strip()}")

    def _push(self) -> None:
        # Whoever is logged in for the pull request may push too, a job of Actions for one.
        login = ("-c", "credential.helper=!gh auth git-credential") if shutil.which("gh") else ()
        self._git(*login, "push", "--quiet", "origin", self.name)

    def _pushed(self) -> str | None:
        found = self._git("ls-remote", "origin", f"refs/heads/{self.name}").split()
        return found[0] if found else None

    def _remote(self) -> bool:
        return self._try("remote", "get-url", "origin") is not None

    def _commit(self) -> str | None:
        found = self._try("rev-parse", "--verify", "--quiet", f"refs/heads/{self.name}")
        return found.strip() if found else None

    def _base(self) -> str:
        for name in ("refs/remotes/origin/HEAD", "HEAD"):
            if found := self._try("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
                return found.strip()
        raise DeployError(f"{self.folder} has no commit yet, so there is nothing to branch from")

    def _try(self, *arguments: str) -> str | None:
        try:
            return self._git(*arguments)
        except DeployError:
            return None

    def _git(
        self, *arguments: str, given: str = "", variables: dict[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            input=given,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DeployError(f"git {arguments[0]} failed in {self.folder}: {done.stderr.strip()}")
        return done.stdout


def require_repository(folder: Path) -> None:
    """Refuse to make a branch where there is no repository.

    Raises
    ------
    DeployError
        The folder of environments lies in no git repository.
    """
    inside = subprocess.run(
        ["git", "rev-parse", "--is-inside-work-tree"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if inside.returncode:
        raise DeployError(
            f"{folder} lies in no git repository, so no branch can hold the manifest: leave "
            "--pull-request out, or keep the environments in a repository"
        )
