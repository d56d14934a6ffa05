"""The type ``databricks_permissions``: who may do what with one object."""

from __future__ import annotations

import uuid
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

# Attribute -> collection of the permissions API and the level that the caller keeps.
_PERMITTED = {
    "serving_endpoint_id": ("serving-endpoints", "CAN_MANAGE"),
    "experiment_id": ("experiments", "CAN_MANAGE"),
    "job_id": ("jobs", "IS_OWNER"),
    "sql_endpoint_id": ("sql/warehouses", "IS_OWNER"),
    "dashboard_id": ("dashboards", "CAN_MANAGE"),
    "alert_v2_id": ("alertsv2", "CAN_MANAGE"),
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
        for name, (collection, level) in _PERMITTED.items():
            if planned.get(name):
                identifier = f"/{collection}/{planned[name]}"
                entries = body(self.table, planned, {"access_control"})["access_control"]
                self._put(session, identifier, entries, level)
                return identifier
        raise ProviderError(f"one of these is needed: {', '.join(_PERMITTED)}")

    def _put(self, session: Session, identifier: str, entries: list[Any], level: str) -> None:
        """Set the list. The caller stays in it, or Terraform could not change it again; what has
        owners always has one.
        """
        me = session.me()
        named = any(entry.get(who) == me for entry in entries for who in _WHO)
        owned = any(entry["permission_level"] == "IS_OWNER" for entry in entries)
        if not (owned if level == "IS_OWNER" else named):
            key = "service_principal_name" if _is_uuid(me) else "user_name"
            entries = [*entries, {key: me, "permission_level": level}]
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
        owner = next(name for name, (path, _) in _PERMITTED.items() if path == collection)
        kind = answer["object_type"]
        return {**state, owner: identifier, "object_type": kind, "access_control": entries}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        self.create(session, planned)
        return planned

    def delete(self, session: Session, prior: Values) -> None:
        collection = prior["id"][1:].rpartition("/")[0]
        level = next(level for path, level in _PERMITTED.values() if path == collection)
        try:
            self._put(session, prior["id"], [], level)
        except ApiError as error:
            if error.status != 404:
                raise

    def imported(self, identifier: str) -> Values:
        known = [f"/{collection}/" for collection, _ in _PERMITTED.values()]
        if not identifier.startswith(tuple(known)):
            raise ProviderError(f"id {identifier!r} must start with {' or '.join(known)}")
        return conform(self.table, {"id": identifier})


def _own_levels(entry: Any) -> list[str]:
    """Return the levels given to the entry itself, not inherited."""
    permissions = entry.get("all_permissions", [])
    return [each["permission_level"] for each in permissions if not each.get("inherited")]


def _is_uuid(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True
