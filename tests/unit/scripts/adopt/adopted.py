"""An endpoint that was made elsewhere, as the API describes it."""

from __future__ import annotations

from typing import Any

from scgpt_databricks.scripts.adopt.found import Found

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
