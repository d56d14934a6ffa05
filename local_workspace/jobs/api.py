"""Jobs: ``/api/2.2/jobs``, and the same under 2.0 and 2.1. Their runs are in :mod:`.runs`."""

from __future__ import annotations

from typing import Any

from ..core.errors import forbidden
from ..core.routing import Call, Routes, page, whole_number
from ..core.store import Document
from ..objects import documents
from ..objects.documents import JOB
from . import spec as job_spec

routes = Routes()

_NOT_SETTINGS = ("access_control_list",)


def paths(rest: str) -> list[str]:
    """Return the path of a call in all versions of the API."""
    return [f"/api/{version}/jobs/{rest}" for version in ("2.2", "2.1", "2.0")]


def find_job(call: Call, job_id: object, needed: str) -> Document:
    """Return a job that the caller may use at a level; errors as :func:`.documents.require`."""
    number = whole_number(job_id, "job_id")
    return documents.require(call.workspace, call.principal, JOB, str(number), needed)


@routes.add("POST", *paths("create"))
async def create(call: Call) -> dict[str, Any]:
    settings = {key: value for key, value in call.body.items() if key not in _NOT_SETTINGS}
    _check(call, settings)
    job_id = job_spec.new_id()
    document: Document = {
        "id": job_id,
        "owner": call.principal.name,
        "creator": call.principal.name,
        "created_at": call.workspace.now_ms(),
        "settings": settings,
    }
    documents.put(call.workspace, JOB, str(job_id), document)
    return {"job_id": job_id}


@routes.add("GET", *paths("get"))
async def get(call: Call) -> dict[str, Any]:
    return _view(find_job(call, call.query.get("job_id", ""), "CAN_VIEW"))


@routes.add("GET", *paths("list"))
async def list_all(call: Call) -> dict[str, Any]:
    """Newest first; without tasks unless they are asked for."""
    name, expand = call.query.get("name"), call.query.get("expand_tasks", "").lower() == "true"
    jobs = [
        _view(document)
        for document in reversed(documents.visible(call.workspace, call.principal, JOB))
    ]
    wanted = [job for job in jobs if name in (None, job["settings"]["name"])]
    found, more = page(wanted, call.query, size=20, limit="limit")
    if not expand:
        for job in found:
            job["settings"].pop("tasks", None)
    return {"jobs": found, "has_more": bool(more), **more}


@routes.add("POST", *paths("reset"))
async def reset(call: Call) -> dict[str, Any]:
    """Replace the settings; the principal that it runs as stays unless another one is named."""
    found = find_job(call, call.need("job_id"), "CAN_MANAGE")
    settings = dict(call.need("new_settings"))
    if "run_as" in found["settings"]:
        settings.setdefault("run_as", found["settings"]["run_as"])
    return _changed(call, found, settings)


@routes.add("POST", *paths("update"))
async def update(call: Call) -> dict[str, Any]:
    found = find_job(call, call.need("job_id"), "CAN_MANAGE")
    removed = call.body.get("fields_to_remove") or []
    settings = job_spec.merged(found["settings"], call.body.get("new_settings") or {}, removed)
    return _changed(call, found, settings)


@routes.add("POST", *paths("delete"))
async def delete(call: Call) -> dict[str, Any]:
    """Runs that are under way go on to their end."""
    found = find_job(call, call.need("job_id"), "CAN_MANAGE")
    documents.delete(call.workspace, JOB, str(found["id"]))
    return {}


def _changed(call: Call, job: Document, settings: Document) -> dict[str, Any]:
    _check(call, settings, job)
    documents.put(call.workspace, JOB, str(job["id"]), {**job, "settings": settings})
    return {}


def _check(call: Call, settings: Document, before: Document | None = None) -> None:
    """Refuse settings that are wrong, or that let somebody else run the job unasked."""
    job_spec.check(call.workspace, call.principal, settings)
    owner = before["owner"] if before else call.principal.name
    wanted = job_spec.run_as(settings, owner)
    known = {call.principal.name.lower()}
    if before:
        known.add(job_spec.run_as(before["settings"], owner).lower())
    if wanted.lower() not in known and not call.principal.is_admin:
        raise forbidden(f"run_as: {call.principal.name} may not let a job run as {wanted}.")


def _view(document: Document) -> dict[str, Any]:
    settings = document["settings"]
    return {
        "job_id": document["id"],
        "creator_user_name": document["creator"],
        "run_as_user_name": job_spec.run_as(settings, document["owner"]),
        "created_time": document["created_at"],
        "settings": job_spec.completed(settings),
    }
