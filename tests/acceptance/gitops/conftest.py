from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.gitops.github import BOT, GitHub, serve

WRITER = "ghs_writer"
READER = "ghs_reader"


@pytest.fixture
def github() -> Iterator[GitHub]:
    """The API of an empty repository, and the tokens of a job that may write and one that may
    not.
    """
    tokens = {
        WRITER: (BOT, {"pull-requests:write", "issues:write"}),
        READER: (BOT, {"pull-requests:read"}),
    }
    with serve(GitHub(tokens=tokens)) as served:
        yield served
