"""Versions, aliases and tags of registered models in Unity Catalog's own API.

databricks-sdk speaks it, and mlflow's registry client where
``MLFLOW_ENABLE_UC_NATIVE_MODEL_REGISTRY`` is set. The store is that of :mod:`.registry`.
"""

from __future__ import annotations

from typing import Any

from ..core.errors import invalid
from ..core.routing import Call, Routes, page
from ..core.store import Document
from . import access, securables, versions
from .api import BASE

routes = Routes()

_MODELS = f"{BASE}/models/{{full_name}}"
_READ = access.on("models", "full_name", "EXECUTE", access.OWN)
_OWN = access.on("models", "full_name", access.OWN)
_ADD = ("CREATE_MODEL_VERSION", access.OWN)


def _parts(call: Call) -> str:
    """Return the full name of the model that a body names in three parts."""
    return ".".join(str(call.need(f"{part}_name")) for part in ("catalog", "schema", "model"))


@routes.add("PUT", f"{_MODELS}/aliases/{{alias}}", rule=_OWN)
async def put_alias(call: Call) -> dict[str, Any]:
    name, alias = call.path["full_name"], call.path["alias"]
    versions.set_alias(call.workspace, name, alias, call.need("version_num"))
    return {"alias_name": alias, "version_num": int(call.need("version_num"))}


@routes.add("DELETE", f"{_MODELS}/aliases/{{alias}}", rule=_OWN)
async def remove_alias(call: Call) -> dict[str, Any]:
    versions.delete_alias(call.workspace, call.path["full_name"], call.path["alias"])
    return {}


@routes.add("GET", f"{_MODELS}/aliases/{{alias}}", rule=_READ)
async def info_by_alias(call: Call) -> dict[str, Any]:
    document = versions.by_alias(call.workspace, call.path["full_name"], call.path["alias"])
    return versions.info_view(call.workspace, document)


@routes.add("GET", f"{_MODELS}/versions", rule=_READ)
async def list_info(call: Call) -> dict[str, Any]:
    found = versions.listed(call.workspace, call.path["full_name"])
    infos, more = page([versions.info_view(call.workspace, doc) for doc in found], call.query)
    return {"model_versions": infos, **more}


@routes.add("GET", f"{_MODELS}/versions/{{version}}", rule=_READ)
async def get_info(call: Call) -> dict[str, Any]:
    document = versions.get(call.workspace, call.path["full_name"], call.path["version"])
    return versions.info_view(call.workspace, document)


@routes.add("PATCH", f"{_MODELS}/versions/{{version}}", rule=_OWN)
async def update_info(call: Call) -> dict[str, Any]:
    changes = {"description": call.body.get("comment", "")}
    name, version, who = call.path["full_name"], call.path["version"], call.principal.name
    document = versions.update(call.workspace, name, version, who, changes)
    return versions.info_view(call.workspace, document)


@routes.add("DELETE", f"{_MODELS}/versions/{{version}}", rule=_OWN)
async def delete_info(call: Call) -> dict[str, Any]:
    versions.delete(call.workspace, call.path["full_name"], call.path["version"])
    return {}


# --- new versions ----------------------------------------------------------------------------


@routes.add("POST", f"{BASE}/models/versions", rule=access.on("models", _parts, *_ADD))
async def create_version(call: Call) -> dict[str, Any]:
    fields = {**call.body, "description": call.body.get("comment")}
    document = versions.create(call.workspace, _parts(call), call.principal.name, fields)
    return versions.info_view(call.workspace, document)


@routes.add(
    "PATCH",
    f"{_MODELS}/versions/{{version}}/finalize",
    rule=access.on("models", "full_name", *_ADD),
)
async def finalize_version(call: Call) -> dict[str, Any]:
    name, version = call.path["full_name"], call.path["version"]
    document = versions.finalize(call.workspace, name, version, call.principal.name)
    return versions.info_view(call.workspace, document)


def _may_have_credentials(call: Call) -> None:
    write = call.body.get("operation") == "READ_WRITE_MODEL_VERSION"
    wanted = _ADD if write else ("EXECUTE", access.OWN)
    access.require(call.workspace, call.principal, "models", _parts(call), *wanted)


@routes.add("POST", f"{BASE}/temporary-model-version-credentials", rule=_may_have_credentials)
async def credentials(call: Call) -> dict[str, Any]:
    versions.get(call.workspace, _parts(call), call.need("version"))
    return versions.unused_credentials(call.workspace)


# --- tags ------------------------------------------------------------------------------------

_TAGGED = "{securable_type}/{full_name}"


def _may_tag(call: Call) -> None:
    kind = securables.kind_of_wire_type(call.path["securable_type"])
    if kind.name != "models":
        raise invalid(f"The local workspace keeps tags of registered models, not of a {kind.title}")
    name = call.path["full_name"]
    access.require(call.workspace, call.principal, "models", name, "APPLY_TAG", access.OWN)


def _changed(call: Call, tags: Document) -> Document:
    """Return the tags after the changes of the body."""
    changes = call.need("changes")
    added = versions.tags_of({"tags": changes.get("add_tags", [])})
    return {k: v for k, v in tags.items() if k not in changes.get("remove", [])} | added


@routes.add("PATCH", f"{BASE}/securable-tags/{_TAGGED}", rule=_may_tag)
async def tag_model(call: Call) -> dict[str, Any]:
    workspace, name = call.workspace, securables.key(call.path["full_name"])
    with workspace.store.transaction():
        model = securables.get(workspace, "models", name)
        workspace.store.put(
            "models", name, {**model, "tags": _changed(call, model.get("tags", {}))}
        )
    return {}


@routes.add("PATCH", f"{BASE}/subentity-tags/{_TAGGED}/{{version}}", rule=_may_tag)
async def tag_version(call: Call) -> dict[str, Any]:
    workspace, name, version = call.workspace, call.path["full_name"], call.path["version"]
    with workspace.store.transaction():
        tags = _changed(call, versions.get(workspace, name, version)["tags"])
        versions.update(workspace, name, version, call.principal.name, {"tags": tags})
    return {}
