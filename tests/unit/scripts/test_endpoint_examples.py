"""The examples' request says what the serving stack says, for every environment."""

from __future__ import annotations

import argparse
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra import layout, release, settings
from tests.unit.infra.manifests import canary
from tests.unit.infra.synthesis import endpoint as synthesised_endpoint
from tests.unit.infra.synthesis import synthesised

_PROGRAM = runpy.run_path(str(layout.ROOT / "examples" / "endpoint" / "description.py"))
describe, access = _PROGRAM["describe"], _PROGRAM["access"]

TERRAFORM_ONLY = {"lifecycle", "timeouts", "depends_on"}


def given(environment: str, **more: Any) -> argparse.Namespace:
    nothing = {"name": None, "model": None, "version": None, "workload_type": None}
    return argparse.Namespace(environment=environment, **{**nothing, **more})


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for source in layout.ENVIRONMENTS.glob("*.toml"):
        shutil.copy(source, tmp_path)
    monkeypatch.setenv("SCGPT_ENVIRONMENTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_the_request_is_what_the_stack_declares(name: str, environments: Path) -> None:
    loaded = settings.load(name)
    release.write(loaded.manifest_path, canary(loaded))
    declared = synthesised_endpoint(name, "canary")
    wanted = {key: value for key, value in declared.items() if key not in TERRAFORM_ONLY}
    assert describe(given(name)) == {key: v for key, v in wanted.items() if v}
    stack = synthesised(name, "canary")[f"{name}-serving"]["resource"]
    (permissions,) = stack["databricks_permissions"].values()
    *declared_access, maker = access(given(name), "me@example.com")
    assert declared_access == permissions["access_control"]
    assert maker == {"user_name": "me@example.com", "permission_level": "CAN_MANAGE"}
    application = "00000000-0000-4000-8000-000000000001"
    assert access(given(name), application)[-1]["service_principal_name"] == application


def test_what_is_given_takes_the_place_of_what_is_declared(environments: Path) -> None:
    asked = given("dev", name="a-trial", model="a.b.c", version=4, workload_type="CPU")
    body = describe(asked)
    (entity,) = body["config"]["served_entities"]
    assert body["name"] == "a-trial"
    table = body["ai_gateway"]["inference_table_config"]
    assert table["table_name_prefix"] == "a_trial", "a table is one endpoint's"
    assert (entity["name"], entity["entity_version"]) == ("c-4", "4")
    assert entity["workload_type"] == "CPU"
    with pytest.raises(SystemExit, match="nothing released yet; give --version"):
        describe(given("dev"))


def test_a_version_that_was_adopted_keeps_its_name(environments: Path) -> None:
    loaded = settings.load("dev")
    released = canary(loaded)
    first, *others = released.served
    named = (first.model_copy(update={"name": "current"}), *others)
    release.write(loaded.manifest_path, released.model_copy(update={"served": named}))
    config = describe(given("dev"))["config"]
    assert config["served_entities"][0]["name"] == "current"
    assert config["traffic_config"]["routes"][0]["served_model_name"] == "current"
