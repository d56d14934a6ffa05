from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local_workspace import instance
from infra.local_workspace.children import free_port
from infra.local_workspace.instance import Info


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Info]:
    folder = tmp_path_factory.mktemp("instance") / "workspace"
    yield instance.start(folder, free_port())
    instance.stop(folder)
