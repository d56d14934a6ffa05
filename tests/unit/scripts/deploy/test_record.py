"""Who deployed last, as it stands in the volume."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.scripts.commit import git_commit
from scgpt_databricks.scripts.deploy import record
from scgpt_databricks.scripts.deploy.record import Record

DEV = settings.load("dev", layout.ENVIRONMENTS)
PATH = "/Volumes/dev/scgpt/artifacts/last_deploy.json"
DONE = Record(
    at=datetime(2026, 11, 21, 10, 40, tzinfo=UTC), by="an-id", commit="a" * 40, plan_digest="b" * 64
)


class Volume:
    """Files by path."""

    def __init__(self, **files: bytes) -> None:
        self.files: dict[str, bytes] = files

    def upload(self, path: str, contents: BinaryIO, *, overwrite: bool) -> None:
        assert overwrite
        self.files[path] = contents.read()

    def download(self, path: str) -> Any:
        if path not in self.files:
            raise NotFound(path)
        return SimpleNamespace(contents=io.BytesIO(self.files[path]))


def client(volume: Any) -> WorkspaceClient:
    return cast(WorkspaceClient, SimpleNamespace(files=volume))


def test_the_last_of_several_is_read_back() -> None:
    volume = Volume()
    assert record.last(client(volume), DEV) is None
    for commit in ("a" * 40, "c" * 40 + "-dirty", "unknown"):
        done = DONE.model_copy(update={"commit": commit})
        record.write(client(volume), DEV, done)
        assert record.last(client(volume), DEV) == done
    assert list(volume.files) == [PATH]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"at": "yesterday"}',
        DONE.model_dump_json().replace("an-id", "\\u001b[2J").encode(),
        DONE.model_dump_json().replace("b" * 64, "latest").encode(),
        b" " * 70_000 + DONE.model_dump_json().encode(),
    ],
)
def test_what_no_deploy_wrote_is_no_record(content: bytes) -> None:
    assert record.last(client(Volume(**{PATH: content})), DEV) is None


def test_who_may_not_read_sees_none() -> None:
    def download(_: str) -> None:
        raise PermissionDenied("no READ VOLUME")

    assert record.last(client(SimpleNamespace(download=download)), DEV) is None


@pytest.mark.parametrize("in_checkout", [True, False])
def test_whatever_is_at_work_can_be_recorded(
    in_checkout: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scgpt_databricks.scripts.commit.IN_CHECKOUT", in_checkout)
    at_work = git_commit()
    assert Record(**{**DONE.model_dump(), "commit": at_work}).commit == at_work
    assert at_work.startswith("v") is not in_checkout
