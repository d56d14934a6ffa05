"""Objects that are no securables: endpoints, warehouses, alerts, queries, dashboards,
experiments, jobs.

Each is a document with an owner and an access control list. Owner and admins may do everything with
it; others what the list gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        Kind in the store.
    title
        Its name in messages.
    levels
        Permission levels, lowest first; each includes those before it.
    owner
        Field of the document that names the owner.
    lists_owner
        The owner is always in the access control list, whatever was put there.
    """

    name: str
    title: str
    levels: tuple[str, ...]
    owner: str = "owner"
    lists_owner: bool = True


ENDPOINT = ObjectKind(
    "endpoints",
    "Serving endpoint",
    ("CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"),
    owner="creator",
    lists_owner=False,
)
WAREHOUSE = ObjectKind(
    "warehouses", "SQL warehouse", ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER")
)
ALERT = ObjectKind("alerts", "Alert", ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"))
QUERY = ObjectKind("queries", "Query", ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"))
DASHBOARD = ObjectKind("dashboards", "Dashboard", ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"))
EXPERIMENT = ObjectKind("experiments", "Experiment", ("CAN_READ", "CAN_EDIT", "CAN_MANAGE"))
JOB = ObjectKind("jobs", "Job", ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"))


def get(workspace: Workspace, kind: ObjectKind, key: str, *, deleted: bool = False) -> Document:
    """Return the document of an object; of one that is deleted only with `deleted`.

    Raises
    ------
    ApiError
        404 when there is none.
    """
    document = workspace.store.get(kind.name, key)
    if document is None or (document.get("deleted") and not deleted):
        raise missing(kind, key)
    return document


def missing(kind: ObjectKind, key: str) -> ApiError:
    named = f"Endpoint with name '{key}'" if kind is ENDPOINT else f"{kind.title} {key}"
    return not_found(f"{named} does not exist.")


def put(workspace: Workspace, kind: ObjectKind, key: str, document: Document) -> None:
    workspace.store.put(kind.name, key, document)


def delete(workspace: Workspace, kind: ObjectKind, key: str) -> None:
    """Forget an object and its access control list."""
    with workspace.store.transaction():
        workspace.store.delete(_ACL, f"{kind.name}/{key}")
        workspace.store.delete(kind.name, key)


def require(
    workspace: Workspace,
    principal: Principal,
    kind: ObjectKind,
    key: str,
    needed: str,
    *,
    deleted: bool = False,
) -> Document:
    """Return an object that the caller may use at a permission level.

    Raises
    ------
    ApiError
        404 when it does not exist, 403 below the level.
    """
    document = get(workspace, kind, key, deleted=deleted)
    have = level(workspace, principal, kind, key, document)
    if have is None or kind.levels.index(have) < kind.levels.index(needed):
        raise forbidden(
            f"{principal.name} does not have {needed} on {kind.title} {key}"
            f" (has {have or 'no permission'}). Ask its owner or an admin."
        )
    return document


def called(call: Call, kind: ObjectKind, needed: str) -> Document:
    """Return the object that ``{id}`` in the URL names, as :func:`require` does."""
    return require(call.workspace, call.principal, kind, call.path["id"], needed)


def visible(workspace: Workspace, principal: Principal, kind: ObjectKind) -> list[Document]:
    """Return the objects of a kind on which the caller has any permission, oldest first."""
    found = [
        document
        for key, document in workspace.store.items(kind.name)
        if not document.get("deleted") and level(workspace, principal, kind, key, document)
    ]
    return sorted(found, key=lambda document: int(document.get("created_at", 0)))


def level(
    workspace: Workspace, principal: Principal, kind: ObjectKind, key: str, document: Document
) -> str | None:
    """Return the caller's highest permission level on an object, or None without any."""
    if principal.is_admin or principal.name == document[kind.owner]:
        return kind.levels[-1]
    names = {principal.name.lower(), *(group.lower() for group in principal.groups)}
    found = [
        entry["permission_level"]
        for entry in acl(workspace, kind, key)
        if acl_principal(entry).lower() in names
    ]
    return max(found, key=kind.levels.index, default=None)


def acl(workspace: Workspace, kind: ObjectKind, key: str) -> list[Document]:
    """Return the access control list; an entry has one of :data:`ACL_FIELDS` and a level."""
    document = workspace.store.get(_ACL, f"{kind.name}/{key}") or {}
    entries: list[Document] = document.get("entries", [])
    return entries


def put_acl(workspace: Workspace, kind: ObjectKind, key: str, entries: list[Document]) -> None:
    workspace.store.put(_ACL, f"{kind.name}/{key}", {"entries": entries})


def acl_principal(entry: Document) -> str:
    """Return the name of the principal that an entry is about."""
    return str(next(entry[field] for field in ACL_FIELDS if field in entry))


def name_field(name: str) -> str:
    """Return the field for a user's or a service principal's name."""
    return "user_name" if "@" in name else "service_principal_name"
