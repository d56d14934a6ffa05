"""Uploads in parts, and the signed URLs under which bytes travel without a token.

A client asks (with its token) for URLs, then sends parts or fetches files through them. Parts are
kept as files and joined on disk: a file of any size needs no memory.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path
from typing import Any

from starlette.responses import Response

from ..core.errors import ApiError, invalid, not_found
from ..core.routing import Call, Routes, whole_number
from ..core.store import Document
from ..core.workspace import Workspace
from ..identity.signing import sign_url, signed
from . import files
from .files import api_path, check_target, file_response, incoming, receive, writes

routes = Routes()

_FS = "/api/2.0/fs"
_MOST_URLS = 1000


def _asked_path(call: Call) -> str:
    """Return the path in the body or, as the SDK sends it for downloads, in the query."""
    value = call.body.get("path") or call.query.get("path")
    if not isinstance(value, str):
        raise invalid("Missing required field: path")
    return "/" + value.strip("/")


def _may_read_asked(call: Call) -> None:
    files.authorise(call.workspace, call.principal, _asked_path(call), write=False)


def _may_write_asked(call: Call) -> None:
    files.authorise(call.workspace, call.principal, _asked_path(call), write=True)


# --- asking for URLs -------------------------------------------------------------------------


@routes.add("POST", f"{_FS}/create-download-url", rule=_may_read_asked)
async def create_download_url(call: Call) -> dict[str, Any]:
    path = _asked_path(call)
    if not files.resolve(call.workspace, path).is_file():
        raise files.not_there(path)
    return {"url": sign_url(call.workspace, "GET", f"/_signed/files{path}"), "headers": []}


@routes.add("POST", f"{_FS}/create-upload-url", rule=_may_write_asked)
async def create_upload_url(call: Call) -> dict[str, Any]:
    path = _asked_path(call)
    check_target(call.workspace, path, overwrite=True)
    return {"url": sign_url(call.workspace, "PUT", f"/_signed/files{path}"), "headers": []}


@routes.add("POST", f"{_FS}/files/{{path:path}}", rule=writes)
async def start_or_complete(call: Call) -> dict[str, Any]:
    action = call.query.get("action")
    if action == "initiate-upload":
        return _initiate(call)
    if action == "complete-upload":
        return await _complete(call)
    raise invalid(f"action={action!r} is not one of: initiate-upload, complete-upload")


@routes.add("POST", f"{_FS}/create-upload-part-urls", rule=_may_write_asked)
async def create_part_urls(call: Call) -> dict[str, Any]:
    token = _session(call.workspace, call.need("session_token"), _asked_path(call))[0]
    first = whole_number(call.need("start_part_number"), "start_part_number")
    count = whole_number(call.body.get("count", 1), "count")
    if first < 1 or not 1 <= count <= _MOST_URLS:
        raise invalid(f"start_part_number={first}, count={count}: from 1, at most {_MOST_URLS}")
    urls = [
        {
            "part_number": number,
            "url": sign_url(call.workspace, "PUT", f"/_signed/parts/{token}/{number}"),
            "headers": [],
        }
        for number in range(first, first + count)
    ]
    return {"upload_part_urls": urls}


@routes.add("POST", f"{_FS}/create-abort-upload-url", rule=_may_write_asked)
async def create_abort_url(call: Call) -> dict[str, Any]:
    token = _session(call.workspace, call.need("session_token"), _asked_path(call))[0]
    url = sign_url(call.workspace, "DELETE", f"/_signed/uploads/{token}")
    return {"abort_upload_url": {"url": url, "headers": []}}


# --- sessions --------------------------------------------------------------------------------


def _initiate(call: Call) -> dict[str, Any]:
    path, overwrite = api_path(call), call.query.get("overwrite") == "true"
    check_target(call.workspace, path, overwrite=overwrite)
    token = secrets.token_urlsafe(24)
    (incoming(call.workspace) / token).mkdir(parents=True)
    call.workspace.store.put("uploads", token, {"path": path, "overwrite": overwrite})
    return {"multipart_upload": {"session_token": token}}


async def _complete(call: Call) -> dict[str, Any]:
    path, workspace = api_path(call), call.workspace
    token, session = _session(workspace, call.query.get("session_token", ""), path)
    files = [_part(workspace, token, part) for part in _parts(call)]
    target = check_target(workspace, path, overwrite=session["overwrite"])
    await asyncio.to_thread(_join, files, target)
    _close(workspace, token)
    return {}


def _session(workspace: Workspace, token: str, path: str) -> tuple[str, Document]:
    session = workspace.store.get("uploads", token)
    if session is None or session["path"] != path:
        raise not_found(f"There is no upload under way to {path} with this session token.")
    return token, session


def _parts(call: Call) -> list[Document]:
    """Return the parts of the body in the order of their numbers."""
    parts = call.need("parts")
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise invalid("parts must be a list of at least one {part_number, etag}")
    return sorted(parts, key=lambda part: whole_number(part.get("part_number"), "part_number"))


def _part(workspace: Workspace, token: str, part: Document) -> Path:
    number = int(part["part_number"])
    file = incoming(workspace) / token / str(number)
    etag = workspace.store.get("upload_parts", f"{token}/{number}")
    if etag is None or not file.is_file():
        raise invalid(f"Part {number} was not uploaded.")
    if str(part.get("etag")).strip('"') != etag["etag"]:
        raise invalid(f"Part {number}: etag {part.get('etag')!r} is not the uploaded part's.")
    return file


def _join(files: list[Path], target: Path) -> None:
    whole = files[0]
    with whole.open("ab") as out:
        for file in files[1:]:
            with file.open("rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)
            file.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    whole.replace(target)


def _close(workspace: Workspace, token: str) -> None:
    with workspace.store.transaction():
        workspace.store.delete("uploads", token)
        for key, _ in workspace.store.items("upload_parts", f"{token}/"):
            workspace.store.delete("upload_parts", key)
    shutil.rmtree(incoming(workspace) / token, ignore_errors=True)


# --- using URLs ------------------------------------------------------------------------------


@routes.add("GET", "/_signed/files/{path:path}", public=True, rule=signed)
async def signed_get(call: Call) -> Response:
    return file_response(call.workspace, api_path(call))


@routes.add("PUT", "/_signed/files/{path:path}", public=True, rule=signed, stream=True)
async def signed_put(call: Call) -> Response:
    etag = await receive(call, check_target(call.workspace, api_path(call), overwrite=True))
    return Response(status_code=200, headers={"ETag": f'"{etag}"'})


@routes.add("PUT", "/_signed/parts/{token}/{number}", public=True, rule=signed, stream=True)
async def signed_part(call: Call) -> Response:
    token, number = call.path["token"], call.path["number"]
    if call.workspace.store.get("uploads", token) is None:
        raise ApiError(404, "NOT_FOUND", "The upload was finished or given up.")
    etag = await receive(call, incoming(call.workspace) / token / number)
    call.workspace.store.put("upload_parts", f"{token}/{number}", {"etag": etag})
    return Response(status_code=200, headers={"ETag": f'"{etag}"'})


@routes.add("DELETE", "/_signed/uploads/{token}", public=True, rule=signed)
async def signed_abort(call: Call) -> Response:
    _close(call.workspace, call.path["token"])
    return Response(status_code=204)
