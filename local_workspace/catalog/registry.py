"""The model registry that mlflow's ``databricks-uc`` speaks: ``/api/2.0/mlflow/unity-catalog``.

The other view on the same store (:mod:`.versions`) is :mod:`.catalog_versions`.
"""

from __future__ import annotations

import re
from typing import Any

from ..core.errors import invalid
from ..core.paging import page
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Workspace
from . import access, securables, versions
from . import objects as catalog_objects
from . import registry_views as views
from .securables import KINDS

routes = Routes()

_MLFLOW = "/api/2.0/mlflow/unity-catalog"
_NAME_FILTER = re.compile(r"^\s*name\s*=\s*['\"]([^'\"]+)['\"]\s*$")

_by_name = access.named("name")
_READ = ("EXECUTE", access.OWN)
_ADD = ("CREATE_MODEL_VERSION", access.OWN)
_TAG = ("APPLY_TAG", access.OWN)


# --- registered models as mlflow sees them ---------------------------------------------------


def _may_create_model(call: Call) -> None:
    schema = _by_name(call).rpartition(".")[0]
    access.require(call.workspace, call.principal, "schemas", schema, "CREATE_MODEL")


@routes.add("POST", f"{_MLFLOW}/registered-models/create", rule=_may_create_model)
async def create_model(call: Call) -> dict[str, Any]:
    workspace, who = call.workspace, call.principal.name
    fields = {**views.split(_by_name(call)), "comment": call.body.get("description")}
    with workspace.store.transaction():
        document = catalog_objects.create_securable(workspace, KINDS["models"], who, fields)
        document["tags"] = versions.tags_of(call.body)
        workspace.store.put("models", document["full_name"], document)
    return {"registered_model": views.model(workspace, document)}


@routes.add(
    "GET", f"{_MLFLOW}/registered-models/get", rule=access.on("models", _by_name, *_READ, *_ADD)
)
async def get_model(call: Call) -> dict[str, Any]:
    document = securables.get(call.workspace, "models", _by_name(call))
    return {"registered_model": views.model(call.workspace, document)}


@routes.add("GET", f"{_MLFLOW}/registered-models/search")
async def search_models(call: Call) -> dict[str, Any]:
    visible = [
        views.model(call.workspace, document)
        for name, document in call.workspace.store.items("models")
        if access.allows(call.workspace, call.principal, "models", name, *_READ)
    ]
    found, more = page(visible, call.query, 100)
    return {"registered_models": found, **more}


@routes.add(
    "PATCH", f"{_MLFLOW}/registered-models/update", rule=access.on("models", _by_name, access.OWN)
)
async def update_model(call: Call) -> dict[str, Any]:
    if call.body.get("new_name"):
        raise invalid(f"Registered model '{_by_name(call)}' cannot be renamed here.")
    document = _change_model(call, {"comment": call.body.get("description", "")})
    return {"registered_model": views.model(call.workspace, document)}


@routes.add(
    "DELETE", f"{_MLFLOW}/registered-models/delete", rule=access.on("models", _by_name, access.OWN)
)
async def delete_model(call: Call) -> dict[str, Any]:
    catalog_objects.delete_securable(call.workspace, KINDS["models"], _by_name(call))
    return {}


@routes.add(
    "POST", f"{_MLFLOW}/registered-models/set-tag", rule=access.on("models", _by_name, *_TAG)
)
async def set_model_tag(call: Call) -> dict[str, Any]:
    tags = securables.get(call.workspace, "models", _by_name(call)).get("tags", {})
    _change_model(call, {"tags": {**tags, call.need("key"): call.body.get("value", "")}})
    return {}


@routes.add(
    "DELETE", f"{_MLFLOW}/registered-models/delete-tag", rule=access.on("models", _by_name, *_TAG)
)
async def delete_model_tag(call: Call) -> dict[str, Any]:
    tags = securables.get(call.workspace, "models", _by_name(call)).get("tags", {})
    _change_model(call, {"tags": {k: v for k, v in tags.items() if k != call.need("key")}})
    return {}


def _change_model(call: Call, changes: Document) -> Document:
    workspace, name = call.workspace, securables.key(_by_name(call))
    stamp = {"updated_at": workspace.now_ms(), "updated_by": call.principal.name}
    with workspace.store.transaction():
        document = securables.get(workspace, "models", name) | changes | stamp
        workspace.store.put("models", name, document)
    return document


# --- aliases ---------------------------------------------------------------------------------


@routes.add(
    "POST", f"{_MLFLOW}/registered-models/alias", rule=access.on("models", _by_name, access.OWN)
)
async def set_alias(call: Call) -> dict[str, Any]:
    versions.set_alias(call.workspace, _by_name(call), call.need("alias"), call.need("version"))
    return {}


@routes.add(
    "DELETE", f"{_MLFLOW}/registered-models/alias", rule=access.on("models", _by_name, access.OWN)
)
async def delete_alias(call: Call) -> dict[str, Any]:
    versions.delete_alias(call.workspace, _by_name(call), call.need("alias"))
    return {}


@routes.add("GET", f"{_MLFLOW}/registered-models/alias", rule=access.on("models", _by_name, *_READ))
async def get_by_alias(call: Call) -> dict[str, Any]:
    document = versions.by_alias(call.workspace, _by_name(call), call.query.get("alias", ""))
    return {"model_version": views.version(call.workspace, document)}


# --- versions --------------------------------------------------------------------------------


@routes.add("POST", f"{_MLFLOW}/model-versions/create", rule=access.on("models", _by_name, *_ADD))
async def create_version(call: Call) -> dict[str, Any]:
    who = call.principal.name
    document = versions.create(call.workspace, _by_name(call), who, call.body)
    return {"model_version": views.version(call.workspace, document)}


@routes.add("POST", f"{_MLFLOW}/model-versions/finalize", rule=access.on("models", _by_name, *_ADD))
async def finalize_version(call: Call) -> dict[str, Any]:
    who = call.principal.name
    document = versions.finalize(call.workspace, _by_name(call), call.need("version"), who)
    return {"model_version": views.version(call.workspace, document)}


@routes.add("GET", f"{_MLFLOW}/model-versions/get", rule=access.on("models", _by_name, *_READ))
async def get_version(call: Call) -> dict[str, Any]:
    document = versions.get(call.workspace, _by_name(call), call.query.get("version", ""))
    return {"model_version": views.version(call.workspace, document)}


@routes.add("GET", f"{_MLFLOW}/model-versions/search")
async def search_versions(call: Call) -> dict[str, Any]:
    text = call.query.get("filter", "")
    match = _NAME_FILTER.match(text)
    if text and match is None:
        raise invalid(f"Filter {text!r} is not supported: only name='catalog.schema.model'.")
    names = [match.group(1)] if match else [n for n, _ in call.workspace.store.items("models")]
    visible = [
        views.version(call.workspace, document)
        for name in names
        if access.allows(call.workspace, call.principal, "models", name, *_READ)
        for document in versions.listed(call.workspace, name)
    ]
    found, more = page(visible, call.query, 10000)
    return {"model_versions": found, **more}


@routes.add(
    "PATCH", f"{_MLFLOW}/model-versions/update", rule=access.on("models", _by_name, access.OWN)
)
async def update_version(call: Call) -> dict[str, Any]:
    changes = {"description": call.body.get("description", "")}
    return {"model_version": views.version(call.workspace, _change_version(call, changes))}


@routes.add(
    "DELETE", f"{_MLFLOW}/model-versions/delete", rule=access.on("models", _by_name, access.OWN)
)
async def delete_version(call: Call) -> dict[str, Any]:
    versions.delete(call.workspace, _by_name(call), call.need("version"))
    return {}


@routes.add("POST", f"{_MLFLOW}/model-versions/set-tag", rule=access.on("models", _by_name, *_TAG))
async def set_version_tag(call: Call) -> dict[str, Any]:
    tags = versions.get(call.workspace, _by_name(call), call.need("version"))["tags"]
    _change_version(call, {"tags": {**tags, call.need("key"): call.body.get("value", "")}})
    return {}


@routes.add(
    "DELETE", f"{_MLFLOW}/model-versions/delete-tag", rule=access.on("models", _by_name, *_TAG)
)
async def delete_version_tag(call: Call) -> dict[str, Any]:
    tags = versions.get(call.workspace, _by_name(call), call.need("version"))["tags"]
    _change_version(call, {"tags": {k: v for k, v in tags.items() if k != call.need("key")}})
    return {}


def _change_version(call: Call, changes: Document) -> Document:
    who, version = call.principal.name, call.need("version")
    return versions.update(call.workspace, _by_name(call), version, who, changes)


# --- where a version's files go --------------------------------------------------------------


@routes.add(
    "GET", f"{_MLFLOW}/registered-models:is-databricks-sdk-models-artifact-repository-enabled"
)
async def sdk_artifacts(call: Call) -> dict[str, Any]:
    return {
        "is_databricks_sdk_models_artifact_repository_enabled": files_api_for_models(call.workspace)
    }


def files_api_for_models(workspace: Workspace) -> bool:
    """Whether clients move model files with the Files API (multipart) or with one URL per file."""
    setting = workspace.store.get("control", "artifacts") or {}
    return bool(setting.get("files_api", True))


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
    """Tell the client to ask for signed URLs: the keys open nothing and are not used."""
    versions.get(call.workspace, _by_name(call), call.need("version"))
    unused = dict.fromkeys(("access_key_id", "secret_access_key", "session_token"), "unused")
    return {
        "credentials": {
            "aws_temp_credentials": unused,
            "expiration_time": call.workspace.now_ms() + 3_600_000,
            "storage_mode": "DEFAULT_STORAGE",
        }
    }


@routes.add(
    "GET",
    f"{_MLFLOW}/model-versions/get-download-uri",
    rule=access.on("models", _by_name, *_READ),
)
async def download_uri(call: Call) -> dict[str, Any]:
    document = versions.get(call.workspace, _by_name(call), call.query.get("version", ""))
    return {"artifact_uri": views.location(document)}


@routes.add(
    "POST", f"{_MLFLOW}/model-versions/emit-lineage", rule=access.on("models", _by_name, *_READ)
)
async def emit_lineage(call: Call) -> dict[str, Any]:
    return {}
