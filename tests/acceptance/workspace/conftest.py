from __future__ import annotations

from collections.abc import Iterator

import pytest

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.local_workspace.server.instance import Info


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Info]:
    folder = tmp_path_factory.mktemp("instance") / "workspace"
    yield instance.start(folder, free_port())
    instance.stop(folder)
