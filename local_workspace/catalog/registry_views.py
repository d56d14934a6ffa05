"""Registered models and versions as the two API families answer them."""

from __future__ import annotations

from typing import Any

from ..core.errors import invalid
from ..core.store import Document
from ..core.workspace import Workspace
from . import versions


def split(full_name: str) -> dict[str, str]:
    parts = full_name.split(".")
    if len(parts) != 3:
        raise invalid(f"Model name {full_name!r} is not of the form catalog.schema.model")
    return dict(zip(("catalog_name", "schema_name", "name"), parts, strict=True))


def model(workspace: Workspace, document: Document) -> dict[str, Any]:
    return {
        "name": document["full_name"],
        "creation_timestamp": document["created_at"],
        "last_updated_timestamp": document["updated_at"],
        "user_id": document["owner"],
        "description": document.get("comment", ""),
        "aliases": [
            {"alias": alias, "version": str(number)}
            for alias, number in sorted(document.get("aliases", {}).items())
        ],
        "tags": _pairs(document),
    }


def version(workspace: Workspace, document: Document) -> dict[str, Any]:
    number = str(document["version"])
    answer = {
        "name": document["name"],
        "version": number,
        "creation_timestamp": document["created_at"],
        "last_updated_timestamp": document["updated_at"],
        "user_id": document["created_by"],
        "status": document["status"],
        "storage_location": location(document),
        "aliases": [
            {"alias": alias, "version": number}
            for alias in versions.aliases_of(workspace, document)
        ],
        "tags": _pairs(document),
    }
    own = ("description", "source", "run_id", "run_tracking_server_id", "model_id")
    return answer | {key: document[key] for key in own if key in document}


def version_info(workspace: Workspace, document: Document) -> dict[str, Any]:
    answer = split(document["name"])
    answer["model_name"] = answer.pop("name")
    info: dict[str, Any] = {
        **answer,
        "version": document["version"],
        "status": document["status"],
        "storage_location": location(document),
        "created_at": document["created_at"],
        "created_by": document["created_by"],
        "updated_at": document["updated_at"],
        "updated_by": document["updated_by"],
        "comment": document.get("description"),
        "source": document.get("source"),
        "run_id": document.get("run_id"),
        "aliases": [
            {"alias_name": alias, "version_num": document["version"]}
            for alias in versions.aliases_of(workspace, document)
        ],
    }
    return {key: value for key, value in info.items() if value is not None}


def location(document: Document) -> str:
    return f"dbfs:/Models/{document['name'].replace('.', '/')}/{document['version']}"


def _pairs(document: Document) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(document.get("tags", {}).items())]
