"""The Files API: files and directories under ``/api/2.0/fs``.

Three roots, each with the rights of what it belongs to: ``/Volumes/{catalog}/{schema}/{volume}``,
``/Models/{catalog}/{schema}/{model}/{n}`` and ``/WorkspaceInternal/Mlflow/Artifacts/{experiment}``,
where the artifacts of runs and logged models are.
Bodies are streamed to disk and appear under their name only when they are complete. Uploads in
parts and signed URLs are in :mod:`.uploads`.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response

from ..core.errors import ApiError, invalid
from ..core.routing import Call, Routes, page
from ..core.workspace import Principal, Workspace
from ..objects import documents
from ..objects.documents import EXPERIMENT
from . import access, versions

routes = Routes()

_ARTIFACTS = ("WorkspaceInternal", "Mlflow", "Artifacts")
_OBJECT_DEPTH = {"Volumes": 4, "Models": 5, "WorkspaceInternal": 4}
_LONGEST = 2048
_FILE = "/api/2.0/fs/files/{path:path}"
_DIRECTORY = "/api/2.0/fs/directories/{path:path}"


def not_there(path: str) -> ApiError:
    """Return the Files API's own 404."""
    return ApiError(404, "NOT_FOUND", f"The path {path} does not exist.")


def resolve(workspace: Workspace, path: str) -> Path:
    """Return the place of an API path on disk.

    Raises
    ------
    ApiError
        400 for a path that leaves its root, has empty or dot segments, or lies outside the roots.
    """
    return workspace.files.joinpath(*segments(path))


def segments(path: str) -> tuple[str, ...]:
    """Return the parts of an API path, names of Unity Catalog objects in lower case."""
    parts = tuple(path.strip("/").split("/"))
    if any(part in ("", ".", "..") or "\x00" in part or "\\" in part for part in parts):
        raise invalid(f"Path {path!r}: empty, '.' and '..' segments are not allowed.")
    if len(path.encode()) > _LONGEST or any(len(part.encode()) > 255 for part in parts):
        raise invalid(f"Path {path[:80]!r}...: at most 255 bytes a name and {_LONGEST} in all.")
    depth = _OBJECT_DEPTH.get(parts[0], 0)
    if len(parts) < depth or not depth:
        raise invalid(
            f"Path {path!r} must start with /Volumes/catalog/schema/volume, "
            f"/Models/catalog/schema/model/version or /{'/'.join(_ARTIFACTS)}/experiment."
        )
    if parts[0] == "WorkspaceInternal":
        if parts[:3] != _ARTIFACTS:
            raise invalid(f"Path {path!r} must lie below /{'/'.join(_ARTIFACTS)}.")
        return parts
    return (parts[0], *(part.lower() for part in parts[1:4]), *parts[4:])


def is_object_root(path: str) -> bool:
    """Return whether the path is that of a volume, a version or an experiment itself."""
    parts = segments(path)
    return len(parts) == _OBJECT_DEPTH[parts[0]]


def authorise(workspace: Workspace, principal: Principal, path: str, *, write: bool) -> None:
    """Refuse unless the principal may read, or write, below the object that the path names.

    Raises
    ------
    ApiError
        404 when the object does not exist, 403 without the privilege or level, 400 for writing to
        a version whose upload was finished.
    """
    parts = segments(path)
    name = ".".join(parts[1:4])
    if parts[0] == "WorkspaceInternal":
        level = "CAN_EDIT" if write else "CAN_READ"
        documents.require(workspace, principal, EXPERIMENT, parts[3], level)
    elif parts[0] == "Volumes":
        wanted = "WRITE_VOLUME" if write else "READ_VOLUME"
        access.require(workspace, principal, "volumes", name, wanted)
    else:
        wanted = "CREATE_MODEL_VERSION" if write else "EXECUTE"
        access.require(workspace, principal, "models", name, wanted, access.OWN)
        version = versions.get(workspace, name, parts[4])
        if write and version["status"] != versions.PENDING:
            raise invalid(
                f"Model version '{name}/{parts[4]}' is {version['status']}: its files are final."
            )


def api_path(call: Call) -> str:
    """Return the path after ``/api/2.0/fs/files``, decoded, with its leading slash."""
    return "/" + call.path["path"].strip("/")


def reads(call: Call) -> None:
    """Rule: may read what the path in the URL names."""
    authorise(call.workspace, call.principal, api_path(call), write=False)


def writes(call: Call) -> None:
    """Rule: may write what the path in the URL names."""
    authorise(call.workspace, call.principal, api_path(call), write=True)


def incoming(workspace: Workspace) -> Path:
    """Return the folder of bodies that are still arriving; it is emptied at start."""
    return workspace.folder / "uploads"


async def startup(workspace: Workspace) -> None:
    """Forget uploads that a stopped process left unfinished."""
    shutil.rmtree(incoming(workspace), ignore_errors=True)
    incoming(workspace).mkdir()
    for kind in ("uploads", "upload_parts"):
        for key, _ in workspace.store.items(kind):
            workspace.store.delete(kind, key)


async def receive(call: Call, target: Path) -> str:
    """Stream the request's body to `target`, which appears whole or not at all.

    Returns
    -------
    str
        ETag: SHA-256 of the bytes.
    """
    new, digest = incoming(call.workspace) / uuid.uuid4().hex, hashlib.sha256()
    new.parent.mkdir(exist_ok=True)
    try:
        with new.open("wb") as file:
            async for chunk in call.request.stream():
                file.write(chunk)
                digest.update(chunk)
        target.parent.mkdir(parents=True, exist_ok=True)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return digest.hexdigest()


def check_target(workspace: Workspace, path: str, *, overwrite: bool) -> Path:
    """Return the place of a new file.

    Raises
    ------
    ApiError
        409 for a file that is there and may not be replaced, 400 for a directory.
    """
    target = resolve(workspace, path)
    if is_object_root(path) or target.is_dir():
        raise invalid(f"{path} is a directory, not a file.")
    _check_above(workspace, target)
    if target.exists() and not overwrite:
        raise ApiError(409, "ALREADY_EXISTS", f"The file {path} exists: ask for overwrite=true.")
    return target


def _check_above(workspace: Workspace, place: Path) -> None:
    """Refuse a place below a file."""
    for above in place.relative_to(workspace.files).parents:
        if (workspace.files / above).is_file():
            raise ApiError(409, "ALREADY_EXISTS", f"/{above} is a file, not a directory.")


def file_response(workspace: Workspace, path: str) -> Response:
    """Return the file's bytes, or the part that a ``Range`` header asks for.

    Raises
    ------
    ApiError
        404 when there is no such file.
    """
    file = resolve(workspace, path)
    if not file.is_file():
        raise not_there(path)
    return FileResponse(file, media_type="application/octet-stream")


@routes.add("PUT", _FILE, rule=writes, stream=True)
async def put_file(call: Call) -> Response:
    overwrite = call.query.get("overwrite") == "true"
    target = check_target(call.workspace, api_path(call), overwrite=overwrite)
    await receive(call, target)
    return Response(status_code=204)


@routes.add("GET", _FILE, rule=reads)
async def get_file(call: Call) -> Response:
    return file_response(call.workspace, api_path(call))


@routes.add("HEAD", _FILE, rule=reads)
async def head_file(call: Call) -> Response:
    return file_response(call.workspace, api_path(call))


@routes.add("DELETE", _FILE, rule=writes)
async def delete_file(call: Call) -> Response:
    file = resolve(call.workspace, api_path(call))
    if not file.is_file():
        raise not_there(api_path(call))
    file.unlink()
    return Response(status_code=204)


def _folder(call: Call) -> Path:
    """Return a directory; that of a volume or version exists as long as the object does."""
    folder = resolve(call.workspace, api_path(call))
    if is_object_root(api_path(call)):
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        raise not_there(api_path(call))
    return folder


@routes.add("HEAD", _DIRECTORY, rule=reads)
async def head_directory(call: Call) -> Response:
    _folder(call)
    return Response(status_code=200)


@routes.add("GET", _DIRECTORY, rule=reads)
async def list_directory(call: Call) -> dict[str, Any]:
    contents = [_entry(api_path(call), entry) for entry in sorted(_folder(call).iterdir())]
    found, more = page(contents, call.query, limit="page_size")
    return {"contents": found, **more}


def _entry(parent: str, entry: Path) -> dict[str, Any]:
    facts = entry.stat()
    found: dict[str, Any] = {
        "path": f"{parent}/{entry.name}",
        "name": entry.name,
        "is_directory": entry.is_dir(),
        "last_modified": int(facts.st_mtime * 1000),
    }
    return found if entry.is_dir() else {**found, "file_size": facts.st_size}


@routes.add("PUT", _DIRECTORY, rule=writes)
async def make_directory(call: Call) -> Response:
    folder = resolve(call.workspace, api_path(call))
    if folder.is_file():
        raise ApiError(409, "ALREADY_EXISTS", f"{api_path(call)} is a file.")
    _check_above(call.workspace, folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Response(status_code=204)


@routes.add("DELETE", _DIRECTORY, rule=writes)
async def delete_directory(call: Call) -> Response:
    folder = _folder(call)
    if is_object_root(api_path(call)):
        raise invalid(f"{api_path(call)} cannot be deleted: delete the object that it belongs to.")
    if any(folder.iterdir()):
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"{api_path(call)} is not empty.")
    folder.rmdir()
    return Response(status_code=204)
