"""The OpenAPI description of an endpoint, from the signature of its model."""

from __future__ import annotations

import json
from typing import Any

import yaml  # type: ignore[import-untyped]

from ..catalog import versions
from ..core.store import Document
from ..core.workspace import Workspace

_TYPES = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "binary": {"type": "string", "format": "byte"},
    "datetime": {"type": "string", "format": "date-time"},
}


def describe(workspace: Workspace, endpoint: Document) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document with one path, the endpoint's invocations.

    The signature is that of the first served entity.
    """
    config = endpoint["config"] or endpoint["pending"]
    spec = config["entities"][0]["spec"]
    folder = versions.folder(workspace, spec["entity_name"], spec["entity_version"])
    signature = yaml.safe_load((folder / "MLmodel").read_text()).get("signature") or {}
    columns = json.loads(signature.get("inputs") or "[]")
    params = json.loads(signature.get("params") or "[]")
    record = {
        "type": "object",
        "properties": {column["name"]: _schema(column) for column in columns if "name" in column},
        "required": [
            column["name"]
            for column in columns
            if "name" in column and column.get("required", True)
        ],
    }
    body = {
        "type": "object",
        "properties": {
            "dataframe_records": {"type": "array", "items": record},
            "dataframe_split": {"type": "object"},
            "inputs": {},
            "params": {
                "type": "object",
                "properties": {param["name"]: _schema(param) for param in params},
            },
            "client_request_id": {"type": "string"},
        },
    }
    answer = {"type": "object", "properties": {"predictions": {}}}
    operation = {
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": answer}}}
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": endpoint["name"], "version": str(config["config_version"])},
        "servers": [{"url": f"{workspace.url}/serving-endpoints/{endpoint['name']}"}],
        "paths": {"/invocations": {"post": operation}},
    }


def _schema(column: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of a column or parameter of an MLflow signature; anything for nested types."""
    return dict(_TYPES.get(str(column.get("type")), {}))
