"""Paths of the Files API: where they lie on disk and who may touch them.

Three roots: ``/Volumes/{catalog}/{schema}/{volume}``, ``/Models/{catalog}/{schema}/{model}/{n}``
and ``/WorkspaceInternal/Mlflow/Artifacts`` (artifacts of runs and logged models, open to all).
"""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ApiError, invalid
from ..core.workspace import Principal, Workspace
from . import access, versions

_ARTIFACTS = ("WorkspaceInternal", "Mlflow", "Artifacts")
_OBJECT_DEPTH = {"Volumes": 4, "Models": 5, "WorkspaceInternal": 3}


def not_there(path: str) -> ApiError:
    """The Files API's own 404."""
    return ApiError(404, "NOT_FOUND", f"The path {path} does not exist.")


def resolve(workspace: Workspace, path: str) -> Path:
    """The place of an API path on disk.

    Raises
    ------
    ApiError
        400 for a path that leaves its root, has empty or dot segments, or lies outside the roots.
    """
    return workspace.files.joinpath(*segments(path))


def segments(path: str) -> tuple[str, ...]:
    """The parts of an API path, names of Unity Catalog objects in lower case."""
    parts = tuple(path.strip("/").split("/"))
    if any(part in ("", ".", "..") or "\x00" in part or "\\" in part for part in parts):
        raise invalid(f"Path {path!r}: empty, '.' and '..' segments are not allowed.")
    depth = _OBJECT_DEPTH.get(parts[0], 0)
    if len(parts) < depth or not depth:
        raise invalid(
            f"Path {path!r} must start with /Volumes/catalog/schema/volume, "
            "/Models/catalog/schema/model/version or /WorkspaceInternal/Mlflow/Artifacts."
        )
    if parts[0] == "WorkspaceInternal":
        if parts[:depth] != _ARTIFACTS:
            raise invalid(f"Path {path!r} must lie below /{'/'.join(_ARTIFACTS)}.")
        return parts
    return (parts[0], *(part.lower() for part in parts[1:4]), *parts[4:])


def is_object_root(path: str) -> bool:
    """Whether the path is a volume, a version or the artifact root itself, not a thing inside."""
    parts = segments(path)
    return len(parts) == _OBJECT_DEPTH[parts[0]]


def authorise(workspace: Workspace, principal: Principal, path: str, *, write: bool) -> None:
    """Refuse unless the principal may read, or write, below the object that the path names.

    Raises
    ------
    ApiError
        404 when volume, model or version do not exist, 403 without the privilege, 400 for writing
        to a version whose upload was finished.
    """
    parts = segments(path)
    name = ".".join(parts[1:4])
    if parts[0] == "Volumes":
        wanted = "WRITE_VOLUME" if write else "READ_VOLUME"
        access.require(workspace, principal, "volumes", name, wanted)
    elif parts[0] == "Models":
        wanted = "CREATE_MODEL_VERSION" if write else "EXECUTE"
        access.require(workspace, principal, "models", name, wanted, access.OWN)
        version = versions.get(workspace, name, parts[4])
        if write and version["status"] != versions.PENDING:
            raise invalid(
                f"Model version '{name}/{parts[4]}' is {version['status']}: its files are final."
            )
