"""An endpoint that was made elsewhere becomes an environment; the workspace is only read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site, wait_until

from .conftest import MODEL, SERVING, run

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]


def planned(place: Site, folder: Path) -> set[tuple[str, str]]:
    """(address, action) of each change that `scgpt plan` shows."""
    done = place.succeed("plan", "local", "--environments", folder, "--json")
    return {
        (change["address"], change["action"])
        for stack in done.json["stacks"].values()
        for change in stack["changes"]
    }


def announced(adoption: dict[str, Any]) -> set[tuple[str, str]]:
    return {(change["address"], change["action"]) for change in adoption["changes"]}


def test_an_endpoint_made_by_rest_is_described_in_full(
    place: Site, declared: Path, tmp_path: Path
) -> None:
    run(place, "-m", "examples.endpoint.with_rest", environments=declared)
    out = tmp_path / "adopted"
    command = ("adopt", "scgpt-serving", "--environment", "local", "--out", out, "--json")
    done = place.succeed(*command, "--dry-run").json
    assert not out.exists()
    assert set(done["imports"]["local-serving"]) == {
        "databricks_model_serving.endpoint",
        "databricks_permissions.endpoint_permissions",
    }
    assert set(done["imports"]["local-registry"]) == {
        "databricks_registered_model.model",
        "databricks_schema.schema",
    }
    assert [c for c in done["changes"] if c["stack"] == "local-serving"] == []
    assert all(change["adds_only"] for change in done["changes"]), done["changes"]
    place.api("DELETE", f"{SERVING}/scgpt-serving")


@pytest.fixture
def by_hand(place: Site) -> Iterator[str]:
    """As somebody made it in a hurry: settings left out, one odd name, people with permissions."""
    entity = {
        "name": "current",
        "entity_name": MODEL,
        "entity_version": "1",
        "workload_size": "Small",
        "environment_vars": {"MODE": "trial"},
    }
    made = place.api(
        "POST",
        SERVING,
        name="by-hand",
        config={"served_entities": [entity]},
        tags=[{"key": "made", "value": "by hand"}],
    )

    def settled() -> bool:
        state = place.api("GET", f"{SERVING}/by-hand")["state"]
        return bool(state["config_update"] == "NOT_UPDATING")

    wait_until(settled)
    place.api(
        "PUT",
        f"/api/2.0/permissions/serving-endpoints/{made['id']}",
        access_control_list=[
            {"group_name": "scientists", "permission_level": "CAN_QUERY"},
            {"user_name": "reader@local.test", "permission_level": "CAN_VIEW"},
        ],
    )
    yield str(made["id"])
    place.api("DELETE", f"{SERVING}/by-hand")


@pytest.mark.long
def test_an_endpoint_made_in_a_hurry_is_adopted_and_deployed(
    place: Site, by_hand: str, tmp_path: Path
) -> None:
    command = ("adopt", "by-hand", "--environment", "local", "--out", tmp_path, "--json")
    before = place.api("GET", f"{SERVING}/by-hand")
    tried = place.succeed(*command, "--dry-run").json
    assert list(tmp_path.iterdir()) == []
    done = place.succeed(*command).json
    assert done == {**tried, "applied": True}
    assert place.api("GET", f"{SERVING}/by-hand") == before
    assert any("'current' is renamed" in note for note in done["notes"])
    assert planned(place, tmp_path) == announced(done)
    again = place.succeed(*command).json
    assert again == done, "run again, it finds the same"
    place.succeed("deploy", "local", "--environments", tmp_path)
    assert planned(place, tmp_path) == set()
    after = place.api("GET", f"{SERVING}/by-hand")
    assert after["id"] == by_hand
    (entity,) = after["config"]["served_entities"]
    assert entity["name"] == "scgpt_gene_embeddings-1"
    assert entity["environment_vars"] == {"MODE": "trial"}
    levels = place.api("GET", f"/api/2.0/permissions/serving-endpoints/{by_hand}")
    assert "reader@local.test" in json.dumps(levels)
    refused = place.scgpt("adopt", "by-hand", "--environment", "local", "--out", tmp_path)
    assert refused.code == 3
    assert "says something else" in refused.err


@pytest.mark.long
def test_import_blocks_leave_the_state_to_the_next_deploy(
    place: Site, by_hand: str, tmp_path: Path
) -> None:
    command = ("adopt", "by-hand", "--environment", "local", "--out", tmp_path, "--json")
    done = place.succeed(*command, "--blocks").json
    assert not (tmp_path / "state").exists()
    for stack, taken in done["imports"].items():
        written = json.loads((tmp_path / f"{stack}.imports.tf.json").read_text())
        assert {block["to"]: block["id"] for block in written["import"]} == taken
    imported = {address for taken in done["imports"].values() for address in taken}
    shown = planned(place, tmp_path)
    assert {address for address, action in shown if action.startswith("import")} == imported
    assert {(a, action.removeprefix("import+")) for a, action in shown if action != "import"} == (
        announced(done)
    )
    place.succeed("deploy", "local", "--environments", tmp_path)
    assert planned(place, tmp_path) == set()
    assert place.api("GET", f"{SERVING}/by-hand")["id"] == by_hand


@pytest.mark.long
def test_a_wrong_state_leaves_nothing_behind(place: Site, by_hand: str, tmp_path: Path) -> None:
    """So that the command with another one is not refused."""
    command = ("adopt", "by-hand", "--environment", "local", "--out", tmp_path)
    secret = place.scgpt(*command, "--blocks", "--state", "backend=local", "--state", "password=x")
    assert secret.code == 2
    assert "state.password: unknown key" in secret.err
    state = ("--state", "backend=http", "--state", "address=http://127.0.0.1:9/nobody")
    state = (*state, "--state", "options.retry_max=0")  # read as a number by real Terraform
    unreachable = place.scgpt(*command, *state)
    assert unreachable.code == 1
    assert "terraform init failed" in unreachable.err
    assert not list(tmp_path.glob("*.toml")) + list(tmp_path.glob("*.json"))


def test_an_endpoint_that_does_not_exist(place: Site, tmp_path: Path) -> None:
    done = place.scgpt("adopt", "nothing", "--environment", "local", "--out", tmp_path)
    assert done.code == 1
    assert "no endpoint 'nothing'" in done.err
    assert list(tmp_path.iterdir()) == []
