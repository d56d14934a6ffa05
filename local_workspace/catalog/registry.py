"""The model registry that mlflow's ``databricks-uc`` speaks: ``/api/2.0/mlflow/unity-catalog``.

The other API on the same store (:mod:`.versions`) is Unity Catalog's own, :mod:`.model_api`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..core.errors import invalid
from ..core.routing import Call, H, Routes, page
from ..core.store import Document
from . import access, securables, versions
from .securables import KINDS

routes = Routes()

_MLFLOW = "/api/2.0/mlflow/unity-catalog"
_NAME_FILTER = re.compile(r"^\s*name\s*=\s*['\"]([^'\"]+)['\"]\s*$")

_by_name = access.named("name")
_READ = ("EXECUTE", access.OWN)
_ADD = ("CREATE_MODEL_VERSION", access.OWN)
_TAG = ("APPLY_TAG", access.OWN)


def _on(method: str, path: str, *privileges: str) -> Callable[[H], H]:
    """Add a route that takes one of these privileges on the model that the call names."""
    return routes.add(method, f"{_MLFLOW}/{path}", rule=access.on("models", _by_name, *privileges))


# --- registered models as mlflow sees them ---------------------------------------------------


def _may_create_model(call: Call) -> None:
    schema = _by_name(call).rpartition(".")[0]
    access.require(call.workspace, call.principal, "schemas", schema, "CREATE_MODEL")


@routes.add("POST", f"{_MLFLOW}/registered-models/create", rule=_may_create_model)
async def create_model(call: Call) -> dict[str, Any]:
    workspace, who = call.workspace, call.principal.name
    fields = {**versions.split(_by_name(call)), "comment": call.body.get("description")}
    with workspace.store.transaction():
        document = securables.create_securable(workspace, KINDS["models"], who, fields)
        document["tags"] = versions.tags_of(call.body)
        document |= versions.deployment_job(workspace, call.body)
        workspace.store.put("models", document["full_name"], document)
    return {"registered_model": versions.model_view(workspace, document)}


@_on("GET", "registered-models/get", *_READ, *_ADD)
async def get_model(call: Call) -> dict[str, Any]:
    document = securables.get(call.workspace, "models", _by_name(call))
    return {"registered_model": versions.model_view(call.workspace, document)}


@routes.add("GET", f"{_MLFLOW}/registered-models/search")
async def search_models(call: Call) -> dict[str, Any]:
    visible = [
        versions.model_view(call.workspace, document)
        for name, document in call.workspace.store.items("models")
        if access.allows(call.workspace, call.principal, "models", name, *_READ)
    ]
    found, more = page(visible, call.query, 100)
    return {"registered_models": found, **more}


@_on("PATCH", "registered-models/update", access.OWN)
async def update_model(call: Call) -> dict[str, Any]:
    if call.body.get("new_name"):
        raise invalid(f"Registered model '{_by_name(call)}' cannot be renamed here.")
    changes = versions.deployment_job(call.workspace, call.body)
    if "description" in call.body or not changes:
        changes["comment"] = call.body.get("description", "")
    document = _change_model(call, changes)
    return {"registered_model": versions.model_view(call.workspace, document)}


@_on("DELETE", "registered-models/delete", access.OWN)
async def delete_model(call: Call) -> dict[str, Any]:
    securables.delete_securable(call.workspace, KINDS["models"], _by_name(call))
    return {}


@_on("POST", "registered-models/set-tag", *_TAG)
@_on("DELETE", "registered-models/delete-tag", *_TAG)
async def change_model_tag(call: Call) -> dict[str, Any]:
    tags = securables.get(call.workspace, "models", _by_name(call)).get("tags", {})
    _change_model(call, {"tags": _tags(call, tags)})
    return {}


def _tags(call: Call, tags: Document) -> Document:
    """Return the tags with the one that the call sets, or without the one that it deletes."""
    left = {key: value for key, value in tags.items() if key != call.need("key")}
    if call.request.method == "DELETE":
        return left
    return {**left, call.need("key"): call.body.get("value", "")}


def _change_model(call: Call, changes: Document) -> Document:
    workspace, name = call.workspace, securables.key(_by_name(call))
    stamp = {"updated_at": workspace.now_ms(), "updated_by": call.principal.name}
    with workspace.store.transaction():
        document = securables.get(workspace, "models", name) | changes | stamp
        workspace.store.put("models", name, document)
    return document


# --- aliases ---------------------------------------------------------------------------------


@_on("POST", "registered-models/alias", access.OWN)
async def set_alias(call: Call) -> dict[str, Any]:
    versions.set_alias(call.workspace, _by_name(call), call.need("alias"), call.need("version"))
    return {}


@_on("DELETE", "registered-models/alias", access.OWN)
async def delete_alias(call: Call) -> dict[str, Any]:
    versions.delete_alias(call.workspace, _by_name(call), call.need("alias"))
    return {}


@_on("GET", "registered-models/alias", *_READ)
async def get_by_alias(call: Call) -> dict[str, Any]:
    document = versions.by_alias(call.workspace, _by_name(call), call.query.get("alias", ""))
    return {"model_version": versions.version_view(call.workspace, document)}


# --- versions --------------------------------------------------------------------------------


@_on("POST", "model-versions/create", *_ADD)
async def create_version(call: Call) -> dict[str, Any]:
    who = call.principal.name
    document = versions.create(call.workspace, _by_name(call), who, call.body)
    return {"model_version": versions.version_view(call.workspace, document)}


@_on("POST", "model-versions/finalize", *_ADD)
async def finalize_version(call: Call) -> dict[str, Any]:
    who = call.principal.name
    document = versions.finalize(call.workspace, _by_name(call), call.need("version"), who)
    return {"model_version": versions.version_view(call.workspace, document)}


@_on("GET", "model-versions/get", *_READ)
async def get_version(call: Call) -> dict[str, Any]:
    document = versions.get(call.workspace, _by_name(call), call.query.get("version", ""))
    return {"model_version": versions.version_view(call.workspace, document)}


@routes.add("GET", f"{_MLFLOW}/model-versions/search")
async def search_versions(call: Call) -> dict[str, Any]:
    text = call.query.get("filter", "")
    match = _NAME_FILTER.match(text)
    if text and match is None:
        raise invalid(f"Filter {text!r} is not supported: only name='catalog.schema.model'.")
    names = [match.group(1)] if match else [n for n, _ in call.workspace.store.items("models")]
    visible = [
        versions.version_view(call.workspace, document)
        for name in names
        if access.allows(call.workspace, call.principal, "models", name, *_READ)
        for document in versions.listed(call.workspace, name)
    ]
    found, more = page(visible, call.query, 10000)
    return {"model_versions": found, **more}


@_on("PATCH", "model-versions/update", access.OWN)
async def update_version(call: Call) -> dict[str, Any]:
    changes = {"description": call.body.get("description", "")}
    return {"model_version": versions.version_view(call.workspace, _change_version(call, changes))}


@_on("DELETE", "model-versions/delete", access.OWN)
async def delete_version(call: Call) -> dict[str, Any]:
    versions.delete(call.workspace, _by_name(call), call.need("version"))
    return {}


@_on("POST", "model-versions/set-tag", *_TAG)
@_on("DELETE", "model-versions/delete-tag", *_TAG)
async def change_version_tag(call: Call) -> dict[str, Any]:
    tags = versions.get(call.workspace, _by_name(call), call.need("version"))["tags"]
    _change_version(call, {"tags": _tags(call, tags)})
    return {}


def _change_version(call: Call, changes: Document) -> Document:
    who, version = call.principal.name, call.need("version")
    return versions.update(call.workspace, _by_name(call), version, who, changes)


# --- where a version's files go --------------------------------------------------------------


@routes.add(
    "GET", f"{_MLFLOW}/registered-models:is-databricks-sdk-models-artifact-repository-enabled"
)
async def sdk_artifacts(call: Call) -> dict[str, Any]:
    """Say whether model files go by the Files API (multipart) or with one URL per file."""
    setting = call.workspace.store.get("control", "artifacts") or {}
    enabled = bool(setting.get("files_api", True))
    return {"is_databricks_sdk_models_artifact_repository_enabled": enabled}


def _may_have_credentials(call: Call) -> None:
    write = call.body.get("operation") == "MODEL_VERSION_OPERATION_READ_WRITE"
    wanted = _ADD if write else _READ
    access.require(call.workspace, call.principal, "models", _by_name(call), *wanted)


@routes.add(
    "POST",
    f"{_MLFLOW}/model-versions/generate-temporary-credentials",
    rule=_may_have_credentials,
)
async def credentials(call: Call) -> dict[str, Any]:
    versions.get(call.workspace, _by_name(call), call.need("version"))
    return {"credentials": versions.unused_credentials(call.workspace)}


@_on("GET", "model-versions/get-download-uri", *_READ)
async def download_uri(call: Call) -> dict[str, Any]:
    document = versions.get(call.workspace, _by_name(call), call.query.get("version", ""))
    return {"artifact_uri": versions.location(document)}


@_on("POST", "model-versions/emit-lineage", *_READ)
async def emit_lineage(call: Call) -> dict[str, Any]:
    return {}
