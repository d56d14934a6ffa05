"""Rules that the workflow files keep, whoever edits them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

from scgpt_databricks.infra.layout import ENVIRONMENTS, LOCAL, ROOT
from scgpt_databricks.infra.settings import known, load
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.deploy.terraform import Terraform
from scgpt_databricks.scripts.deploy.variables import child_environment
from tests.unit.scripts.gitops.workflows import (
    DEPENDABOT,
    FOLDER,
    FORMS,
    NAMES,
    SETUP,
    jobs,
    read,
    steps,
    workflow,
)

CONTEXTS = {"matrix", "github", "vars", "steps", "inputs"}

LINE = re.compile(r"make (?P<target>[a-z]+)|\.venv/bin/scgpt (?P<command>[a-z]+)(?P<rest>( \S+)*)")
PINNED = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+")

EXPECTED_PERMISSIONS = {
    "ci.test": {"contents": "read"},
    "ci.long": {"contents": "read"},
    "plan.plan": {"contents": "read", "id-token": "write", "pull-requests": "write"},
    "plan.planned": {},
    "deploy.deploy": {"contents": "read", "id-token": "write", "pull-requests": "read"},
    "drift.drift": {"contents": "read", "id-token": "write", "issues": "write"},
    "promote.promote": {"contents": "write", "id-token": "write", "pull-requests": "write"},
    "release.release": {"contents": "write"},
    "soak.soak": {"contents": "read"},
}
ON_A_WORKSPACE = ("plan.plan", "deploy.deploy", "drift.drift")


def test_no_workflow_is_left_out() -> None:
    assert tuple(sorted(path.stem for path in FOLDER.iterdir())) == NAMES


def by_schema(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """GitHub's schema, as the tool carries it: nothing is fetched."""
    tool = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [tool, "--builtin-schema", schema, *files], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", sorted(FOLDER.iterdir())),
        ("custom.github-workflows-require-timeout", sorted(FOLDER.iterdir())),
        ("vendor.github-actions", [SETUP]),
        ("vendor.dependabot", [DEPENDABOT]),
        ("vendor.github-issue-forms", [FORMS / "bug.yml", FORMS / "feature.yml"]),
        ("vendor.github-issue-config", [FORMS / "config.yml"]),
    ],
)
def test_each_file_is_valid_by_its_schema(schema: str, files: list[Path]) -> None:
    done = by_schema(schema, *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "source", "right", "wrong"),
    [
        ("vendor.github-workflows", FOLDER / "deploy.yml", "runs-on:", "run-on:"),
        ("vendor.github-workflows", FOLDER / "plan.yml", "id-token: write", "id-token: all"),
        ("vendor.github-workflows", FOLDER / "drift.yml", "schedule:", "scheduled:"),
        ("vendor.github-actions", SETUP, "shell: bash", "shall: bash"),
        ("vendor.dependabot", DEPENDABOT, "interval: weekly", "interval: often"),
        ("vendor.github-issue-forms", FORMS / "bug.yml", "type: dropdown", "type: list"),
    ],
)
def test_a_broken_copy_is_not(
    schema: str, source: Path, right: str, wrong: str, tmp_path: Path
) -> None:
    text = source.read_text()
    assert right in text
    broken = tmp_path / source.name
    broken.write_text(text.replace(right, wrong))
    done = by_schema(schema, broken)
    assert done.returncode == 1
    assert str(broken) in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_names_and_machines(name: str) -> None:
    found = workflow(name)
    assert found["name"] == name
    assert {job["runs-on"] for job in found["jobs"].values()} == {"ubuntu-24.04"}


def test_inputs_of_our_action_are_those_it_has() -> None:
    inputs = read(SETUP)["inputs"].keys()
    given = [step["with"] for _, step in steps() if str(step.get("uses")).startswith("./")
             and "with" in step]  # fmt: skip
    assert given
    assert all(each.keys() <= inputs for each in given)


def test_expressions_are_of_known_contexts_and_never_part_of_a_command() -> None:
    for path in [*FOLDER.iterdir(), SETUP]:
        for expression in re.findall(r"\$\{\{ (.*?) \}\}", path.read_text()):
            assert expression.split(".")[0] in CONTEXTS, expression
    assert not any("${{" in step.get("run", "") for _, step in steps())


def test_each_line_is_a_target_or_a_command_that_exists() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    context = click.Context(cli)
    lines = [step["run"] for _, step in steps() if "run" in step]
    assert len(lines) >= 10
    for line in lines:
        match = LINE.fullmatch(line)
        assert match, f"neither a make target nor a scgpt command: {line}"
        if match["target"]:
            assert match["target"] in targets
            continue
        command = cli.get_command(context, match["command"])
        assert command is not None, line
        known_options = {option for p in command.params for option in p.opts}
        options = {word for word in match["rest"].split() if word.startswith("--")}
        assert options <= known_options, line


def test_actions_are_pinned_by_commit_with_their_version() -> None:
    for path in [*FOLDER.iterdir(), SETUP]:
        used = [line.strip().removeprefix("- ") for line in path.read_text().splitlines()
                if "uses:" in line]  # fmt: skip
        for line in used:
            assert line == "uses: ./.github/actions/setup" or PINNED.fullmatch(line), line
    pins: dict[str, set[str]] = {}
    for path in [*FOLDER.iterdir(), SETUP]:
        for action, commit in PINNED.findall(path.read_text()):
            pins.setdefault(action, set()).add(commit)
    assert all(len(commits) == 1 for commits in pins.values()), "one commit of each action"


def test_least_permissions() -> None:
    assert {name: job["permissions"] for name, job, _ in jobs()} == EXPECTED_PERMISSIONS
    assert all(whole["permissions"] == {} for _, _, whole in jobs())
    for _, step in steps():
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"] == {"persist-credentials": False}
        # The token is given to the one command that speaks with GitHub.
        speaks = bool(re.search(r" reviewed |--post|--pull-request", step.get("run", "")))
        assert ("GITHUB_TOKEN" in step.get("env", {})) == speaks, step
    assert not any("GITHUB_TOKEN" in job.get("env", {}) for _, job, _ in jobs())


def test_no_secret_is_stored() -> None:
    """Databricks and AWS are reached by OIDC; nothing needs `secrets`."""
    assert not any("secrets" in path.read_text() for path in FOLDER.iterdir())
    for name, job, _ in jobs():
        if name in ON_A_WORKSPACE:
            assert job["env"]["DATABRICKS_AUTH_TYPE"] == "github-oidc"


@pytest.mark.parametrize("name", ON_A_WORKSPACE)
def test_one_job_per_environment_at_a_time(name: str) -> None:
    job: Any = {key: job for key, job, _ in jobs()}[name]
    assert sorted(job["strategy"]["matrix"]["environment"]) == [
        environment for environment in known(FOLDER.parents[1] / "infra/environments")
        if environment != LOCAL
    ]  # fmt: skip
    assert "${{ matrix.environment }}" in job["concurrency"]["group"]
    # Terraform that is cancelled may leave its lock behind.
    assert job["concurrency"]["cancel-in-progress"] is False
    assert job["env"]["ENVIRONMENT"] == "${{ matrix.environment }}"


LOCKING = ("plan", "apply", "import", "state_rm", "state_push")
WAITING = {f"TF_CLI_ARGS_{command}": "-lock-timeout=10m" for command in LOCKING}


@pytest.mark.parametrize("name", ON_A_WORKSPACE)
def test_jobs_wait_for_each_other_at_the_lock(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The concurrency groups keep apart the runs of one workflow, not the workflows."""
    job: Any = {key: job for key, job, _ in jobs()}[name]
    assert {key: value for key, value in job["env"].items() if key.startswith("TF_")} == WAITING
    for key, value in WAITING.items():
        monkeypatch.setenv(key, value)
    assert child_environment(load("dev", ENVIRONMENTS)).items() >= WAITING.items()


@pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform")
def test_terraform_waits_for_the_lock_whatever_it_does(tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"resource": {"terraform_data": {"x": {}}}}))
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    terraform = Terraform(tmp_path, {**environment, **WAITING}, lambda _: None)
    terraform.init(forget_lock=True)
    reading = partial(terraform.take_anew, "terraform_data.x", "anew")
    for work in (terraform.plan, terraform.apply, partial(terraform.edit_state, dict), reading):
        with (tmp_path / "terraform.tfstate").open("a+") as state:
            # As another Terraform holds it.
            fcntl.lockf(state, fcntl.LOCK_EX)
            (tmp_path / ".terraform.tfstate.lock.info").write_text('{"ID": "1", "Who": "other"}')
            release = threading.Timer(0.5, fcntl.lockf, (state, fcntl.LOCK_UN))
            release.start()
            try:
                work()
            finally:
                release.join()
    assert terraform.ids() == {"anew"}


def test_who_may_read_and_who_may_change() -> None:
    """The rules of the environments ask for approval before the changing identity is given out."""
    environments = {name: job.get("environment") for name, job, _ in jobs()}
    assert environments == {
        "ci.test": None,
        "ci.long": None,
        "plan.plan": "${{ matrix.environment }}-plan",
        "plan.planned": None,
        "deploy.deploy": "${{ matrix.environment }}",
        "drift.drift": "${{ matrix.environment }}-plan",
        "promote.promote": "${{ inputs.target }}-promote",
        "release.release": None,
        "soak.soak": None,
    }


def test_forks_never_meet_our_identities() -> None:
    job = workflow("plan")["jobs"]["plan"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert "pull_request_target" not in "".join(path.read_text() for path in FOLDER.iterdir())


def test_the_checks_to_require_have_one_name_and_always_report() -> None:
    """GitHub's checks are jobs. One of a matrix has a name per environment, and none in a fork."""
    written = (ROOT / "docs" / "gitops.md").read_text()
    named = re.search(r"the checks (`\w+`(?:,\s+`\w+`)*\s+and\s+`\w+`)\s+required", written)
    assert named is not None
    found = {name.partition(".")[2]: job for name, job, _ in jobs()}
    required = re.findall(r"`(\w+)`", named[1])
    assert required == ["test", "long", "planned"]
    assert not any("strategy" in found[name] for name in required)
    planned = found["planned"]
    assert (planned["needs"], planned["if"]) == ("plan", "always()")
    (step,) = planned["steps"]
    # A job that is skipped counts as passed: this one has to fail.
    assert step["uses"].startswith("actions/github-script@")
    assert step["with"]["script"].startswith("core.setFailed(")
    assert step["if"] == "needs.plan.result != 'success' && needs.plan.result != 'skipped'"


def test_the_order_of_a_deploy() -> None:
    """One environment after the other, only what was reviewed, and none stopped by another's."""
    job = workflow("deploy")["jobs"]["deploy"]
    # By hand, it can be started on any branch.
    assert job["if"] == "github.ref == 'refs/heads/main'"
    assert job["strategy"]["matrix"]["environment"] == ["dev", "staging", "prod"]
    assert (job["strategy"]["max-parallel"], job["strategy"]["fail-fast"]) == (1, False)
    lines = [step["run"].removeprefix(".venv/bin/scgpt ") for step in job["steps"] if "run" in step]
    assert lines == [
        'reviewed "$ENVIRONMENT"',
        'deploy "$ENVIRONMENT" --reviewed "$REVIEWED"',
        'endpoint apply "$ENVIRONMENT"',
        'smoke "$ENVIRONMENT"',
        'summary "$ENVIRONMENT"',
        'review "$ENVIRONMENT"',
    ]
    assert workflow("deploy")["on"] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}


def test_a_promotion_opens_a_pull_request_and_one_runs_per_target() -> None:
    job = workflow("promote")["jobs"]["promote"]
    assert job["if"] == "github.ref == 'refs/heads/main'"
    assert job["concurrency"] == {
        "group": "promote-${{ inputs.target }}", "cancel-in-progress": False,
    }  # fmt: skip
    (line,) = [step["run"] for step in job["steps"] if "run" in step]
    assert line.startswith('.venv/bin/scgpt promote "$SOURCE" "$TARGET" --pull-request --resume ')
    inputs = workflow("promote")["on"]["workflow_dispatch"]["inputs"]
    ways = {target: load(target, ENVIRONMENTS).promotion.source
            for target in inputs["target"]["options"]}  # fmt: skip
    assert list(ways.values()) == inputs["source"]["options"]


def test_every_test_runs_somewhere() -> None:
    """Tests that a marker keeps out of `ci` run once a week, and on request."""
    run = {step["run"] for _, step in steps() if step.get("run", "").startswith("make ")}
    assert run >= {"make test", "make long", "make parity", "make soak"}
    assert re.search(r"^test:.* lint\b", (ROOT / "Makefile").read_text(), re.M)
    on = workflow("soak")["on"]
    assert on.keys() == {"schedule", "workflow_dispatch"}
    assert on["schedule"] == [{"cron": "41 2 * * 6"}]


def test_plan_files_are_never_uploaded() -> None:
    uploads = [step["with"]["path"] for _, step in steps() if "upload-artifact" in str(step)]
    assert uploads == [".local/quickstart/"]


def test_a_release_is_tried_before_the_token_is_used() -> None:
    *before, last = workflow("release")["jobs"]["release"]["steps"]
    assert before[-1] == {"run": "make package"}
    assert not any("github-script" in str(step.get("uses")) for step in before)
    script = last["with"]["script"]
    assert script.index("readFileSync") < script.index("createRelease")
