"""The type ``databricks_mlflow_experiment``: where runs are kept."""

from __future__ import annotations

from typing import Any

from .mapping import body, emptied
from .resource import Resource, found, remove
from .rest import Session
from .schema import table
from .values import Values

MLFLOW_EXPERIMENT = table("""
    id: string optional computed local
    artifact_location: string optional force_new keep
    creation_time last_update_time: number optional computed
    description: string optional local
    experiment_id lifecycle_stage: string optional computed
    name: string required path
    tags: objects computed
        key value: string optional
    timeouts: timeouts
""")

_EXPERIMENTS = "/api/2.0/mlflow/experiments"


class MlflowExperiment(Resource):
    """An experiment. Only its name can be changed: no call exists for description and tags."""

    name = "mlflow_experiment"
    table = MLFLOW_EXPERIMENT

    def create(self, session: Session, planned: Values) -> str:
        answer = session.call("POST", f"{_EXPERIMENTS}/create", body(self.table, planned))
        return str(answer["experiment_id"])

    def answer(self, session: Session, state: Values) -> Any:
        answer = found(session, f"{_EXPERIMENTS}/get?experiment_id={state['id']}")
        return answer and answer["experiment"]

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = {"experiment_id": prior["id"], "new_name": planned["name"]}
        session.call("POST", f"{_EXPERIMENTS}/update", content)
        return emptied(self.table, planned, prior)

    def delete(self, session: Session, prior: Values) -> None:
        remove(session, "POST", f"{_EXPERIMENTS}/delete", {"experiment_id": prior["id"]})
