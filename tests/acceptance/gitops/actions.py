"""Runs the `run:` lines of a workflow's job as Actions does: same order, same variables, same
conditions; what actions prepare (`uses:`) is there already.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.gitops.conftest import WRITER
from tests.acceptance.gitops.github import REPOSITORY, GitHub
from tests.acceptance.site import LIMIT_S, Site
from tests.unit.scripts.gitops.workflows import workflow

ENVIRONMENT = "local"

_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")


@dataclass
class Finished:
    """The result of a job."""

    codes: dict[str, int] = field(default_factory=dict)
    """Line -> exit code, in the order in which they ran."""
    out: str = ""
    err: str = ""
    summary: str = ""

    @property
    def failed(self) -> bool:
        return any(self.codes.values())


@dataclass(frozen=True)
class Runner:
    """Runs jobs in a clone."""

    clone: Path
    site: Site
    github: GitHub
    scratch: Path
    log: list[str] = field(default_factory=list)
    """The commands that ran, as the `commands.txt` of a case lists them."""

    def pull_request(self, number: int, head: str) -> Finished:
        """`plan`, started by a push to a pull request."""
        repository = {"repo": {"full_name": REPOSITORY}}
        pull = {"number": number, "head": {"sha": head, **repository}}
        return self._run("plan", {"pull_request": pull}, "pull_request", "e" * 40)

    def push(self, commit: str) -> Finished:
        """`deploy`, started by a push to main."""
        return self._run("deploy", {"after": commit}, "push", commit)

    def by_hand(self, commit: str) -> Finished:
        """`deploy`, started by a person."""
        return self._run("deploy", {}, "workflow_dispatch", commit)

    def schedule(self, commit: str) -> Finished:
        """`drift`, started by the clock."""
        return self._run("drift", {}, "schedule", commit)

    def _run(self, name: str, event: dict[str, Any], event_name: str, sha: str) -> Finished:
        job = workflow(name)["jobs"][name]
        files = {key: self.scratch / f"{name}-{key}" for key in ("event", "output", "summary")}
        files["event"].write_text(json.dumps(event))
        files["summary"].write_text("")
        known = {
            "matrix.environment": ENVIRONMENT,
            "github.event_name": event_name,
            "github.token": WRITER,
        }
        variables = self.site.variables | {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_EVENT_PATH": str(files["event"]),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": sha,
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
        }
        done = Finished()
        self.log.append(f"# workflow {name}, on {event_name}")
        with self._identity("local" if name == "deploy" else "local-reader"):
            for step in job["steps"]:
                if "run" not in step or not self._wanted(step.get("if"), known, done):
                    continue
                files["output"].write_text("")
                given = {**job.get("env", {}), **step.get("env", {})}
                self._line(step["run"], variables | _filled(given, known), done)
                for line in files["output"].read_text().splitlines():
                    key, _, value = line.partition("=")
                    known[f"steps.{step['id']}.outputs.{key}"] = value
        done.summary = files["summary"].read_text()
        return done

    @contextmanager
    def _identity(self, profile: str) -> Iterator[None]:
        """Jobs that plan and look for drift are another principal than those that deploy."""
        config = self.site.folder / "databrickscfg"
        text = config.read_text() if config.exists() else ""
        if text:
            config.write_text(text.replace(self.site.token("local"), self.site.token(profile)))
        try:
            yield
        finally:
            if text:
                config.write_text(text)

    def _line(self, line: str, variables: dict[str, str], done: Finished) -> None:
        # `bash -e` is the shell of a runner.
        ran = subprocess.run(
            ["bash", "-e", "-c", line],
            cwd=self.clone,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        self.site.check_silence(ran.stdout + ran.stderr)
        assert WRITER not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr, ran.stderr
        done.codes[line] = ran.returncode
        self.log.append(f"{line}  # exit code {ran.returncode}")
        done.out += ran.stdout
        done.err += ran.stderr

    def _wanted(self, condition: str | None, known: dict[str, str], done: Finished) -> bool:
        if condition in ("always()", "failure()"):
            return condition == "always()" or done.failed
        return not done.failed and all(
            self._holds(part, known) for part in (condition.split(" && ") if condition else [])
        )

    def _holds(self, condition: str, known: dict[str, str]) -> bool:
        if match := re.fullmatch(r"github\.event_name == '(\w+)'", condition):
            return match[1] == known["github.event_name"]
        match = re.fullmatch(r"hashFiles\(format\('(.*)', matrix\.environment\)\) != ''", condition)
        assert match, f"a condition that this runner does not know: {condition}"
        return bool(list(self.clone.glob(match[1].format(known["matrix.environment"]))))


def _filled(given: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Variables with their expressions evaluated; an unset `vars.*` is empty, as on GitHub."""
    return {
        name: _EXPRESSION.sub(
            lambda match: "" if match[1].startswith("vars.") else known[match[1]], value
        )
        for name, value in given.items()
    }
