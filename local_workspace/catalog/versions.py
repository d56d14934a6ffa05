"""Versions and aliases of registered models, as the store keeps them.

A version belongs to its model (``main.scgpt.m/3`` in the store), its number is never given again
while the model lives, its files lie below ``/Models``. Aliases and tags of the model are part of
the model's own document. Two API families show them: ``*_view`` is what mlflow's registry answers,
``info_view`` what Unity Catalog's own API does.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ApiError, invalid, not_found
from ..core.routing import whole_number
from ..core.store import Document
from ..core.workspace import Workspace
from ..objects import documents
from . import securables

PENDING, READY = "PENDING_REGISTRATION", "READY"
START_JOB = "start_job"
"""Key in the workspace's runtime of what starts jobs, which lies in a room above this one."""

_ALIAS = re.compile(r"(?!v\d+$|latest$)[\w\-]{1,255}", re.IGNORECASE)


def folder(workspace: Workspace, full_name: str, version: int | str) -> Path:
    """Return the folder of a version's files: an MLflow model once it is ready."""
    path = securables.key(full_name).replace(".", "/")
    return workspace.files / "Models" / path / str(version)


def create(
    workspace: Workspace, full_name: str, creator: str, fields: Mapping[str, Any]
) -> Document:
    """Return the next version, waiting for its files.

    Parameters
    ----------
    fields
        As in the body of the API call; ``tags`` as a list of key and value.

    Raises
    ------
    ApiError
        404 when the model does not exist.
    """
    name, now = securables.key(full_name), workspace.now_ms()
    with workspace.store.transaction():
        model = securables.get(workspace, "models", name)
        number = workspace.store.next_number(f"versions/{model['uuid']}")
        document: Document = {
            "name": name,
            "version": number,
            "status": PENDING,
            "tags": tags_of(fields),
            "created_at": now,
            "created_by": creator,
            "updated_at": now,
            "updated_by": creator,
        }
        for key in ("source", "run_id", "run_tracking_server_id", "description", "model_id"):
            if fields.get(key):
                document[key] = fields[key]
        put(workspace, document)
    shutil.rmtree(folder(workspace, name, number), ignore_errors=True)
    return document


def tags_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a body, ``[{"key", "value"}]``, as a mapping."""
    tags = fields.get("tags", [])
    if not isinstance(tags, list) or not all(
        isinstance(tag, dict) and "key" in tag for tag in tags
    ):
        raise invalid("tags must be a list of {key, value}.")
    return {tag["key"]: tag.get("value", "") for tag in tags}


def get(workspace: Workspace, full_name: str, version: int | str) -> Document:
    """Return one version.

    Raises
    ------
    ApiError
        404 when model or version does not exist, 400 when `version` is no whole number.
    """
    name, number = securables.key(full_name), whole_number(version, "version")
    document = workspace.store.get("versions", f"{name}/{number}")
    if document is None:
        securables.get(workspace, "models", name)
        raise not_found(f"Model version '{name}/{version}' does not exist.")
    return document


def ready(workspace: Workspace, full_name: str, version: int | str) -> Document:
    """Return one version whose files are complete, so that it can be served.

    Raises
    ------
    ApiError
        404 when it does not exist, 400 when its registration has not been finished.
    """
    document = get(workspace, full_name, version)
    if document["status"] != READY:
        raise invalid(
            f"Model version '{full_name}/{version}' is {document['status']}, not READY: "
            "finish its registration or take another version."
        )
    return document


def listed(workspace: Workspace, full_name: str) -> list[Document]:
    """Return all versions of a model, newest first."""
    found = [doc for _, doc in workspace.store.items("versions", securables.key(full_name) + "/")]
    return sorted(found, key=lambda document: int(document["version"]), reverse=True)


def finalize(workspace: Workspace, full_name: str, version: int | str, who: str) -> Document:
    """Mark the upload as complete.

    Raises
    ------
    ApiError
        400 when no ``MLmodel`` file was uploaded.
    """
    document = get(workspace, full_name, version)
    if not (folder(workspace, full_name, document["version"]) / "MLmodel").is_file():
        raise ApiError(
            400,
            "INVALID_STATE",
            f"Model version '{full_name}/{version}' holds no MLmodel file: upload its files first.",
        )
    finished = update(workspace, full_name, version, who, {"status": READY})
    if document["status"] != READY:
        _start_deployment(workspace, finished)
    return finished


def deployment_job(workspace: Workspace, fields: Mapping[str, Any]) -> Document:
    """Return the deployment job that a body gives a model; an empty one disconnects it.

    Raises
    ------
    ApiError
        404 when there is no such job, 400 when it does not take what it would be given.
    """
    if "deployment_job_id" not in fields:
        return {}
    job_id = str(fields["deployment_job_id"])
    if job_id:
        job = documents.get(workspace, documents.JOB, job_id)
        taken = {each["name"] for each in job["settings"].get("parameters") or []}
        if lacking := sorted({"model_name", "model_version"} - taken):
            raise invalid(f"Job {job_id} has no parameter {' and no '.join(lacking)}.")
    return {"deployment_job_id": job_id}


def _start_deployment(workspace: Workspace, version: Document) -> None:
    """Start the model's deployment job, with the name of the model's owner."""
    model = securables.get(workspace, "models", version["name"])
    job = workspace.store.get(documents.JOB.name, model.get("deployment_job_id") or "")
    start = workspace.runtime.get(START_JOB)
    if job is not None and start is not None:
        number = str(version["version"])
        parameters = {"model_name": version["name"], "model_version": number}
        start(job, model["owner"], "ONE_TIME", parameters)


def update(
    workspace: Workspace, full_name: str, version: int | str, who: str, changes: Document
) -> Document:
    """Change fields of a version."""
    stamp = {"updated_at": workspace.now_ms(), "updated_by": who}
    with workspace.store.transaction():
        document = get(workspace, full_name, version) | changes | stamp
        put(workspace, document)
    return document


def delete(workspace: Workspace, full_name: str, version: int | str) -> None:
    """Remove a version, the aliases that point to it, and its files."""
    with workspace.store.transaction():
        number = int(get(workspace, full_name, version)["version"])
        model = securables.get(workspace, "models", full_name)
        aliases = {a: n for a, n in model.get("aliases", {}).items() if n != number}
        workspace.store.put("models", securables.key(full_name), {**model, "aliases": aliases})
        workspace.store.delete("versions", f"{securables.key(full_name)}/{number}")
    shutil.rmtree(folder(workspace, full_name, number), ignore_errors=True)


def put(workspace: Workspace, document: Document) -> None:
    workspace.store.put("versions", f"{document['name']}/{document['version']}", document)


def set_alias(workspace: Workspace, full_name: str, alias: str, version: int | str) -> None:
    """Point an alias to a version, away from the one it pointed to.

    Raises
    ------
    ApiError
        400 for a name that could be a version (``v3``, ``latest``), 404 when the version is absent.
    """
    if _ALIAS.fullmatch(alias) is None:
        raise invalid(
            f"Alias {alias!r} is not valid: letters, digits, '_' and '-', not 'latest', not 'v<n>'."
        )
    with workspace.store.transaction():
        number = int(get(workspace, full_name, version)["version"])
        model = securables.get(workspace, "models", full_name)
        aliases = {**model.get("aliases", {}), alias: number}
        workspace.store.put("models", securables.key(full_name), {**model, "aliases": aliases})


def delete_alias(workspace: Workspace, full_name: str, alias: str) -> None:
    with workspace.store.transaction():
        by_alias(workspace, full_name, alias)
        model = securables.get(workspace, "models", full_name)
        aliases = {a: n for a, n in model["aliases"].items() if a != alias}
        workspace.store.put("models", securables.key(full_name), {**model, "aliases": aliases})


def by_alias(workspace: Workspace, full_name: str, alias: str) -> Document:
    """Return the version that an alias points to.

    Raises
    ------
    ApiError
        404 when the model has no such alias.
    """
    aliases = securables.get(workspace, "models", full_name).get("aliases", {})
    if alias not in aliases:
        raise not_found(f"Alias '{alias}' of registered model '{full_name}' does not exist.")
    return get(workspace, full_name, aliases[alias])


def aliases_of(workspace: Workspace, document: Document) -> list[str]:
    """Return the aliases that point to a version, sorted."""
    aliases = securables.get(workspace, "models", document["name"]).get("aliases", {})
    return sorted(alias for alias, number in aliases.items() if number == document["version"])


def split(full_name: str) -> dict[str, str]:
    parts = full_name.split(".")
    if len(parts) != 3:
        raise invalid(f"Model name {full_name!r} is not of the form catalog.schema.model")
    return dict(zip(("catalog_name", "schema_name", "name"), parts, strict=True))


def model_view(workspace: Workspace, document: Document) -> dict[str, Any]:
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
        **_job_view(document),
    }


def _job_view(model: Document) -> dict[str, str]:
    job_id = model.get("deployment_job_id")
    state = {"deployment_job_state": "CONNECTED"}
    return {"deployment_job_id": job_id, **state} if job_id else {}


def version_view(workspace: Workspace, document: Document) -> dict[str, Any]:
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
            {"alias": alias, "version": number} for alias in aliases_of(workspace, document)
        ],
        "tags": _pairs(document),
    }
    own = ("description", "source", "run_id", "run_tracking_server_id", "model_id")
    return answer | {key: document[key] for key in own if key in document}


def info_view(workspace: Workspace, document: Document) -> dict[str, Any]:
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
        "model_id": document.get("model_id"),
        "aliases": [
            {"alias_name": alias, "version_num": document["version"]}
            for alias in aliases_of(workspace, document)
        ],
        "tags": _pairs(document),
    }
    return {key: value for key, value in info.items() if value is not None}


def enriched(model: Document, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what Unity Catalog's answer adds to a registered model: tags, aliases on request."""
    added: dict[str, Any] = {"tags": _pairs(model)} if model.get("tags") else {}
    if query.get("include_aliases", "").lower() == "true":
        added["aliases"] = [
            {"alias_name": alias, "version_num": version}
            for alias, version in sorted(model.get("aliases", {}).items())
        ]
    return added


def unused_credentials(workspace: Workspace) -> dict[str, Any]:
    """Return keys that make a client ask for signed URLs: they open nothing and are not used."""
    return {
        "aws_temp_credentials": dict.fromkeys(
            ("access_key_id", "secret_access_key", "session_token"), "unused"
        ),
        "expiration_time": workspace.now_ms() + 3_600_000,
        "storage_mode": "DEFAULT_STORAGE",
    }


def location(document: Document) -> str:
    return f"dbfs:/Models/{document['name'].replace('.', '/')}/{document['version']}"


def _pairs(document: Document) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(document.get("tags", {}).items())]
