"""The newer APIs in memory, for a provider in the same process; with refusals to order."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from scgpt_databricks.local_workspace.stand_in_provider.rest import ApiError

WAREHOUSES = "/api/2.0/sql/warehouses"
DESTINATIONS = "/api/2.0/notification-destinations"
DASHBOARDS = "/api/2.0/lakeview/dashboards"
JOBS = "/api/2.2/jobs"
PERMISSIONS = "/api/2.0/permissions"
_SECRETS = ("url", "username", "password")


@dataclass
class MonitoringServer:
    """A stand-in for the client of the provider.

    Parameters
    ----------
    refusals
        Method and path -> status and text to answer instead, once.
    state
        What a warehouse says of itself, read by read; the last one stays.
    extra
        What an alert's answers hold beside what was sent.
    """

    host = "http://127.0.0.1:1"
    objects: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)
    refusals: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    states: list[str] = field(default_factory=lambda: ["RUNNING"])
    extra: dict[str, Any] = field(default_factory=dict)
    waited: int = 0

    def me(self, **_: Any) -> str:
        return "admin@local.test"

    def wait(self, seconds: float) -> None:
        self.waited += 1

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.sent if method != "GET"]

    def call(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        self.sent.append((method, path, copy.deepcopy(body)))
        if refusal := self.refusals.pop((method, path), None):
            raise ApiError(*refusal)
        return copy.deepcopy(self._answer(method, path.partition("?update_mask")[0], body))

    def _answer(self, method: str, path: str, body: Any) -> Any:
        folder, _, last = path.rpartition("/")
        if last == "data_sources":
            return [{"id": "ds", "warehouse_id": key.rpartition("/")[2]} for key in self.objects]
        if path.startswith(JOBS):
            return self._job(last, body)
        if path.startswith(PERMISSIONS):
            return self._list(path, body)
        if last in ("published", "mkdirs"):
            return {}
        if method == "POST":
            return self._made(path, body)
        if path not in self.objects:
            raise ApiError(404, f"{path} does not exist")
        if method == "DELETE":
            return self.objects.pop(path)
        if method == "PATCH":
            self.objects[path] |= self._public(body)
        if folder == WAREHOUSES:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return {**self.objects[path], "state": state}
        return self.objects[path]

    def _list(self, path: str, body: Any) -> Any:
        """The last of two levels of one principal counts."""
        for entry in (body or {}).get("access_control_list", ()):
            who = next(value for key, value in entry.items() if key.endswith("_name"))
            self.objects.setdefault(path, {})[who] = entry
        entries = [
            {**entry, "all_permissions": [{"permission_level": entry["permission_level"]}]}
            for entry in self.objects.get(path, {}).values()
        ]
        return {"object_type": "some", "access_control_list": entries}

    def _made(self, path: str, body: Any) -> Any:
        identity = {"id": "x1", "dashboard_id": "x1", "etag": "1"}
        self.objects[f"{path}/x1"] = {**self._public(body), **identity, **self.extra}
        return self.objects[f"{path}/x1"]

    def _public(self, body: Any) -> Any:
        """The server says only that a field of a webhook is set."""
        hook = body.get("config", {}).get("generic_webhook")
        if hook is None:
            return copy.deepcopy(body)
        flags = {f"{name}_set": True for name in _SECRETS if name in hook}
        return {**body, "config": {"generic_webhook": flags}}

    def _job(self, verb: str, body: Any) -> Any:
        if verb == "create":
            self.objects["job"] = {"settings": body}
            return {"job_id": 7}
        if verb == "reset":
            self.objects["job"] = {"settings": body["new_settings"]}
        return {**self.objects["job"], "run_as_user_name": "admin@local.test"}
