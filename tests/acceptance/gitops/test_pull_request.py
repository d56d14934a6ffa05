"""A change on its way: pull request, comment, merge, endpoint changed, drift, issue, back again.

The commands are the `run:` lines of the workflow files; the clone, the Terraform, the workspace
and its endpoint are real, GitHub's API is a small server. What is expected to be read can be read
in `cases/`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.scripts.gitops.github import plan_line
from tests.acceptance.gitops.actions import ENVIRONMENT, Runner
from tests.acceptance.gitops.github import BOT, GitHub
from tests.acceptance.site import Site

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]

CASES = Path(__file__).parent / "cases"
GRANTS = "/api/2.1/unity-catalog/permissions/function/main.scgpt.scgpt_gene_embeddings"
ENDPOINT = "/api/2.0/serving-endpoints/scgpt-serving"
REVIEW = '.venv/bin/scgpt review "$ENVIRONMENT" --post'
REVIEWED = '.venv/bin/scgpt reviewed "$ENVIRONMENT"'
DEPLOY = '.venv/bin/scgpt deploy "$ENVIRONMENT" --reviewed "$REVIEWED"'
SEND = '.venv/bin/scgpt endpoint apply "$ENVIRONMENT"'
SMOKE = '.venv/bin/scgpt smoke "$ENVIRONMENT"'
SUMMARY = '.venv/bin/scgpt summary "$ENVIRONMENT"'
LEFT = '.venv/bin/scgpt review "$ENVIRONMENT"'
DRIFT = '.venv/bin/scgpt drift "$ENVIRONMENT" --post'


class Clone:
    """A clone of this repository whose `local` environment is tracked, and its workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Without history: the files alone matter.
        subprocess.run(
            ["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(folder)], check=True
        )
        self.git("switch", "--quiet", "--force-create", "main")
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.site = Site(folder / "infra" / "environments")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, message: str, **files: Path) -> str:
        """Commit the `local` environment, its TOML replaced by a file of a case."""
        if "toml" in files:
            shutil.copy(files["toml"], self.site.folder / "local.toml")
        self.git("add", "infra/environments/local.toml")
        if self.site.manifest.exists():
            self.git("add", "infra/environments/local.release.json")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "-m", f"Merge {branch}", branch)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


@pytest.fixture
def workspace(clone: Clone) -> Iterator[None]:
    """The clone's workspace is up."""
    try:
        clone.site.start_workspace()
        yield
    finally:
        clone.site.stop_workspace()


@pytest.fixture
def runner(clone: Clone, github: GitHub, tmp_path: Path) -> Runner:
    return Runner(clone.folder, clone.site, github, tmp_path)


@pytest.mark.usefixtures("workspace")
def test_the_first_review(clone: Clone, github: GitHub, runner: Runner) -> None:
    head = clone.commit("Our workspace", toml=CASES / "first-review/local.toml")
    number = github.open_pull(head)
    assert runner.pull_request(number, head).codes == {REVIEW: 0}
    (comment,) = github.comments(number)
    same(comment["body"], "first-review/comment.md")
    same("\n".join(runner.log) + "\n", "first-review/commands.txt")


def test_what_cannot_be_planned(clone: Clone, github: GitHub, runner: Runner) -> None:
    """The comment of an earlier plan does not stay, so nothing can be applied by it."""
    toml = clone.site.folder / "local.toml"
    toml.write_text(toml.read_text().replace("[tags]", "[tgas]"))
    head = clone.commit("A slip")
    number = github.open_pull(head)
    github.say(number, BOT, f"{plan_line(ENVIRONMENT, '1' * 64)}\n\nan earlier plan")
    done = runner.pull_request(number, head)
    assert done.codes == {REVIEW: 2}
    assert "tgas" in done.err
    (comment,) = github.comments(number)
    assert comment["body"].startswith(plan_line(ENVIRONMENT, None))
    assert "### local: cannot be planned" in comment["body"]
    assert "tgas" in comment["body"]
    merged = clone.merge("main")
    github.merge(number, merged)
    assert runner.push(merged).codes[REVIEWED] == 3


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_whoever_plans_sees_what_watches_the_endpoint(
    clone: Clone, github: GitHub, runner: Runner
) -> None:
    """Warehouse, alerts, dashboard and jobs are made by one principal, planned by another."""
    clone.commit("Our workspace", toml=CASES / "new-version/main.toml")
    clone.site.succeed("deploy", ENVIRONMENT)
    toml = clone.site.folder / "local.toml"
    toml.write_text(f"{toml.read_text()}\n[monitoring]\nerror_rate_threshold = 0.1\n")
    number, merged = pull_request(clone, github, runner, "threshold")
    (comment,) = github.comments(number)
    assert "The alert `scgpt-serving: error rate` changes: `evaluation`." in comment["body"]
    assert "### local: 1 change" in comment["body"]
    deployed = runner.push(merged)
    assert deployed.codes == {REVIEWED: 0, DEPLOY: 0, SUMMARY: 0}, deployed.err
    compared = runner.schedule(merged)
    assert compared.codes == {DRIFT: 0}, compared.err


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_a_new_version(
    clone: Clone, github: GitHub, runner: Runner, demo_checkpoints: Path
) -> None:
    site = clone.site
    released(clone, demo_checkpoints / "checkpoint", knn_accuracy=0.8)

    clone.git("switch", "--quiet", "--create", "release")
    built(site, demo_checkpoints / "random", knn_accuracy=0.9)
    head = clone.commit("Version 2, and a limit", toml=CASES / "new-version/pull-request.toml")
    number = github.open_pull(head)
    assert runner.pull_request(number, head).codes == {REVIEW: 0}
    (comment,) = github.comments(number)
    same(comment["body"], "new-version/comment.md")
    assert served(site) == {"scgpt_gene_embeddings-1": 100}, "a review changes nothing"

    merged = clone.merge("release")
    github.merge(number, merged)
    done = runner.push(merged)
    assert done.codes == {REVIEWED: 0, DEPLOY: 0, SMOKE: 0, SUMMARY: 0}, done.err
    assert served(site) == {"scgpt_gene_embeddings-2": 100}
    same(done.summary, "new-version/summary.md")

    by_hand(site)
    assert runner.schedule(merged).codes == {DRIFT: 1}
    (issue,) = (entry for entry in github.issues.values())
    assert issue["title"] == "Drift: local is not as declared"
    same(issue["body"], "new-version/issue.md")

    assert runner.by_hand(merged).codes == {SEND: 0, SMOKE: 0, SUMMARY: 0}
    assert runner.schedule(merged).codes == {DRIFT: 0}
    assert issue["state"] == "closed"
    same("\n".join(runner.log) + "\n", "new-version/commands.txt")


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_only_what_was_reviewed_and_the_way_back(
    clone: Clone, github: GitHub, runner: Runner
) -> None:
    """Refused, then found by the drift run, then put back by another pull request."""
    site = clone.site
    first = clone.commit("Our workspace", toml=CASES / "way-back/local.toml")
    pushed = runner.push(first)
    assert pushed.codes == {REVIEWED: 3, SUMMARY: 0, LEFT: 0}
    assert "came by no merged pull request" in pushed.err
    site.succeed("deploy", ENVIRONMENT)

    toml = site.folder / "local.toml"
    toml.write_text(toml.read_text().replace('["EXECUTE"]', '["EXECUTE", "APPLY_TAG"]'))
    number, merged = pull_request(clone, github, runner, "tagging", meanwhile=take_grant)
    refused = runner.push(merged)
    assert refused.codes == {REVIEWED: 0, DEPLOY: 3, SUMMARY: 0, LEFT: 0}
    assert "the plan is not the one that was reviewed" in refused.err
    assert grants(site) == set(), "a refused deploy changes nothing"
    assert "gets `APPLY_TAG` and `EXECUTE`" in refused.summary, "what is left to apply"

    assert runner.schedule(merged).codes == {DRIFT: 1}
    (issue,) = github.issues.values()
    assert "gets `APPLY_TAG` and `EXECUTE`" in issue["body"]

    other, merged = pull_request(clone, github, runner, "put-back")
    assert other != number
    assert runner.push(merged).codes == {REVIEWED: 0, DEPLOY: 0, SUMMARY: 0}
    assert grants(site) == {"APPLY_TAG", "EXECUTE"}
    assert runner.schedule(merged).codes == {DRIFT: 0}
    assert issue["state"] == "closed"


def pull_request(
    clone: Clone,
    github: GitHub,
    runner: Runner,
    branch: str,
    meanwhile: Callable[[Site], None] = lambda _: None,
) -> tuple[int, str]:
    """Review and merge a change of the TOML; return pull request and merge commit."""
    clone.git("switch", "--quiet", "--create", branch)
    head = clone.commit(branch)
    number = github.open_pull(head)
    planned = runner.pull_request(number, head)
    assert planned.codes == {REVIEW: 0}, planned.err
    meanwhile(clone.site)
    merged = clone.merge(branch)
    github.merge(number, merged)
    return number, merged


def released(clone: Clone, checkpoint: Path, **metrics: float) -> None:
    """A first version, deployed; main declares it."""
    clone.commit("Our workspace", toml=CASES / "new-version/main.toml")
    clone.site.succeed("deploy", ENVIRONMENT)
    built(clone.site, checkpoint, **metrics)
    clone.site.succeed("deploy", ENVIRONMENT)
    clone.commit("Version 1")


def built(site: Site, checkpoint: Path, **metrics: float) -> None:
    """A version, and metrics that an evaluation logged to its run."""
    site.succeed("build", ENVIRONMENT, "--checkpoint", checkpoint)
    run_id = json.loads(site.manifest.read_text())["served"][0]["run_id"]
    for key, value in metrics.items():
        metric = {"run_id": run_id, "key": key, "value": value, "timestamp": 0, "step": 0}
        site.api("POST", "/api/2.0/mlflow/runs/log-metric", **metric)


def served(site: Site) -> dict[str, int]:
    routes = site.api("GET", ENDPOINT)["config"]["traffic_config"]["routes"]
    return {
        route.get("served_entity_name") or route["served_model_name"]: route["traffic_percentage"]
        for route in routes
    }


def by_hand(site: Site) -> None:
    """A limit that a plan sees, and a tag taken away, which no plan sees."""
    gateway = site.api("GET", ENDPOINT)["ai_gateway"]
    gateway["rate_limits"] = [{"key": "user", "calls": 6, "renewal_period": "minute"}]
    site.api("PUT", f"{ENDPOINT}/ai-gateway", **gateway)
    site.api("PATCH", f"{ENDPOINT}/tags", delete_tags=["project"])


def take_grant(site: Site) -> None:
    changes = [{"principal": "scientists", "remove": ["EXECUTE"]}]
    site.api("PATCH", GRANTS, changes=changes)


def grants(site: Site) -> set[str]:
    held = site.api("GET", GRANTS).get("privilege_assignments", [])
    return {
        privilege
        for entry in held
        if entry["principal"] == "scientists"
        for privilege in entry["privileges"]
    }


def same(text: str, expected: str) -> None:
    """Equal but for what no two runs share: digests, commits, the provider's place."""
    for pattern, name in (
        (r"\b[0-9a-f]{64}\b", "<digest>"),
        (r"`[0-9a-f]{12}`", "`<short>`"),
        (r"databricks/databricks 1\.99\.0 \(.*?\)", "databricks/databricks 1.99.0"),
    ):
        text = re.sub(pattern, name, text)
    path = CASES / expected
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path} was not there and is written now: read it")
    assert text == path.read_text()
