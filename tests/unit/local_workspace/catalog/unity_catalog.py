"""Calls of Unity Catalog that several tests make."""

from __future__ import annotations

from scgpt_databricks.local_workspace.core.workspace import Workspace
from tests.unit.local_workspace.conftest import TestClient

UC = "/api/2.1/unity-catalog"
MLFLOW = "/api/2.0/mlflow/unity-catalog"


def add_grant(admin: TestClient, where: str, principal: str, *privileges: str) -> None:
    body = {"changes": [{"principal": principal, "add": list(privileges)}]}
    answer = admin.patch(f"{UC}/permissions/{where}", json=body)
    assert answer.status_code == 200, answer.text


def new_version(client: TestClient, workspace: Workspace, model: str) -> str:
    """A ready version, made as mlflow makes it."""
    created = client.post(f"{MLFLOW}/model-versions/create", json={"name": model, "source": "s"})
    number = str(created.json()["model_version"]["version"])
    path = f"/Models/{model.replace('.', '/')}/{number}/MLmodel"
    assert client.put(f"/api/2.0/fs/files{path}", content=b"x").status_code == 204
    body = {"name": model, "version": number}
    final = client.post(f"{MLFLOW}/model-versions/finalize", json=body)
    assert final.json()["model_version"]["status"] == "READY"
    return number
