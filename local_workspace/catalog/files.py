"""The Files API: files and directories under ``/api/2.0/fs``.

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
from ..core.paging import page
from ..core.routing import Call, Routes
from ..core.workspace import Workspace
from . import paths

routes = Routes()

_FILE = "/api/2.0/fs/files/{path:path}"
_DIRECTORY = "/api/2.0/fs/directories/{path:path}"


def api_path(call: Call) -> str:
    """The path after ``/api/2.0/fs/files``, decoded, with its leading slash."""
    return "/" + call.path["path"].strip("/")


def reads(call: Call) -> None:
    """Rule: may read what the path in the URL names."""
    paths.authorise(call.workspace, call.principal, api_path(call), write=False)


def writes(call: Call) -> None:
    """Rule: may write what the path in the URL names."""
    paths.authorise(call.workspace, call.principal, api_path(call), write=True)


def incoming(workspace: Workspace) -> Path:
    """Folder of what is still being received; emptied at start."""
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
    """Where a new file goes.

    Raises
    ------
    ApiError
        409 for a file that is there and may not be replaced, 400 for a directory.
    """
    target = paths.resolve(workspace, path)
    if paths.is_object_root(path) or target.is_dir():
        raise invalid(f"{path} is a directory, not a file.")
    if target.exists() and not overwrite:
        raise ApiError(409, "ALREADY_EXISTS", f"The file {path} exists: ask for overwrite=true.")
    return target


def file_response(workspace: Workspace, path: str) -> Response:
    """The file's bytes, or the part that a ``Range`` header asks for.

    Raises
    ------
    ApiError
        404 when there is no such file.
    """
    file = paths.resolve(workspace, path)
    if not file.is_file():
        raise paths.not_there(path)
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
    file = paths.resolve(call.workspace, api_path(call))
    if not file.is_file():
        raise paths.not_there(api_path(call))
    file.unlink()
    return Response(status_code=204)


def _folder(call: Call) -> Path:
    """A directory that exists; that of a volume or version does as long as the object does."""
    folder = paths.resolve(call.workspace, api_path(call))
    if paths.is_object_root(api_path(call)):
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        raise paths.not_there(api_path(call))
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
    folder = paths.resolve(call.workspace, api_path(call))
    if folder.is_file():
        raise ApiError(409, "ALREADY_EXISTS", f"{api_path(call)} is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    return Response(status_code=204)


@routes.add("DELETE", _DIRECTORY, rule=writes)
async def delete_directory(call: Call) -> Response:
    folder = _folder(call)
    if paths.is_object_root(api_path(call)):
        raise invalid(f"{api_path(call)} cannot be deleted: delete the object that it belongs to.")
    if any(folder.iterdir()):
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"{api_path(call)} is not empty.")
    folder.rmdir()
    return Response(status_code=204)
