from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.unit.scripts.watch.site import Site, running


@pytest.fixture(scope="package")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("watched")) as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    """The environment with no endpoint; the variables of the shell are put back."""
    before = dict(os.environ)
    running_site.remove_endpoint()
    running_site.call("PUT", "/_local/settings/inference", duplicates=0)
    yield running_site
    os.environ.clear()
    os.environ.update(before)
