"""The type ``databricks_permissions``: who may do what with one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .mapping import body
from .resource import Resource, found
from .rest import ApiError, ProviderError, Session
from .schema import table
from .values import Values, conform

PERMISSIONS = table("""
    id: string optional computed local
    access_control: set min=1
        group_name permission_level service_principal_name user_name: string optional
    alert_v2_id app_name authorization cluster_id cluster_policy_id: string optional force_new
    dashboard_id database_instance_name directory_id directory_path: string optional force_new
    experiment_id instance_pool_id job_id notebook_id notebook_path: string optional force_new
    pipeline_id registered_model_id repo_id repo_path serving_endpoint_id: string optional force_new
    sql_alert_id sql_dashboard_id sql_endpoint_id sql_query_id: string optional force_new
    vector_search_endpoint_id workspace_file_id workspace_file_path: string optional force_new
    object_type: string optional computed
""")

_MANAGES, _OWNS = "CAN_MANAGE", "IS_OWNER"


@dataclass(frozen=True)
class _Kind:
    """One kind of object: its collection in the permissions API, and who is put on its list."""

    collection: str
    type: str
    manager: bool = False
    """The caller is added with CAN_MANAGE where the list does not name it."""
    creator: tuple[str, str] | None = None
    """Path of an object and the field of its creator, for kinds that have owners.

    Where a list names no owner, the caller becomes it; when the list goes, the creator.
    """


_PERMITTED = {
    "serving_endpoint_id": _Kind("serving-endpoints", "serving-endpoint", manager=True),
    "experiment_id": _Kind("experiments", "mlflowExperiment"),
    "job_id": _Kind("jobs", "job", creator=("/api/2.2/jobs/get?job_id=", "creator_user_name")),
    "sql_endpoint_id": _Kind(
        "sql/warehouses",
        "warehouses",
        manager=True,
        creator=("/api/2.0/sql/warehouses/", "creator_name"),
    ),
    "dashboard_id": _Kind("dashboards", "dashboard"),
    "sql_query_id": _Kind("sql/queries", "query", manager=True),
    "alert_v2_id": _Kind("alertsv2", "alertv2", manager=True),
}
_WHO = ("user_name", "group_name", "service_principal_name")
_ADMINS = ("group_name", "admins")


class Permissions(Resource):
    """The access control list of one object."""

    name = "permissions"
    table = PERMISSIONS

    def validate(self, config: Values) -> None:
        others = [name for name in self.table.attributes if name not in (*_PERMITTED, "id")]
        for name in others:
            if config.get(name) is not None:
                supported = ", ".join(_PERMITTED)
                raise ProviderError(f"the stand-in provider supports {supported}, not {name}")

    def create(self, session: Session, planned: Values) -> str:
        for name, kind in _PERMITTED.items():
            if planned.get(name):
                identifier = f"/{kind.collection}/{planned[name]}"
                entries = body(self.table, planned, {"access_control"})["access_control"]
                _refuse_less(kind, entries, session.me())
                self._put(session, identifier, entries, kind, session.me())
                return identifier
        raise ProviderError(f"one of these is needed: {', '.join(_PERMITTED)}")

    def _put(
        self, session: Session, identifier: str, entries: list[Any], kind: _Kind, owner: str
    ) -> None:
        """Set the list. Some kinds keep the caller in it, some an owner."""
        me = session.me()
        named = any(entry.get(who) == me for entry in entries for who in _WHO)
        if kind.manager and not named:
            entries = [*entries, {"user_name": me, "permission_level": _MANAGES}]
        if kind.creator and all(entry["permission_level"] != _OWNS for entry in entries):
            entries = [*entries, {"user_name": owner, "permission_level": _OWNS}]
        session.call("PUT", f"/api/2.0/permissions{identifier}", {"access_control_list": entries})

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        # The provider adds the caller to each list: its entry counts only where it is declared.
        me = session.me()
        declared = [entry[who] for entry in state.get("access_control") or [] for who in _WHO]
        hidden = () if me in declared else (me,)
        answer = found(session, f"/api/2.0/permissions{state['id']}")
        entries = [
            {**dict.fromkeys(_WHO, ""), who: entry[who], "permission_level": level}
            for entry in (answer or {}).get("access_control_list", [])
            for who in _WHO
            if entry.get(who) and entry[who] not in hidden and (who, entry[who]) != _ADMINS
            for level in _own_levels(entry)
        ]
        if not entries:
            return None
        collection, _, identifier = state["id"][1:].rpartition("/")
        owner = next(name for name, kind in _PERMITTED.items() if kind.collection == collection)
        kind = answer["object_type"]
        return {**state, owner: identifier, "object_type": kind, "access_control": entries}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        self.create(session, planned)
        return planned

    def delete(self, session: Session, prior: Values) -> None:
        collection, _, identifier = prior["id"][1:].rpartition("/")
        kind = next(kind for kind in _PERMITTED.values() if kind.collection == collection)
        owner = session.me()
        if kind.creator:
            path, field = kind.creator
            there = found(session, f"{path}{identifier}")
            if there is None:
                return
            owner = there.get(field) or owner
        try:
            self._put(session, prior["id"], [], kind, owner)
        except ApiError as error:
            if error.status != 404:
                raise

    def imported(self, identifier: str) -> Values:
        known = [f"/{kind.collection}/" for kind in _PERMITTED.values()]
        if not identifier.startswith(tuple(known)):
            raise ProviderError(f"id {identifier!r} must start with {' or '.join(known)}")
        return conform(self.table, {"id": identifier})


def _own_levels(entry: Any) -> list[str]:
    """Return the levels given to the entry itself, not inherited."""
    permissions = entry.get("all_permissions", [])
    return [each["permission_level"] for each in permissions if not each.get("inherited")]


def _refuse_less(kind: _Kind, entries: list[Any], me: str) -> None:
    """Refuse a list that takes the management of the object from whoever sends it."""
    managing = {_MANAGES, _OWNS} if kind.creator else {_MANAGES}
    mine = {entry["permission_level"] for entry in entries for who in _WHO if entry.get(who) == me}
    if mine - managing:
        raise ProviderError(
            f"cannot remove management permissions for the current user for {kind.type}, allowed "
            f"levels: {', '.join(sorted(managing))}"
        )
