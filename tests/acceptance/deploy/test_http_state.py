"""State behind HTTP, with a lock and a password, and real Terraform. The case `empty/remote-state`
shows it with a deploy.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.deploy.terraform import Terraform
from tests.acceptance.deploy.state_server import PASSWORD, USER, StateServer, serve

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]

LOCK = {
    "ID": "1f3e5d7c-0000-1111-2222-333344445555",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ann@builder-7",
    "Version": "1.11.4",
    "Created": "2026-11-21T07:12:13Z",
    "Path": "",
}


@pytest.fixture
def states() -> Iterator[StateServer]:
    with serve() as served:
        yield served


def test_the_lock_of_another_run(states: StateServer, tmp_path: Path) -> None:
    """Terraform alone, on a resource that is built into it: the short sample."""
    folder = tmp_path / "dev-registry"
    folder.mkdir()
    address = f"{states.url}/{folder.name}"
    backend = {
        "address": address,
        "lock_address": f"{address}/lock",
        "lock_method": "POST",
        "unlock_address": f"{address}/lock",
        "unlock_method": "DELETE",
    }
    stack = {
        "terraform": {"backend": {"http": backend}},
        "resource": {"terraform_data": {"x": {"input": "a"}}},
    }
    (folder / "cdk.tf.json").write_text(json.dumps(stack))
    login = {"TF_HTTP_USERNAME": USER, "TF_HTTP_PASSWORD": PASSWORD}
    unset = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    terraform = Terraform(folder, {**os.environ, **unset, **login}, lambda _: None)
    terraform.init(forget_lock=True)
    states.locks["dev-registry/lock"] = LOCK
    with pytest.raises(DeployError, match="remote state already locked") as caught:
        terraform.plan()
    assert f"run `terraform force-unlock {LOCK['ID']}` in {folder}" in str(caught.value)
    assert states.locks == {"dev-registry/lock": LOCK}, "it is still theirs"
    states.locks.clear()
    terraform.plan()
    terraform.apply()
    assert states.locks == {}
    assert list(states.states) == ["dev-registry"]
