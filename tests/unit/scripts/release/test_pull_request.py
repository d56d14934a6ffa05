"""A promotion by pull request: what `gh` is asked, and what its reviewer reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.model import registry
from scgpt_databricks.model.judge.gates import Evidence, Version
from scgpt_databricks.model.judge.likeness import NEW_SPACE, Likeness
from scgpt_databricks.model.judge.metrics import Score
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.gitops.versions import built
from scgpt_databricks.scripts.release import evidence
from scgpt_databricks.scripts.release.promote import Promoted, Request, promote
from tests.unit.scripts.release.lab import Lab
from tests.unit.scripts.release.test_branch import git

URL = "https://github.example.com/team/releases/pull/7"
GH = """#!/bin/sh
# In the place of gh: keeps what it was asked, and remembers the pull request that it opened.
here=$(dirname "$0")
for each in "$@"; do printf '%s\\n' "$each"; done > "$here/asked.$1.$2"
[ "$1" = auth ] && exit 0
if [ "$2" = create ]; then
  for each in "$@"; do [ "$before" = --body-file ] && cp "$each" "$here/body"; before=$each; done
  echo once >> "$here/created"
elif [ -f "$here/created" ]; then echo URL; else exit 1; fi
"""
OURS = {"knn_accuracy": Score(0.77, 0.74, 0.81)}
THEIRS = {"knn_accuracy": Score(0.75, 0.72, 0.79)}


@pytest.fixture
def gh(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The environments are in a repository with a remote, and `gh` is on the path."""
    for name, value in {"NAME": "T", "EMAIL": "t@example.com"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "gh").write_text(GH.replace("URL", URL))
    (bin_ / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    git(lab.folder, "init", "-q", "-b", "main")
    git(lab.folder, "add", "staging.toml")
    git(lab.folder, "commit", "-qm", "begin")
    git(lab.folder, "init", "-q", "--bare", str(tmp_path / "remote.git"))
    git(lab.folder, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(lab.folder, "push", "-q", "origin", "main")
    yield bin_
    shutil.rmtree(lab.folder / ".git")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing: the candidate is a little better, in a space of its own."""
    found = Evidence(
        candidate=Version("dev.scgpt.m version 2", {}, OURS, 1e-5),
        champion=Version("staging.scgpt.m version 1", {}, THEIRS, 1e-5),
        validated=True,
        smoke_error="",
        likeness=Likeness(True, 0.4, None, 1.0, (NEW_SPACE,)),
        lost_genes=(),
        licence="MIT",
        provenance="the tests",
        approval_needed=False,
    )

    def gather(*_: Any, approved_by: str, approval_needed: bool, **__: Any) -> Evidence:
        return replace(found, approved_by=approved_by, approval_needed=approval_needed)

    monkeypatch.setattr(evidence, "gather", gather)


def run(lab: Lab) -> Promoted:
    request = Request(lab.settings("dev"), lab.settings("staging"), pull_request=True)
    return promote(request, report=print)


@pytest.mark.usefixtures("measured")
def test_a_reviewer_reads_gates_and_metrics_beside_the_champions(
    lab: Lab, gh: Path, files: Path
) -> None:
    scores = registry.metrics_tag(OURS)
    lab.release("staging", lab.register("staging", files, engine_digest="2" * 64))
    lab.release("dev", lab.register("dev", files, metrics=scores))
    before = lab.settings("staging").manifest_path.read_bytes()
    done = run(lab)
    assert done.next == f"review {URL}"
    asked = (gh / "asked.pr.create").read_text().splitlines()
    (branch,) = git(
        lab.folder, "branch", "--list", "promote/*", "--format=%(refname:short)"
    ).split()
    title = f"staging: promote to version {done.version}-of-dev"
    assert asked[:6] == ["pr", "create", "--head", branch, "--title", title]
    body = (gh / "body").read_text()
    assert (
        "| metric, with its 95 % interval | staging.scgpt.m version 1 | dev.scgpt.m version 2 |"
        in body
    )
    assert f"| knn_accuracy | {THEIRS['knn_accuracy']} | {OURS['knn_accuracy']} |" in body
    assert NEW_SPACE in body
    assert lab.settings("staging").manifest_path.read_bytes() == before, "the merge changes it"
    shown = git(lab.folder, "show", f"origin/{branch}:./staging.release.json")
    assert [each["version"] for each in json.loads(shown)["served"]] == [done.copy]

    assert run(lab).next == done.next
    assert (gh / "created").read_text() == "once\n"

    # The comment on the plan shows the scores of the copy too, whose run lies elsewhere.
    with connected(lab.settings("staging")) as client:
        found = built(client, lab.settings("staging").names.full_model, int(done.copy or 0))
    assert found.metrics == {
        "knn_accuracy": 0.77,
        "knn_accuracy_low": 0.74,
        "knn_accuracy_high": 0.81,
    }
    assert found.weights == "1" * 64
