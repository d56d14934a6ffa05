"""Terraform itself, on a resource that is built into it: no provider, no network."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.deploy.terraform import PLAN_FILE, ApplyError, Terraform

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform")


def stack(folder: Path, resource: dict[str, Any], lines: list[str] | None = None) -> Terraform:
    resources = {"terraform_data": {"x": resource}} if resource else {}
    (folder / "cdk.tf.json").write_text(json.dumps({"resource": resources}))
    report = (lambda _: None) if lines is None else lines.append
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    terraform = Terraform(folder, environment, report)
    terraform.init(forget_lock=True)
    return terraform


def actions(plan: Plan) -> list[str]:
    return [change.action for change in plan.resources]


def test_a_stack_is_planned_applied_and_destroyed(tmp_path: Path) -> None:
    lines: list[str] = []
    terraform = stack(tmp_path, {"input": "a"}, lines)
    assert actions(terraform.plan()) == ["create"]
    terraform.apply()
    assert lines == [
        f"{tmp_path.name}: terraform_data.x: create",
        f"{tmp_path.name}: terraform_data.x: done in 0 s",
    ]
    assert not (tmp_path / PLAN_FILE).exists()
    assert actions(terraform.plan()) == [""]
    assert actions(terraform.plan(destroy=True)) == ["delete"]
    terraform.apply()
    assert actions(terraform.plan()) == ["create"]


def test_protection_is_a_refusal(tmp_path: Path) -> None:
    protected = {"input": "a", "lifecycle": {"prevent_destroy": True}}
    terraform = stack(tmp_path, protected)
    terraform.plan()
    terraform.apply()
    moved = stack(tmp_path, {**protected, "triggers_replace": "b"})
    with pytest.raises(RefusedError, match="deletion protection refuses"):
        moved.plan()


def test_a_plan_that_fails_says_why(tmp_path: Path) -> None:
    terraform = stack(tmp_path, {"input": "${var.absent}"})
    with pytest.raises(DeployError, match="Reference to undeclared input variable"):
        terraform.plan()


def test_an_apply_that_fails_says_where(tmp_path: Path) -> None:
    failing = {"provisioner": [{"local-exec": {"command": "echo the disk is full; exit 7"}}]}
    terraform = stack(tmp_path, failing)
    terraform.plan()
    with pytest.raises(ApplyError, match=r"terraform_data\.x.*(?s:.)*exit status 7"):
        terraform.apply()
    (change,) = terraform.plan().changes
    assert change.reason == "replace_because_tainted"


def test_a_state_that_another_holds_is_not_written(tmp_path: Path) -> None:
    terraform = stack(tmp_path, {"input": "a"})
    terraform.plan()
    terraform.apply()
    with (tmp_path / "terraform.tfstate").open("a+") as state:
        fcntl.lockf(state, fcntl.LOCK_EX)
        (tmp_path / ".terraform.tfstate.lock.info").write_text('{"ID": "a-1", "Who": "ann@host"}')
        for work in (
            partial(terraform.edit_state, dict),
            partial(terraform.take_anew, "terraform_data.x", "anew"),
        ):
            with pytest.raises(DeployError, match="ann@host") as caught:
                work()
            assert f"run `terraform force-unlock a-1` in {tmp_path}" in str(caught.value)
    (tmp_path / ".terraform.tfstate.lock.info").unlink()
    assert actions(terraform.plan()) == [""]


def test_a_stack_without_an_init_fails_with_terraforms_words(tmp_path: Path) -> None:
    needed = {"required_providers": {"absent": {"source": "example.invalid/a/absent"}}}
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"terraform": needed}))
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    with pytest.raises(DeployError, match="terraform init failed"):
        Terraform(tmp_path, environment, lambda _: None).init(forget_lock=False)
