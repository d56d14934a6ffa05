"""From what an API says of an endpoint to our files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.errors import RefusedError, SettingsError
from scgpt_databricks.scripts.adopt.draft import manifest, settings_tables
from scgpt_databricks.scripts.adopt.found import Found, _reasons_against
from scgpt_databricks.scripts.adopt.notes import notes
from scgpt_databricks.scripts.toml import to_toml
from tests.unit.scripts.adopt.adopted import GRANTS, MODEL, endpoint, entity, found


def written(seen: Found, folder: Path, **more: Any) -> settings.Settings:
    given = {"profile": "prod", "state": {"backend": "local"}, "grants": GRANTS, **more}
    tables = settings_tables(seen, **given)
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


def test_the_cloud_of_a_workspace_whose_address_does_not_tell(tmp_path: Path) -> None:
    seen = found(FULL, host="https://genes.example.org")
    with pytest.raises(SettingsError, match="cloud: missing: the host does not tell"):
        written(seen, tmp_path)
    assert written(seen, tmp_path, cloud="aws").cloud == "aws"
    assert written(found(FULL), tmp_path).cloud == "aws"


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
