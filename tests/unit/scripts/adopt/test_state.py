"""The state of an adopted endpoint: its place, and the imports into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.errors import RefusedError, SettingsError
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.infra.settings import S3State
from scgpt_databricks.scripts.adopt import imports
from scgpt_databricks.scripts.adopt.changes import changes
from scgpt_databricks.scripts.adopt.draft import settings_tables
from scgpt_databricks.scripts.adopt.flow import _check
from scgpt_databricks.scripts.cli.options import state_table
from scgpt_databricks.scripts.toml import to_toml
from tests.unit.infra.plans import plan_of
from tests.unit.scripts.adopt.adopted import endpoint, entity, found


def test_the_callers_own_entry_is_added_to_the_state_and_is_no_change() -> None:
    mine = ("service_principals", "me", "CAN_MANAGE")
    held = {"group_name": "team", "permission_level": "CAN_VIEW"}
    attributes = {"access_control": [dict(held)]}
    resource = {"type": "databricks_permissions", "instances": [{"attributes": attributes}]}
    imports.add_caller({"resources": [{"type": "other"}, resource]}, mine)
    own = {"service_principal_name": "me", "permission_level": "CAN_MANAGE"}
    left = [{k: v for k, v in entry.items() if v} for entry in attributes["access_control"]]
    assert left == [held, own]

    def planned(*after: dict[str, str]) -> Plan:
        sides = ({"access_control": each} for each in ([held], [*after]))
        return Plan.of(plan_of("permissions", ["update"], *sides))

    other = {"user_name": "you", "permission_level": "CAN_VIEW"}
    assert changes("s", planned(held, own), known="me") == []
    assert len(changes("s", planned(held, own))) == 1
    assert len(changes("s", planned(held, own, other), known="me")) == 1
    assert len(changes("s", planned(own), known="me")) == 1


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"backend": "s4"}, "state.backend: 's4' is not one of"),
        ({"backend": "s3", "bucket": "b"}, "state.region: missing"),
        ({"backend": "local", "password": "hunter2"}, "state.password: unknown key"),
        ({"backend": "local", "options": {"path": "x"}}, "state.options: unknown key"),
        (
            {"backend": "http", "address": "https://x.org", "options": {"password": "hunter2"}},
            "credentials come from the environment",
        ),
        ({"backend": "http", "address": "https://x.org/?token=1"}, "without credentials"),
    ],
)
def test_a_state_that_cannot_be_declared(
    state: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    seen = found(endpoint(entity("scgpt-3", "3"), traffic={"scgpt-3": 100}))
    given = {"profile": "prod", "grants": {}}
    good, bad = (
        to_toml(settings_tables(seen, state=each, **given), "A test.")
        for each in ({"backend": "local"}, state)
    )
    _check("cells", "bio", tmp_path, good, good)
    with pytest.raises(SettingsError, match="--state: nothing was written") as wrong:
        _check("cells", "bio", tmp_path, good, bad)
    assert problem in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


def test_further_arguments_of_the_backend(tmp_path: Path) -> None:
    pairs = {
        "backend": "s3",
        "bucket": "states",
        "region": "eu-west-1",
        "options.use_lockfile": "true",
        "options.kms_key_id": "alias/terraform",
    }
    seen = found(endpoint(entity("scgpt-3", "3"), traffic={"scgpt-3": 100}))
    tables = settings_tables(seen, profile="prod", grants={}, state=state_table(pairs))
    (tmp_path / "bio.toml").write_text(to_toml(tables, "A test."))
    state = settings.load("bio", tmp_path).state
    assert isinstance(state, S3State)
    assert state.bucket == "states"
    assert state.options == {"use_lockfile": "true", "kms_key_id": "alias/terraform"}
    assert state_table({"backend": "local"}) == {"backend": "local"}


def test_names_that_another_environment_has(tmp_path: Path) -> None:
    seen = found(endpoint(entity("scgpt-3", "3"), traffic={"scgpt-3": 100}))
    given = {"profile": "prod", "state": {"backend": "local"}, "grants": {}}
    text = to_toml(settings_tables(seen, **given), "A test.")
    (tmp_path / "other.toml").write_text(text)
    with pytest.raises(RefusedError, match=r"bio and other .* both claim"):
        _check("cells", "bio", tmp_path, text, text)
