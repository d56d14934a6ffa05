"""A server that answers as the recorded one did."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from scgpt_databricks.local_workspace.stand_in_provider.rest import ApiError
from tests.unit.local_workspace.stand_in_provider.recordings import Step, comparable

# Collection -> the field of an object that is the last part of its path.
_COLLECTIONS = {
    "/api/2.0/sql/warehouses": "id",
    "/api/2.0/notification-destinations": "id",
    "/api/2.0/alerts": "id",
    "/api/2.0/sql/queries": "id",
    "/api/2.0/lakeview/dashboards": "dashboard_id",
}
# The others are read by query: folder of their verbs -> the key of the object, the part to write.
_QUERIED = {
    "/api/2.2/jobs": ("job_id", "settings"),
    "/api/2.0/mlflow/experiments": ("experiment_id", "experiment"),
}


@dataclass
class RecordedServer:
    """Answers GETs from what was recorded, keeps what writes answered, and notes the writes.

    `later` has the first recorded read of each object: what a create, which answers with little
    more than an id, has made.
    """

    host = "http://127.0.0.1:PORT"
    later: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    answers: list[tuple[list[Any], list[Any]]] = field(default_factory=list)
    sent: list[list[Any]] = field(default_factory=list)
    metastore: str | None = None

    def load(self, step: Step) -> None:
        """Take over the answers of a step; what it read is what the server holds now."""
        for path, status, answer in step.content.get("reads", []):
            self.objects[path] = answer if status == 200 else None
        requests = step.content.get("requests", [])
        answers = step.content.get("answers") or [[200, echo(*each)] for each in requests]
        self.answers = list(zip(requests, answers, strict=True))
        self.sent = []
        self.metastore = next(
            (s["metastore_id"] for s in step.prior.values() if s.get("metastore_id")), None
        )

    def call(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        if method == "GET":
            found = self._get(path)
            if found is None:
                raise ApiError(404, f"{path} does not exist")
            return copy.deepcopy(found)
        self.sent.append([method, path, copy.deepcopy(body)])
        return self._write(method, path, body)

    def me(self, **_: Any) -> str:
        return "dev@example.com"

    def wait(self, seconds: float) -> None:
        raise AssertionError(f"the recorded server never makes anyone wait, here {seconds} s")

    def _get(self, path: str) -> Any:
        if path.startswith("/api/2.1/unity-catalog/permissions/"):
            return self.objects.get(path, {})
        if path.endswith("/current-metastore-assignment"):
            return {"metastore_id": self.metastore}
        if path.endswith("/sql/data_sources"):
            ids = [
                each["id"] for key, each in self.objects.items() if each and "/warehouses/" in key
            ]
            return [{"id": f"ds-{each}", "warehouse_id": each} for each in ids]
        return self.objects.get(path)

    def _write(self, method: str, path: str, body: Any) -> Any:
        for number, (request, (_, answer)) in enumerate(self.answers):
            if request[:2] == [method, path] and comparable(request[2]) == comparable(body):
                del self.answers[number]
                self._keep(method, path, body, copy.deepcopy(answer))
                return copy.deepcopy(answer)
        raise AssertionError(f"not recorded: {method} {path} {json.dumps(body)}")

    def _keep(self, method: str, path: str, body: Any, answer: Any) -> None:
        path = path.partition("?")[0]
        folder, _, last = path.rpartition("/")
        if path in _COLLECTIONS:
            made = f"{path}/{answer[_COLLECTIONS[path]]}"
            self.objects[made] = {**self.later.get(made, body), **answer}
        elif folder in _QUERIED:
            self._keep_queried(folder, last, body, answer)
        elif last == "edit":
            self.objects[folder].update(body)
        elif folder in _COLLECTIONS and method == "PATCH":
            self.objects[path] = answer
        elif last != "published":
            self._keep_other(method, path, body, answer)

    def _keep_queried(self, folder: str, verb: str, body: Any, answer: Any) -> None:
        key, part = _QUERIED[folder]
        identifier = answer.get(key) or body[key]
        path = f"{folder}/get?{key}={identifier}"
        if verb == "create":
            self.objects[path] = self.later.get(path) or {part: {**body, key: identifier}}
        elif verb == "delete":
            self.objects[path] = None
        elif verb == "reset":
            self.objects[path][part] = body["new_settings"]
        else:
            self.objects[path][part]["name"] = body["new_name"]

    def _keep_other(self, method: str, path: str, body: Any, answer: Any) -> None:
        endpoint, _, part = path.removeprefix("/api/2.0/serving-endpoints/").partition("/")
        if method == "DELETE":
            self.objects.pop(path, None)
        elif path == "/api/2.0/serving-endpoints" or part == "config":
            answer["state"]["config_update"] = "NOT_UPDATING"
            answer["config"] = answer.pop("pending_config", answer.get("config"))
            self.objects[f"/api/2.0/serving-endpoints/{answer['name']}"] = answer
        elif part in ("tags", "ai-gateway"):
            held = self.objects[f"/api/2.0/serving-endpoints/{endpoint}"]
            content = answer.get("tags", []) if part == "tags" else answer
            held[part.replace("-", "_")] = content
        elif method == "POST":
            self.objects[f"{path}/{answer['full_name']}"] = answer
        elif path.startswith("/api/2.1/unity-catalog/permissions/"):
            self.objects[path] = _granted(self.objects.get(path, {}), body["changes"])
        elif "/permissions/" not in path:
            self.objects.pop(path, None)
            self.objects[f"{path.rpartition('/')[0]}/{answer['full_name']}"] = answer
        else:
            self.objects[path] = answer


def echo(method: str, path: str, body: Any) -> Any:
    """An answer for a family whose answers were not recorded."""
    answer = {**(body or {})}
    if path.startswith("/api/2.1/unity-catalog/"):
        parts = [answer[part] for part in ("catalog_name", "schema_name", "name") if part in answer]
        answer["full_name"] = ".".join(parts) or path.rpartition("/")[2]
        answer |= {"catalog_name": "main", "name": answer["full_name"].rpartition(".")[2]}
        answer |= {"enable_predictive_optimization": "INHERIT"}
    return {**answer, "state": {}} if "served_entities" in str(answer) else answer


def _granted(held: Any, changes: list[Any]) -> Any:
    """Privileges after a change: two grants on one object arrive in any order."""
    sets = {e["principal"]: {*e["privileges"]} for e in held.get("privilege_assignments", [])}
    for change in changes:
        now = sets.setdefault(change["principal"], set())
        now |= {*change.get("add", [])}
        now -= {*change.get("remove", [])}
    listed = [{"principal": who, "privileges": sorted(now)} for who, now in sets.items() if now]
    return {"privilege_assignments": listed}
