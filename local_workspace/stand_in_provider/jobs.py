"""The type ``databricks_job``: tasks on a schedule."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from .mapping import body, emptied, refreshed
from .monitoring_tables import JOB
from .resource import Resource, found, remove
from .rest import ProviderError, Session
from .values import Values

_JOBS = "/api/2.2/jobs"


class Job(Resource):
    """A job of tasks. Tasks are kept in the order of their keys, whatever was configured."""

    version: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__("job", JOB)

    def validate(self, config: Values) -> None:
        for name in ("always_running", "control_run_state"):
            if config.get(name):
                raise ProviderError(f"the stand-in provider starts no runs: leave out {name}")
        if config.get("task") == []:
            raise ProviderError("the stand-in provider supports jobs with at least one task block")

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", f"{_JOBS}/create", _sorted(self._body(planned)))["job_id"])

    def _body(self, planned: Values) -> dict[str, Any]:
        return {"queue": {"enabled": False}, **body(self.table, planned)}

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, f"{_JOBS}/get?job_id={state['id']}")
        if answer is None:
            return None
        settings = _sorted(answer.get("settings", {}))
        if identity := answer.get("run_as_user_name"):
            settings["run_as"] = {_kind(identity): identity}
        after = refreshed(self.table, settings, state, fresh=fresh)
        return {**after, "url": f"{session.client.host}/#job/{state['id']}"}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = {"job_id": int(prior["id"]), "new_settings": self._body(planned)}
        session.call("POST", f"{_JOBS}/reset", content)
        return emptied(self.table, planned, prior)

    def delete(self, session: Session, prior: Values) -> None:
        remove(session, "POST", f"{_JOBS}/delete", {"job_id": int(prior["id"])})


def _sorted(settings: dict[str, Any]) -> dict[str, Any]:
    """Tasks, and what each depends on, by key."""
    tasks = sorted(settings.get("tasks", []), key=lambda task: task["task_key"])
    for task in tasks:
        if "depends_on" in task:
            task["depends_on"] = sorted(task["depends_on"], key=lambda other: other["task_key"])
    return {**settings, "tasks": tasks} if tasks else dict(settings)


def _kind(identity: str) -> str:
    try:
        uuid.UUID(identity)
    except ValueError:
        return "user_name"
    return "service_principal_name"
