"""Names and texts of an endpoint that was made elsewhere, which our file can or cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.errors import RefusedError
from scgpt_databricks.scripts.adopt.draft import settings_tables
from scgpt_databricks.scripts.adopt.flow import _check
from scgpt_databricks.scripts.adopt.found import Found
from scgpt_databricks.scripts.toml import to_toml

STATE = {"backend": "local"}


def found(**more: Any) -> Found:
    entity = {"name": "m-1", "entity_name": "prod_bio.cells.m", "entity_version": "1"}
    endpoint = {"name": "scgpt-serving", "config": {"served_entities": [entity]}, **more}
    return Found("https://dbc-1.cloud.databricks.com", "me", endpoint, (), {1: {}})


def text(seen: Found) -> str:
    tables = settings_tables(seen, profile=None, state=STATE, grants={})
    return to_toml(tables, "Written for a test.")


def logging_to(**table: str) -> dict[str, Any]:
    place = {"enabled": True, "catalog_name": "prod_bio", "schema_name": "cells"}
    return {"ai_gateway": {"inference_table_config": {**place, **table}}}


@pytest.mark.parametrize(
    ("table", "prefix"),
    [
        ({}, "scgpt-serving"),
        ({"table_name_prefix": "Cells-2"}, "Cells-2"),
        ({"table_name_prefix": "7_days"}, "7_days"),
    ],
)
def test_inference_tables_that_the_platform_named(
    table: dict[str, str], prefix: str, tmp_path: Path
) -> None:
    """Without a prefix, the platform takes the endpoint's name, and none in use can be changed."""
    (tmp_path / "bio.toml").write_text(text(found(**logging_to(**table))))
    names = settings.load("bio", tmp_path).names
    assert names.inference_table == f"prod_bio.cells.{prefix}_payload"


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"description": "of ${team}"}, "endpoint.description"),
        ({"tags": [{"key": "off", "value": "100 %{ off"}]}, "tags.off"),
        (logging_to(table_name_prefix="a b"), "gateway.inference_table_prefix"),
    ],
)
def test_what_the_file_cannot_hold_is_refused(
    more: dict[str, Any], place: str, tmp_path: Path
) -> None:
    draft = text(found(**more))
    with pytest.raises(RefusedError) as caught:
        _check("scgpt-serving", "bio", tmp_path, draft, draft)
    first, second = (line.strip() for line in str(caught.value).splitlines())
    assert first == "scgpt-serving: the settings cannot hold it:"
    assert second.startswith(f"{place}: ")
