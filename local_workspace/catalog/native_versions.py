"""Model versions and aliases under ``/api/2.1/unity-catalog/models/{name}``."""

from __future__ import annotations

from typing import Any

from ..core.paging import page
from ..core.routing import Call, Routes
from . import access, catalog, versions
from . import registry_views as views

routes = Routes()

_MODELS = f"{catalog.BASE}/models/{{full_name}}"
_READ = access.on("models", "full_name", "EXECUTE", access.OWN)
_OWN = access.on("models", "full_name", access.OWN)


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
    return views.version_info(call.workspace, document)


@routes.add("GET", f"{_MODELS}/versions", rule=_READ)
async def list_info(call: Call) -> dict[str, Any]:
    found = versions.listed(call.workspace, call.path["full_name"])
    infos, more = page([views.version_info(call.workspace, doc) for doc in found], call.query)
    return {"model_versions": infos, **more}


@routes.add("GET", f"{_MODELS}/versions/{{version}}", rule=_READ)
async def get_info(call: Call) -> dict[str, Any]:
    document = versions.get(call.workspace, call.path["full_name"], call.path["version"])
    return views.version_info(call.workspace, document)


@routes.add("PATCH", f"{_MODELS}/versions/{{version}}", rule=_OWN)
async def update_info(call: Call) -> dict[str, Any]:
    changes = {"description": call.body.get("comment", "")}
    name, version, who = call.path["full_name"], call.path["version"], call.principal.name
    document = versions.update(call.workspace, name, version, who, changes)
    return views.version_info(call.workspace, document)


@routes.add("DELETE", f"{_MODELS}/versions/{{version}}", rule=_OWN)
async def delete_info(call: Call) -> dict[str, Any]:
    versions.delete(call.workspace, call.path["full_name"], call.path["version"])
    return {}
