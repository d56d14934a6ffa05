"""An endpoint that was made elsewhere becomes an environment; the workspace is only read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import Site, wait_until
from tests.acceptance.ways.conftest import MODEL, SERVING, run

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]


def test_an_endpoint_made_by_rest_is_described_in_full(
    place: Site, declared: Path, tmp_path: Path
) -> None:
    run(place, "-m", "examples.endpoint.with_rest", environments=declared)
    out = tmp_path / "adopted"
    command = ("adopt", "local", "--endpoint", "scgpt-serving", "--environments", out, "--json")
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
    assert [change["adds_only"] for change in done["changes"]] == [True] * 5
    place.api("DELETE", f"{SERVING}/scgpt-serving")


@pytest.fixture
def by_hand(place: Site) -> Iterator[None]:
    """As somebody made it in a hurry."""
    entity = {"entity_name": MODEL, "entity_version": "1", "workload_size": "Small"}
    place.api("POST", SERVING, name="by-hand", config={"served_entities": [entity]})

    def settled() -> bool:
        state = place.api("GET", f"{SERVING}/by-hand")["state"]
        return bool(state["config_update"] == "NOT_UPDATING")

    wait_until(settled)
    yield
    place.api("DELETE", f"{SERVING}/by-hand")


@pytest.mark.long
@pytest.mark.usefixtures("by_hand")
def test_a_wrong_state_leaves_nothing_behind(place: Site, tmp_path: Path) -> None:
    """So that the command with another one is not refused."""
    command = ("adopt", "local", "--endpoint", "by-hand", "--environments", tmp_path)
    secret = place.scgpt(*command, "--blocks", "--state", "backend=local", "--state", "password=x")
    assert secret.code == 2
    assert "state.password: unknown key" in secret.err
    state = ("--state", "backend=http", "--state", "address=http://127.0.0.1:9/nobody")
    once = ("--state", "options.retry_max=0")  # read as a number by real Terraform
    unreachable = place.scgpt(*command, *state, *once)
    assert unreachable.code == 1
    assert "terraform init failed" in unreachable.err
    assert not list(tmp_path.glob("*.toml")) + list(tmp_path.glob("*.json"))


def test_an_endpoint_that_does_not_exist(place: Site, tmp_path: Path) -> None:
    done = place.scgpt("adopt", "local", "--endpoint", "nothing", "--environments", tmp_path)
    assert done.code == 1
    assert "no endpoint 'nothing'" in done.err
    assert list(tmp_path.iterdir()) == []
