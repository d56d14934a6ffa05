"""Access control lists of all objects: ``/api/2.0/permissions``."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..core.errors import forbidden, invalid, not_found
from ..core.routing import Call, Routes
from ..core.store import Document
from ..identity.principals import check_known, find
from . import documents
from .documents import ACL_FIELDS, ALERT, DASHBOARD, ENDPOINT, EXPERIMENT, JOB, QUERY, WAREHOUSE

routes = Routes()

_BASE = "/api/2.0/permissions"
_KINDS = {
    "serving-endpoints": (ENDPOINT, "serving-endpoint"),
    "warehouses": (WAREHOUSE, "warehouses"),
    "sql/warehouses": (WAREHOUSE, "warehouses"),
    "alertsv2": (ALERT, "alertv2"),
    "dashboards": (DASHBOARD, "dashboard"),
    "queries": (QUERY, "query"),
    "sql/queries": (QUERY, "query"),
    "experiments": (EXPERIMENT, "mlflowExperiment"),
    "jobs": (JOB, "job"),
}
"""Path -> kind and ``object_type`` of the answer."""


class _List:
    """The access control list of the object in a URL, for a caller who has a permission level."""

    def __init__(self, path: str, call: Call, needed: str | None = None) -> None:
        self.kind, self._type = _KINDS[path]
        self._workspace, self._caller, self._id = call.workspace, call.principal, call.path["id"]
        self._path = f"/{path}/{self._id}"
        self._key = _key(call) if self.kind is ENDPOINT else self._id
        self._document = documents.require(
            call.workspace, call.principal, self.kind, self._key, needed or self.kind.levels[0]
        )

    def entries(self) -> list[Document]:
        return documents.acl(self._workspace, self.kind, self._key)

    def put(self, entries: list[Document]) -> None:
        """Replace the entries; an IS_OWNER among them changes the owner, if an admin says so.

        A job runs as its owner: who gave it away would run code as somebody else.
        """
        owners = [entry for entry in entries if entry["permission_level"] == "IS_OWNER"]
        if len(owners) > 1:
            title = f"{self.kind.title} {self._id}"
            raise invalid(f"{title} can have one owner, not {len(owners)}.")
        owner = documents.acl_principal(owners[0]) if owners else self._document[self.kind.owner]
        if owner != self._document[self.kind.owner]:
            if not self._caller.is_admin:
                raise forbidden(f"Only an admin can make {owner} the owner of {self._path}.")
            self._document |= {self.kind.owner: owner}
            documents.put(self._workspace, self.kind, self._key, self._document)
        if self.kind.lists_owner:
            entries = [one for one in entries if documents.acl_principal(one) != owner]
        documents.put_acl(self._workspace, self.kind, self._key, entries)

    def answer(self) -> dict[str, Any]:
        shown = [_shown(entry, inherited=False) for entry in self.entries()]
        if self.kind.lists_owner:
            owner, level = str(self._document[self.kind.owner]), self.kind.levels[-1]
            own = {documents.name_field(owner): owner, "permission_level": level}
            shown.insert(0, _shown(own, inherited=False))
        admins = {"group_name": "admins", "permission_level": "CAN_MANAGE"}
        return {
            "object_id": self._path,
            "object_type": self._type,
            "access_control_list": [*shown, _shown(admins, inherited=True)],
        }


async def _get(path: str, call: Call) -> dict[str, Any]:
    return _List(path, call).answer()


async def _levels(path: str, call: Call) -> dict[str, Any]:
    levels = _List(path, call).kind.levels
    return {"permission_levels": [{"permission_level": level} for level in levels]}


async def _put(path: str, call: Call) -> dict[str, Any]:
    """Replace the list, or with PATCH add to it."""
    found = _List(path, call, "CAN_MANAGE")
    sent = _sent(found.kind.levels, call)
    if call.request.method == "PATCH":
        sent = {documents.acl_principal(one).lower(): one for one in found.entries()} | sent
    found.put(list(sent.values()))
    return found.answer()


def _key(call: Call) -> str:
    """Return the name of an endpoint: the store has it by name, this API by id."""
    for name, document in call.workspace.store.items(ENDPOINT.name):
        if document["id"] == call.path["id"]:
            return name
    raise not_found(f"Endpoint with id '{call.path['id']}' does not exist.")


def _sent(levels: tuple[str, ...], call: Call) -> dict[str, Document]:
    """Return the entries of the body, checked, by principal."""
    entries = {}
    for sent in call.body.get("access_control_list", []):
        given = [field for field in ACL_FIELDS if sent.get(field)]
        if len(given) != 1:
            raise invalid(f"Access control entry {sent}: exactly one of {', '.join(ACL_FIELDS)}.")
        level, name = sent.get("permission_level"), str(sent[given[0]])
        if level not in levels:
            raise invalid(f"Access control entry {sent}: level must be one of {', '.join(levels)}.")
        check_known(call.workspace, name)
        if (given[0] == "group_name") == (find(call.workspace, name) is not None):
            what = given[0].removesuffix("_name").replace("_", " ")
            raise invalid(f"Access control entry {sent}: '{name}' is no {what}.")
        entries[name.lower()] = {given[0]: name, "permission_level": level}
    return entries


def _shown(entry: Document, *, inherited: bool) -> dict[str, Any]:
    level = {"permission_level": entry["permission_level"], "inherited": inherited}
    who = {field: value for field, value in entry.items() if field in ACL_FIELDS}
    return {**who, "display_name": documents.acl_principal(entry), "all_permissions": [level]}


for _path in _KINDS:
    _one = f"{_BASE}/{_path}/{{id}}"
    routes.add("GET", _one)(partial(_get, _path))
    routes.add("GET", f"{_one}/permissionLevels")(partial(_levels, _path))
    routes.add("PUT", _one)(partial(_put, _path))
    routes.add("PATCH", _one)(partial(_put, _path))
