from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.identity import principals
from scgpt_databricks.local_workspace.server.app import create_app
from scgpt_databricks.local_workspace.serving import scoring
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving import kit

As = Callable[[str], TestClient]


class Running:
    """The application of a workspace; its lifespan and all its clients share one event loop."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.start()

    def start(self) -> None:
        self._app = create_app(self._workspace, leave_out=("tracking.mlflow_server",))
        self._main = TestClient(self._app, raise_server_exceptions=False)
        self._main.__enter__()

    def stop(self) -> None:
        self._main.__exit__()

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self, who: str) -> TestClient:
        token = principals.token_of(self._workspace, who)
        client = TestClient(
            self._app,
            base_url=self._workspace.url,
            headers={"Authorization": f"Bearer {token}"},
            raise_server_exceptions=False,
        )
        client.portal = self._main.portal
        return client


@pytest.fixture
def app(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The running application, with a model of two versions."""
    monkeypatch.setattr(scoring, "command", kit.command)
    running = Running(workspace)
    admin, uc = running.client("admin"), "/api/2.1/unity-catalog"
    schema = {"name": "scgpt", "catalog_name": "main"}
    assert admin.post(f"{uc}/schemas", json=schema).status_code == 200
    model = {"name": "m", "catalog_name": "main", "schema_name": "scgpt"}
    assert admin.post(f"{uc}/models", json=model).status_code == 200
    kit.add_version(workspace)
    kit.add_version(workspace)
    yield running
    running.stop()


@pytest.fixture
def as_(app: Running) -> As:
    return app.client


@pytest.fixture
def admin(as_: As) -> TestClient:
    return as_("admin")
