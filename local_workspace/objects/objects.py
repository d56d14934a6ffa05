"""Objects of the workspace that are no securables: warehouses, alerts, dashboards, experiments,
jobs.

Each is a document under an id, with an owner and an access control list. Owner and admins may do
everything with it; others what the list gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.errors import ApiError, forbidden, not_found
from ..core.routing import Call
from ..core.store import Document
from ..core.workspace import Principal, Workspace

ACL_FIELDS = ("user_name", "group_name", "service_principal_name")

_ACL = "object_acl"


@dataclass(frozen=True)
class ObjectKind:
    """One kind of object.

    Parameters
    ----------
    name
        Kind in the store; ``object_type`` of the permissions API.
    title
        What messages call it.
    levels
        Permission levels, lowest first; each includes those before it.
    """

    name: str
    title: str
    levels: tuple[str, ...]


WAREHOUSE = ObjectKind(
    "warehouses", "SQL warehouse", ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER")
)
ALERT = ObjectKind("alerts", "Alert", ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"))
DASHBOARD = ObjectKind("dashboards", "Dashboard", ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"))
EXPERIMENT = ObjectKind("experiments", "Experiment", ("CAN_READ", "CAN_EDIT", "CAN_MANAGE"))
JOB = ObjectKind("jobs", "Job", ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"))


def get(workspace: Workspace, kind: ObjectKind, object_id: str) -> Document:
    """The document of an object, deleted ones apart.

    Raises
    ------
    ApiError
        404 when there is none.
    """
    document = workspace.store.get(kind.name, object_id)
    if document is None or document.get("deleted"):
        raise missing(kind, object_id)
    return document


def missing(kind: ObjectKind, object_id: str) -> ApiError:
    return not_found(f"{kind.title} {object_id} does not exist.")


def put(workspace: Workspace, kind: ObjectKind, object_id: str, document: Document) -> None:
    workspace.store.put(kind.name, object_id, document)


def delete(workspace: Workspace, kind: ObjectKind, object_id: str) -> None:
    """Forget an object and its access control list."""
    with workspace.store.transaction():
        workspace.store.delete(_ACL, f"{kind.name}/{object_id}")
        workspace.store.delete(kind.name, object_id)


def require(
    workspace: Workspace, principal: Principal, kind: ObjectKind, object_id: str, needed: str
) -> Document:
    """An object that the caller may use at a permission level.

    Raises
    ------
    ApiError
        404 when it does not exist, 403 below the level.
    """
    document = get(workspace, kind, object_id)
    have = level(workspace, principal, kind, object_id, document)
    if have is None or kind.levels.index(have) < kind.levels.index(needed):
        raise forbidden(
            f"{principal.name} does not have {needed} on {kind.title} {object_id}"
            f" (has {have or 'no permission'}). Ask its owner or an admin."
        )
    return document


def called(call: Call, kind: ObjectKind, needed: str) -> Document:
    """:func:`require` for the object that ``{id}`` in the URL names."""
    return require(call.workspace, call.principal, kind, call.path["id"], needed)


def visible(workspace: Workspace, principal: Principal, kind: ObjectKind) -> list[Document]:
    """The objects of a kind on which the caller has any permission, oldest first."""
    found = [
        document
        for key, document in workspace.store.items(kind.name)
        if not document.get("deleted") and level(workspace, principal, kind, key, document)
    ]
    return sorted(found, key=lambda document: int(document.get("created_at", 0)))


def level(
    workspace: Workspace, principal: Principal, kind: ObjectKind, object_id: str, document: Document
) -> str | None:
    """The caller's highest permission level on an object; ``None`` without any."""
    if principal.is_admin or principal.name == document["owner"]:
        return kind.levels[-1]
    names = {principal.name.lower(), *(group.lower() for group in principal.groups)}
    found = [
        entry["permission_level"]
        for entry in acl(workspace, kind, object_id)
        if str(acl_principal(entry)).lower() in names
    ]
    return max(found, key=kind.levels.index, default=None)


def acl(workspace: Workspace, kind: ObjectKind, object_id: str) -> list[Document]:
    """Entries of the access control list: one of :data:`ACL_FIELDS` and ``permission_level``."""
    document = workspace.store.get(_ACL, f"{kind.name}/{object_id}") or {}
    entries: list[Document] = document.get("entries", [])
    return entries


def put_acl(
    workspace: Workspace, kind: ObjectKind, object_id: str, entries: list[dict[str, Any]]
) -> None:
    workspace.store.put(_ACL, f"{kind.name}/{object_id}", {"entries": entries})


def acl_principal(entry: Document) -> str:
    """Whom an entry is about."""
    return str(next(entry[field] for field in ACL_FIELDS if field in entry))
