"""From what an API says of an endpoint to our files."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra import layout, release, settings
from infra.errors import RefusedError, SettingsError
from infra.settings import S3State
from scripts.adopt import imports
from scripts.adopt.changes import Change, changes, held
from scripts.adopt.draft import manifest, settings_tables
from scripts.adopt.flow import _check
from scripts.adopt.found import Found, _reasons_against
from scripts.adopt.notes import notes
from scripts.adopt.toml import to_toml
from scripts.cli.adopt import _state_table
from scripts.cli.main import cli

MODEL = "prod_bio.cells.scgpt"
GRANTS = {
    "schema": {"team": ["USE_SCHEMA"], "auditors": ["BROWSE"]},
    "model": {"team": ["EXECUTE"]},
    "volume": {},
    "checkpoints_volume": {},
}


def entity(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "entity_name": MODEL, "entity_version": version, **more}


def endpoint(*entities: dict[str, Any], traffic: dict[str, int], **more: Any) -> dict[str, Any]:
    routes = [{"served_entity_name": n, "traffic_percentage": p} for n, p in traffic.items()]
    config = {"served_entities": list(entities), "traffic_config": {"routes": routes}}
    return {
        "name": "cells",
        "id": "0" * 32,
        "config": config,
        "last_updated_timestamp": 1_795_222_575_997,
        **more,
    }


def found(document: dict[str, Any], **more: Any) -> Found:
    versions = {int(e["entity_version"]): {} for e in document["config"]["served_entities"]}
    return Found(
        **{
            "host": "https://dbc-1.cloud.databricks.com/",
            "caller": "me@example.com",
            "endpoint": document,
            "access": (),
            "versions": versions,
            **more,
        }
    )


def written(seen: Found, folder: Path, **more: Any) -> settings.Settings:
    given = {"profile": "prod", "state": {"backend": "local"}, "grants": GRANTS, **more}
    tables = settings_tables(seen, environment="bio", **given)
    text = to_toml(tables, 'Written for a "test".')
    tomllib.loads(text)
    (folder / "bio.toml").write_text(text)
    (folder / "bio.release.json").write_text(manifest(seen).to_json("bio"))
    return settings.load("bio", folder)


FULL = endpoint(
    entity(
        "scgpt-3",
        "3",
        workload_type="GPU_MEDIUM",
        min_provisioned_concurrency=4,
        max_provisioned_concurrency=8,
        scale_to_zero_enabled=False,
        environment_vars={"LEVEL": 'a "quoted" \\ value', "KEY": "{{secrets/scope/key}}"},
    ),
    entity("scgpt-4", "4", workload_type="GPU_SMALL", workload_size="Small"),
    traffic={"scgpt-3": 90, "scgpt-4": 10},
    ai_gateway={
        "inference_table_config": {
            "enabled": True,
            "catalog_name": "prod_bio",
            "schema_name": "cells",
            "table_name_prefix": "logged",
        },
        "usage_tracking_config": {"enabled": True},
        "rate_limits": [
            {"calls": 10, "key": "user_group", "principal": "team", "renewal_period": "minute"},
            {"tokens": 5000, "key": "user_group", "principal": "guests"},
        ],
        "guardrails": {"input": {"safety": True}},
    },
    tags=[{"key": "cost.centre", "value": "42"}, {"key": "bare"}],
    description="made by hand",
    email_notifications={"on_update_failure": ["ops@example.com"]},
)


def test_everything_that_the_settings_know_is_taken_over(tmp_path: Path) -> None:
    access = (("groups", "team of cells", "CAN_QUERY"), ("users", "a@b.org", "CAN_VIEW"))
    loaded = written(found(FULL, access=access), tmp_path)
    assert loaded.names.full_model == MODEL
    assert loaded.workspace.host == "https://dbc-1.cloud.databricks.com"
    assert loaded.workload_type == "GPU_MEDIUM"
    assert loaded.endpoint.provisioned_concurrency is not None
    assert loaded.endpoint.provisioned_concurrency.max == 8
    assert loaded.endpoint.environment["LEVEL"] == 'a "quoted" \\ value'
    assert loaded.endpoint.email_notifications.on_update_failure == ("ops@example.com",)
    assert loaded.names.inference_table == "prod_bio.cells.logged_payload"
    assert loaded.gateway.rate_limits[0].principal == "team"
    assert loaded.permissions.groups == {"team of cells": "CAN_QUERY"}
    assert loaded.permissions.users == {"a@b.org": "CAN_VIEW"}
    assert loaded.tags == {"cost.centre": "42", "bare": ""}
    assert loaded.privileges("schema") == {"team": ("USE_SCHEMA",)}
    assert not loaded.monitoring.enabled
    said = release.read(loaded.manifest_path)
    assert {s.version: (s.traffic, s.role) for s in said.served} == {
        3: (90, "champion"),
        4: (10, "challenger"),
    }


def test_what_the_files_cannot_say_is_said(tmp_path: Path) -> None:
    text = "\n".join(notes(found(FULL), GRANTS))
    assert "ai_gateway.guardrails is not described" in text
    assert "the limit of 5000 tokens for user_group guests is not described" in text
    assert "10 tokens" not in text
    assert "'scgpt-4' gets the workload_type, workload_size" in text
    assert "auditors: BROWSE on the schema" in text
    assert "version 3 was not built and validated here" in text
    odd = endpoint(entity("current", "3"), traffic={"current": 100})
    assert any("'current' keeps its name" in note for note in notes(found(odd), {}))


def test_names_and_an_absent_gateway_are_kept(tmp_path: Path) -> None:
    odd = endpoint(
        entity("current", "3"), entity("scgpt-4", "4"), traffic={"current": 100, "scgpt-4": 0}
    )
    loaded = written(found(odd), tmp_path)
    assert [each.name for each in release.read(loaded.manifest_path).served] == ["current", None]
    assert loaded.deletion_protection
    assert not loaded.gateway.declared
    assert written(found(FULL), tmp_path).gateway.declared


def test_the_callers_own_entry_is_added_to_the_state_and_is_no_change() -> None:
    mine = ("service_principals", "me", "CAN_MANAGE")
    held = {"group_name": "team", "permission_level": "CAN_VIEW"}
    attributes = {"access_control": [dict(held)]}
    resource = {"type": "databricks_permissions", "instances": [{"attributes": attributes}]}
    imports.add_caller({"resources": [{"type": "other"}, resource]}, mine)
    own = {"service_principal_name": "me", "permission_level": "CAN_MANAGE"}
    left = [{k: v for k, v in entry.items() if v} for entry in attributes["access_control"]]
    assert left == [held, own]

    def planned(*after: dict[str, str]) -> dict[str, Any]:
        sides = {"before": {"access_control": [held]}, "after": {"access_control": [*after]}}
        change = {"actions": ["update"], **sides}
        return {"resource_changes": [{"address": "a.b", "type": "a", "change": change}]}

    other = {"user_name": "you", "permission_level": "CAN_VIEW"}
    assert changes("s", planned(held, own), known="me") == []
    assert len(changes("s", planned(held, own))) == 1
    assert len(changes("s", planned(held, own, other), known="me")) == 1
    assert len(changes("s", planned(own), known="me")) == 1


def test_defaults_that_were_not_set(tmp_path: Path) -> None:
    bare = endpoint(entity("scgpt-3", "3"), traffic={"scgpt-3": 100})
    loaded = written(found(bare), tmp_path, grants={})
    assert loaded.workload_type == "CPU"
    assert loaded.endpoint.workload_size == "Small"
    assert loaded.names.inference_table is None
    assert loaded.permissions.groups == {}


def test_digests_come_from_the_versions_tags() -> None:
    bare = endpoint(entity("scgpt-3", "3"), traffic={"scgpt-3": 100})
    digests = ("checkpoint_sha256", "signature_digest", "engine_digest")
    tags = [{"key": key, "value": "ab" * 32} for key in digests]
    said = manifest(found(bare, versions={3: {"run_id": "r1", "tags": tags}}))
    assert said.champion.run_id == "r1"
    assert {getattr(said.champion, key) for key in digests} == {"ab" * 32}
    assert list(notes(found(bare, versions={3: {"run_id": "r1", "tags": tags}}), {})) == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"config": {}}, "serves nothing yet"),
        (endpoint({"name": "x", "external_model": {}}, traffic={}), "not a version of a model"),
        (
            endpoint(entity("a", "1"), {**entity("b", "1"), "entity_name": "a.b.c"}, traffic={}),
            "several models",
        ),
        (endpoint(entity("a", "1"), entity("b", "1"), traffic={}), "version 1 is served twice"),
        (
            endpoint(*(entity(f"v{number}", str(number)) for number in range(1, 12)), traffic={}),
            "it serves 11 versions, and a release has at most 10",
        ),
        (
            endpoint(
                entity("a", "1"),
                traffic={},
                ai_gateway={
                    "inference_table_config": {
                        "enabled": True,
                        "catalog_name": "other",
                        "schema_name": "logs",
                    }
                },
            ),
            "its inference table lies in other.logs",
        ),
    ],
)
def test_what_cannot_be_described(document: dict[str, Any], reason: str) -> None:
    assert any(reason in each for each in _reasons_against(document))


def test_traffic_that_is_not_whole() -> None:
    with pytest.raises(RefusedError, match="adds up to 90"):
        manifest(found(endpoint(entity("a", "1"), traffic={"a": 90})))


def test_a_change_is_told_field_by_field_and_values_of_variables_are_not() -> None:
    before = {"comment": "", "config": [{"environment_vars": {"A": "old"}, "name": "a"}]}
    after = {"comment": "ours", "config": [{"environment_vars": {"A": "new"}, "name": "b"}]}
    update = {"actions": ["update"], "before": before, "after": after}
    entries = [
        {"address": "x.y", "change": update},
        {"address": "x.same", "change": {"actions": ["no-op"], "before": {}, "after": {}}},
        {"address": "x.new", "change": {"actions": ["create"], "before": None, "after": {}}},
    ]
    found_ = changes("s", {"resource_changes": entries})
    assert [(c.address, c.action, c.adds_only) for c in found_] == [
        ("x.y", "update", False),
        ("x.new", "create", True),
    ]
    assert found_[0].fields == (
        '+ comment = "ours"',
        "~ config[0].environment_vars.A = (hidden)",
        '~ config[0].name = "a" -> "b"',
    )
    assert Change("s", "a", "update", ('+ comment = "x"',)).adds_only
    assert not Change("s", "a", "delete+create", ()).adds_only


def test_values_of_variables_are_not_told_either_where_an_entity_comes_or_goes() -> None:
    def entities(*values: str) -> dict[str, Any]:
        served = [{"name": v[0], "environment_vars": {"KEY": v}} for v in values]
        return {"config": [{"served_entities": served}]}

    def told(before: dict[str, Any], after: dict[str, Any]) -> str:
        change = {"actions": ["update"], "before": before, "after": after}
        (found_,) = changes("s", {"resource_changes": [{"address": "x.y", "change": change}]})
        return "\n".join(found_.fields)

    for before, after in (
        (entities("a-secret"), entities("a-secret", "b-secret")),
        ({"config": []}, entities("a-secret")),
        (entities("a-secret"), {"config": None}),
    ):
        assert "-secret" not in told(before, after)
        assert "KEY" in told(before, after)


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
    given = {"environment": "bio", "profile": "prod", "grants": {}}
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
    tables = settings_tables(
        seen, environment="bio", profile="prod", grants={}, state=_state_table(pairs)
    )
    (tmp_path / "bio.toml").write_text(to_toml(tables, "A test."))
    state = settings.load("bio", tmp_path).state
    assert isinstance(state, S3State)
    assert state.bucket == "states"
    assert state.options == {"use_lockfile": "true", "kms_key_id": "alias/terraform"}
    assert _state_table({"backend": "local"}) == {"backend": "local"}


def test_names_that_another_environment_has(tmp_path: Path) -> None:
    seen = found(endpoint(entity("scgpt-3", "3"), traffic={"scgpt-3": 100}))
    given = {"profile": "prod", "state": {"backend": "local"}, "grants": {}}
    text = to_toml(settings_tables(seen, environment="other", **given), "A test.")
    (tmp_path / "other.toml").write_text(text)
    with pytest.raises(RefusedError, match=r"bio and other .* both claim"):
        _check("cells", "bio", tmp_path, text, text)


def test_blocks_and_what_a_state_holds() -> None:
    assert json.loads(imports.blocks({"b.c": "2", "a.b": "1"})) == {
        "import": [{"to": "a.b", "id": "1"}, {"to": "b.c", "id": "2"}]
    }
    resources = {"values": {"root_module": {"resources": [{"address": "a.b"}]}}}
    assert held({"prior_state": resources}) == {"a.b"}
    assert held({}) == set()


@pytest.mark.parametrize(
    "arguments", [["adopt"], ["adopt", "e"], ["adopt", "e", "--profile", "p", "--state", "s3"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_examples_name_an_environment_that_has_no_file() -> None:
    """One that says something else is refused, in a dry run too."""
    help_ = CliRunner().invoke(cli, ["adopt", "--help"]).stdout
    documents = [layout.ROOT / "README.md", layout.ROOT / "docs" / "ways-to-an-endpoint.md"]
    texts = [help_, *(document.read_text() for document in documents)]
    examples = [each for text in texts for each in re.findall(r"scgpt adopt \S+ --.*", text)]
    assert len(examples) >= 4
    for example in examples:
        named = re.search(r"--environment (\w+)", example)
        assert named is not None, example
        assert named[1] not in settings.known(layout.ENVIRONMENTS), example
