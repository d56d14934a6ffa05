"""A route-optimised endpoint through `scgpt`, which has to log in with OAuth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata
import pytest
import requests

from scgpt_databricks.model.client import Endpoint
from scgpt_databricks.model.errors import EndpointError
from tests.acceptance.site import Site, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

NAME = "scgpt-direct"
ENDPOINTS = "/api/2.0/serving-endpoints"
BUILDER = "00000000-0000-4000-8000-0000000000b1"


@pytest.fixture(scope="module")
def direct(quickstart: Site) -> Iterator[Site]:
    """The quickstart's model behind a second endpoint, which the builder may query."""
    served = quickstart.api("GET", f"{ENDPOINTS}/scgpt-serving")["config"]["served_entities"][0]
    kept = ("name", "entity_name", "entity_version", "workload_size", "scale_to_zero_enabled")
    config = {"served_entities": [{field: served[field] for field in kept}]}
    made = quickstart.api("POST", ENDPOINTS, name=NAME, config=config, route_optimized=True)
    entry = {"service_principal_name": BUILDER, "permission_level": "CAN_QUERY"}
    permissions = f"/api/2.0/permissions/serving-endpoints/{made['id']}"
    quickstart.api("PATCH", permissions, access_control_list=[entry])
    wait_until(lambda: _state(quickstart) == "READY")
    yield quickstart
    quickstart.api("DELETE", f"{ENDPOINTS}/{NAME}")


def _state(site: Site) -> str:
    return str(site.api("GET", f"{ENDPOINTS}/{NAME}")["state"]["ready"])


def _as(site: Site, profile: str, folder: Path) -> Site:
    """The environment of that endpoint, logged in to by a profile."""
    other = site.copy(folder, profile=profile)
    toml = folder / "local.toml"
    text = toml.read_text()
    assert '"scgpt-serving"' in text
    toml.write_text(text.replace('"scgpt-serving"', f'"{NAME}"'))
    return other


def test_oauth_is_taken(direct: Site, cells_file: Path, tmp_path: Path) -> None:
    site = _as(direct, "local-oauth", tmp_path / "environments")
    assert site.succeed("smoke", "local", "--json").json["requests"] == 1
    output = tmp_path / "out.h5ad"
    site.succeed("embed", "local", cells_file, "--out", output, "--chunk", "2")
    assert anndata.read_h5ad(output).uns["scgpt"]["endpoint"] == NAME


def test_a_personal_token_is_not(direct: Site, cells_file: Path, tmp_path: Path) -> None:
    site = _as(direct, "local", tmp_path / "environments")
    output = tmp_path / "out.h5ad"
    for command in (("smoke", "local"), ("embed", "local", cells_file, "--out", output)):
        done = site.scgpt(*command)
        assert (done.code, done.out) == (1, "")
        assert f"{NAME} is route-optimised: such endpoints take OAuth only" in done.err
        assert "this login is pat" in done.err


def test_the_client_finds_it_by_name_and_by_url(
    direct: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(direct.folder / "databrickscfg"))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "local-oauth")
    by_name = Endpoint.find(NAME)
    assert by_name.url == f"{direct.url}/1234567890123456/serving-endpoints/{NAME}/invocations"
    assert Endpoint.find(by_name.url + "/").url == by_name.url
    assert Endpoint.find(f"{direct.url}/serving-endpoints/{NAME}/invocations").url == by_name.url
    elsewhere = f"https://0.serving.example.com/1/serving-endpoints/{NAME}/invocations"
    with pytest.raises(EndpointError, match="is no endpoint of") as refusal:
        Endpoint.find(elsewhere)
    assert refusal.value.code == "another_workspace"
    genes = {"dataframe_split": {"columns": ["x"], "data": [["y"]]}}
    answer = requests.post(by_name.url, json=genes, headers=dict(by_name.headers()), timeout=60)
    assert answer.status_code == 400  # the model's own refusal: it was reached
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "local")
    with pytest.raises(EndpointError, match="OAuth only"):
        Endpoint.find(NAME)
