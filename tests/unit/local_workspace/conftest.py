from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.identity import principals
from scgpt_databricks.local_workspace.server.app import create_app

with warnings.catch_warnings():
    # It works with httpx; its maintainers ask for the successor.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient as TestClient  # the tests take it from here

CHILDREN = (
    "tracking.mlflow_server",
    "serving.api",
    "serving.invocations",
    "sql.statements",
    "jobs.scheduler",
)

As = Callable[[str], TestClient]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws", "http://127.0.0.1:1")


@pytest.fixture
def as_(workspace: Workspace) -> Iterator[As]:
    """A client of the running application that calls as `admin`, `builder` or `reader`."""
    app = create_app(workspace, leave_out=CHILDREN)
    with TestClient(app, raise_server_exceptions=False):

        def client(who: str) -> TestClient:
            token = principals.token_of(workspace, who)
            return TestClient(
                app,
                base_url=workspace.url,
                headers={"Authorization": f"Bearer {token}"},
                raise_server_exceptions=False,
            )

        yield client


@pytest.fixture
def admin(as_: As) -> TestClient:
    return as_("admin")


@pytest.fixture
def anyone(workspace: Workspace, as_: As) -> TestClient:
    """A client without a token."""
    client = as_("admin")
    del client.headers["Authorization"]
    return client


@pytest.fixture
def schema(admin: TestClient) -> str:
    body = {"name": "scgpt", "catalog_name": "main"}
    assert admin.post("/api/2.1/unity-catalog/schemas", json=body).status_code == 200
    return "main.scgpt"


@pytest.fixture
def model(admin: TestClient, schema: str) -> str:
    catalog, name = schema.split(".")
    body = {"name": "m", "catalog_name": catalog, "schema_name": name}
    assert admin.post("/api/2.1/unity-catalog/models", json=body).status_code == 200
    return f"{schema}.m"
