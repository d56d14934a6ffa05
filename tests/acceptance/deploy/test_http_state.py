"""State behind HTTP, with a lock and a password, and real Terraform."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import DeployError
from scripts.deploy.terraform import Terraform

from .conftest import Place
from .state_server import PASSWORD, USER, StateServer, serve

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


@pytest.fixture
def place(tmp_path: Path, states: StateServer) -> Iterator[Place]:
    place = Place(tmp_path / "environments")
    place.declare(state={"backend": "http", "address": states.url})
    place.start_workspace()
    yield place
    place.stop_workspace()


def test_who_holds_the_lock(states: StateServer, tmp_path: Path) -> None:
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
    with pytest.raises(DeployError, match=r"ann@builder-7 runs Apply since 2026-11-21") as caught:
        terraform.plan()
    assert f"terraform force-unlock {LOCK['ID']}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert states.locks == {"dev-registry/lock": LOCK}, "it is still theirs"
    states.locks.clear()
    terraform.plan()
    terraform.apply()
    assert states.locks == {}
    assert list(states.states) == ["dev-registry"]


@pytest.mark.long
def test_state_behind_http(
    place: Place, states: StateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = place.scgpt("plan", "local")
    assert refused.code == 1, "no password"
    assert states.states == {}

    monkeypatch.setenv("TF_HTTP_USERNAME", USER)
    monkeypatch.setenv("TF_HTTP_PASSWORD", PASSWORD)
    deployed = place.succeed("deploy", "local", "--json")
    assert deployed.json["verified"]
    assert list(states.states) == ["local-registry"]
    assert len(json.loads(states.states["local-registry"])["resources"]) > 5
    assert states.locks == {}
    assert ("POST", "/states/local-registry/lock") in states.calls
    assert ("DELETE", "/states/local-registry/lock") in states.calls
    assert not (place.folder / "state").exists(), "no local state beside it"

    _somebody_else_holds_the_lock(place, states)
    _no_password_is_written_anywhere(place, states, deployed.out + deployed.err)

    place.succeed("destroy", "local", "--yes")
    assert json.loads(states.states["local-registry"])["resources"] == []


def _somebody_else_holds_the_lock(place: Place, states: StateServer) -> None:
    states.locks["local-registry/lock"] = LOCK
    for command in ("plan", "deploy"):
        said = place.scgpt(command, "local")
        assert said.code == 1
        assert "local-registry: the state is locked: ann@builder-7 runs Apply" in said.err
        assert f"terraform force-unlock {LOCK['ID']}" in said.err
    del states.locks["local-registry/lock"]
    assert place.changes() == 0


def _no_password_is_written_anywhere(place: Place, states: StateServer, said: str) -> None:
    assert PASSWORD not in said
    assert PASSWORD.encode() not in b"".join(states.states.values())
    for path in (place.folder / "deploy").rglob("*.json"):
        assert PASSWORD not in path.read_text(), path
