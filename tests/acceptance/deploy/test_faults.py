"""Whatever the API answers while a deploy goes on: run again, it converges, nothing is orphaned."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from requests import HTTPError

from tests.acceptance.deploy.conftest import ENDPOINT, Place
from tests.acceptance.site import wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

UNITY = "/api/2.1/unity-catalog"
REGISTRY = [
    ("POST", f"{UNITY}/schemas"),
    ("POST", f"{UNITY}/volumes"),
    ("POST", f"{UNITY}/models"),
    ("PATCH", f"{UNITY}/permissions/*"),
    ("POST", "/api/2.0/mlflow/experiments/create"),
]
SERVING = [
    ("POST", "/api/2.0/serving-endpoints"),
    ("PUT", "/api/2.0/permissions/serving-endpoints/*"),
    ("GET", ENDPOINT),
]
STATUSES = (400, 403, 404, 409, 429, 503)
MONITORING = [
    ("POST", "/api/2.0/sql/warehouses"),
    ("POST", "/api/2.0/notification-destinations"),
    ("POST", "/api/2.0/alerts"),
    ("POST", "/api/2.0/lakeview/dashboards"),
    ("POST", "/api/2.2/jobs/create"),
]
FAULTS = [
    *({"status": status, "when": when} for status in STATUSES for when in ("before", "after")),
    {"drop": True, "when": "before"},
    {"drop": True, "when": "after"},
]
HALF_WAY = [
    (part, status) for part in ("config", "tags", "ai-gateway") for status in ("400", "409")
]
MOST_RUNS = 8


def sampled(cases: list[Any], number: int, seed: int) -> list[Any]:
    """All cases; those that the seed does not draw are of the long runs (`make soak`)."""
    kept = random.Random(seed).sample(range(len(cases)), number)
    return [
        pytest.param(case, marks=() if i in kept else pytest.mark.soak)
        for i, case in enumerate(cases)
    ]


def name(fault: dict[str, object]) -> str:
    return f"{fault.get('status', 'drop')}-{fault['when']}"


def converge(place: Place, *routes: tuple[str, str], fault: dict[str, object]) -> int:
    """Hit each route once; how many runs of the same command it takes."""
    for method, path in routes:
        place.control("POST", "faults", method=method, path=path, **fault)
    try:
        for run in range(1, MOST_RUNS + 1):
            done = place.scgpt("deploy", "local")
            if done.code == 0:
                return run
            assert done.code == 1, done.err
            assert "error:" in done.err
    finally:
        place.control("DELETE", "faults")
    pytest.fail(f"not deployed after {MOST_RUNS} runs:\n{done.err}")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("faults"))
    place.declare()
    place.start_workspace()
    yield place
    place.stop_workspace()


def check_registry(place: Place) -> None:
    assert place.scgpt("verify", "local").code == 0
    assert place.changes() == 0
    schemas = place.api("GET", f"{UNITY}/schemas?catalog_name=main")["schemas"]
    assert [each["name"] for each in schemas if each["name"] != "default"] == ["scgpt"]
    volumes = place.api("GET", f"{UNITY}/volumes?catalog_name=main&schema_name=scgpt")["volumes"]
    assert sorted(each["name"] for each in volumes) == ["artifacts", "checkpoints"]


@pytest.mark.parametrize("fault", sampled(FAULTS, 1, seed=1), ids=name)
def test_faults_of_the_registry(empty: Place, fault: dict[str, object]) -> None:
    converge(empty, *REGISTRY, fault=fault)
    check_registry(empty)
    empty.succeed("destroy", "local", "--yes")
    assert empty.api("GET", f"{UNITY}/schemas?catalog_name=main").get("schemas", []) == []


@pytest.mark.parametrize("fault", sampled(FAULTS, 1, seed=0), ids=name)
def test_faults_of_monitoring(empty: Place, fault: dict[str, object]) -> None:
    """An object without a unique name is made twice when an answer is lost; one is left."""
    empty.declare(monitoring={"enabled": True, "emails": ["ops@example.com"]})
    try:
        converge(empty, *MONITORING, fault=fault)
        assert empty.scgpt("verify", "local").code == 0, "verify tells second copies"
        assert empty.changes() == 0
    finally:
        empty.succeed("destroy", "local", "--yes")
        empty.declare()


@pytest.mark.parametrize("fault", sampled(FAULTS, 1, seed=5), ids=name)
def test_faults_of_the_endpoint(released: Place, fault: dict[str, object]) -> None:
    released.declare()
    released.release((2, 100))
    with suppress(HTTPError):  # there is none before the first of the cases
        released.api("DELETE", ENDPOINT)
    converge(released, *SERVING, fault=fault)
    assert released.scgpt("verify", "local").code == 0
    assert released.changes() == 0
    found = released.api("GET", "/api/2.0/serving-endpoints")["endpoints"]
    assert Counter(each["name"] for each in found) == {"scgpt-serving": 1}


@pytest.mark.parametrize("case", sampled(HALF_WAY, 2, seed=1), ids="-".join)
def test_an_update_that_stops_half_way(released: Place, case: tuple[str, str]) -> None:
    """The provider records what it never sent: the deploy says so, and what to do."""
    part, status = case[0], int(case[1])
    released.declare(tags={"run": "before"})
    released.release((1, 100))
    released.succeed("deploy", "local")
    released.declare(
        tags={"run": f"{part}-{status}"},
        gateway={"rate_limits": [{"calls": 30, "key": "user"}]},
    )
    released.release((2, 100))
    method = {"config": "PUT", "tags": "PATCH", "ai-gateway": "PUT"}[part]
    path = f"{ENDPOINT}/{part}"
    released.control("POST", "faults", method=method, path=path, status=status)
    stopped = released.scgpt("deploy", "local")
    assert stopped.code == 1
    assert "The workspace differs:" in stopped.err
    again = released.scgpt("deploy", "local")
    if again.code != 0:
        assert "scgpt endpoint apply local" in again.err
        released.succeed("endpoint", "apply", "local")
        released.succeed("deploy", "local")
    assert released.scgpt("verify", "local").code == 0
    assert released.changes() == 0


def test_an_endpoint_that_never_came_up_is_made_anew(released: Place) -> None:
    """Left by a creation that failed, and whose clean-up failed too: in no state."""
    released.declare()
    released.release((2, 100))
    with suppress(HTTPError):
        released.api("DELETE", ENDPOINT)
    (released.folder / "state" / "local-serving.tfstate").unlink(missing_ok=True)
    entity = {
        "entity_name": "main.scgpt.scgpt_gene_embeddings",
        "entity_version": "3",
        "workload_size": "Small",
        "scale_to_zero_enabled": True,
    }
    released.control("PUT", "settings/deployments", fail=["scgpt_gene_embeddings-3"])
    try:
        config = {"served_entities": [entity]}
        released.api("POST", "/api/2.0/serving-endpoints", name="scgpt-serving", config=config)
        wait_until(lambda: released.endpoint()["state"]["config_update"] == "UPDATE_FAILED")
    finally:
        released.control("PUT", "settings/deployments")
    planned = released.succeed("plan", "local", "--json").json
    (finding,) = planned["stacks"]["local-serving"]["findings"]
    assert (finding["check"], finding["severity"]) == ("exists-already", "warn")
    assert "makes it anew" in finding["remedy"]
    done = released.succeed("deploy", "local")
    assert "never worked, is removed" in done.err
    assert released.scgpt("verify", "local").code == 0
    assert released.changes() == 0
