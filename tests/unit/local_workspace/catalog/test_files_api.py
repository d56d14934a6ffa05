"""Files, uploads in parts, signed URLs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scgpt_databricks.local_workspace.catalog.files import incoming
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.identity import signing
from scgpt_databricks.local_workspace.objects import documents
from scgpt_databricks.local_workspace.objects.documents import EXPERIMENT
from tests.unit.local_workspace.conftest import As, TestClient

FS = "/api/2.0/fs"
ROOT = "/Volumes/main/scgpt/v"


@pytest.fixture
def volume(admin: TestClient, schema: str) -> str:
    body = {"name": "v", "catalog_name": "main", "schema_name": "scgpt"}
    assert admin.post("/api/2.1/unity-catalog/volumes", json=body).status_code == 200
    return ROOT


def _rest(url: str) -> str:
    """The URL without its host: the test client has its own."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_a_file_goes_and_comes(admin: TestClient, volume: str) -> None:
    url = f"{FS}/files{volume}/sub/a file.bin"
    assert admin.put(url, content=b"0123456789").status_code == 204
    got = admin.get(url)
    assert (got.content, got.headers["content-length"]) == (b"0123456789", "10")
    assert got.headers["last-modified"]
    part = admin.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    head = admin.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, "10")
    assert admin.put(url, content=b"x").status_code == 409
    assert admin.put(f"{url}?overwrite=true", content=b"x").status_code == 204
    assert admin.get(url).content == b"x"
    assert admin.delete(url).status_code == 204
    assert admin.get(url).status_code == 404
    assert admin.get(url).json()["error_code"] == "NOT_FOUND"


def test_directories_are_listed_in_pages(admin: TestClient, volume: str) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt"):
        admin.put(f"{FS}/files{volume}/{name}", content=b"x")
    first = admin.get(f"{FS}/directories{volume}/?page_size=2").json()
    assert [(e["path"], e["is_directory"]) for e in first["contents"]] == [
        (f"{volume}/a.txt", False),
        (f"{volume}/b.txt", False),
    ]
    assert first["contents"][0]["file_size"] == 1
    query = {"page_size": 2, "page_token": first["next_page_token"]}
    second = admin.get(f"{FS}/directories{volume}", params=query).json()
    assert [(e["name"], e["is_directory"]) for e in second["contents"]] == [("sub", True)]
    assert admin.head(f"{FS}/directories{volume}/sub").status_code == 200
    assert admin.head(f"{FS}/directories{volume}/none").status_code == 404
    assert admin.delete(f"{FS}/directories{volume}/sub").status_code == 400
    assert admin.put(f"{FS}/directories{volume}/new").status_code == 204
    assert admin.delete(f"{FS}/directories{volume}/new").status_code == 204
    assert admin.delete(f"{FS}/directories{volume}").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        f"{ROOT}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/store.sqlite",
        f"{ROOT}/a/%2e%2e/b",
        f"{ROOT}/%2e/a",
        f"{ROOT}//a",
        f"{ROOT}/a%00b",
        f"{ROOT}/..%5c..%5cstore.sqlite",
        "/Volumes/main/scgpt/%2e%2e/x",
        "/etc/passwd",
        "/Volumes/main/scgpt",
        "/WorkspaceInternal/Other/x",
        "/store.sqlite",
    ],
)
def test_no_path_leaves_its_root(
    admin: TestClient, volume: str, workspace: Workspace, path: str
) -> None:
    before = sorted(p for p in workspace.folder.rglob("*") if p.suffix != ".jsonl")
    for answer in (
        admin.get(f"{FS}/files{path}"),
        admin.put(f"{FS}/files{path}?overwrite=true", content=b"x"),
        admin.get(f"{FS}/directories{path}"),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert sorted(p for p in workspace.folder.rglob("*") if p.suffix != ".jsonl") == before


@pytest.mark.parametrize(
    "name", ["a" * 256, "\u00e9" * 128, "/".join("a" * 200 for _ in range(15))]
)
def test_a_name_that_no_disk_has_is_refused(admin: TestClient, volume: str, name: str) -> None:
    for answer in (
        admin.get(f"{FS}/files{volume}/{name}"),
        admin.put(f"{FS}/files{volume}/{name}", content=b"x"),
        admin.put(f"{FS}/directories{volume}/{name}"),
        admin.head(f"{FS}/directories{volume}/{name}"),
        admin.post(f"{FS}/create-upload-url", json={"path": f"{volume}/{name}"}),
        admin.post(f"{FS}/files{volume}/{name}?action=initiate-upload"),
    ):
        assert answer.status_code == 400


def test_nothing_lies_below_a_file(admin: TestClient, volume: str) -> None:
    admin.put(f"{FS}/files{volume}/a", content=b"x")
    for answer in (
        admin.put(f"{FS}/files{volume}/a/b/c", content=b"x"),
        admin.put(f"{FS}/directories{volume}/a/b"),
        admin.post(f"{FS}/create-upload-url", json={"path": f"{volume}/a/b"}),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (409, "ALREADY_EXISTS")
    assert admin.get(f"{FS}/files{volume}/a/b").status_code == 404


def test_a_volume_must_exist_and_be_granted(as_: As, admin: TestClient, volume: str) -> None:
    admin.put(f"{FS}/files{volume}/a", content=b"x")
    assert admin.get(f"{FS}/files/Volumes/main/scgpt/none/a").status_code == 404
    reader = as_("reader")
    assert reader.get(f"{FS}/files{volume}/a").status_code == 403
    add = {"changes": [{"principal": "scientists", "add": ["USE_SCHEMA", "READ_VOLUME"]}]}
    admin.patch("/api/2.1/unity-catalog/permissions/schema/main.scgpt", json=add)
    assert reader.get(f"{FS}/files{volume}/a").content == b"x"
    assert reader.put(f"{FS}/files{volume}/b", content=b"x").status_code == 403
    body = {"path": f"{volume}/b"}
    assert reader.post(f"{FS}/create-upload-url", json=body).status_code == 403


@pytest.mark.parametrize("signature", ["\u00df", "\u4e2d", "\x00", ""])
def test_a_signature_of_any_characters_is_only_wrong(anyone: TestClient, signature: str) -> None:
    query = {"expires": "1", "signature": signature}
    answer = anyone.get(f"/_signed/files{ROOT}/a", params=query)
    assert (answer.status_code, "AccessDenied" in answer.text) == (403, True)


def test_a_signed_url_needs_no_token_and_expires(
    admin: TestClient, anyone: TestClient, volume: str
) -> None:
    path = f"{volume}/a b+c.bin"
    put = admin.post(f"{FS}/create-upload-url", json={"path": path}).json()["url"]
    assert anyone.put(_rest(put), content=b"0123").status_code == 200
    get = admin.post(f"{FS}/create-download-url", params={"path": path}).json()["url"]
    part = anyone.get(_rest(get), headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"12")
    assert anyone.put(_rest(get), content=b"x").status_code == 403
    assert anyone.get(_rest(put)).status_code == 403
    assert anyone.get(_rest(get).replace("a%20b", "z")).status_code == 403
    assert anyone.get(_rest(get).split("?")[0]).status_code == 403
    later = _rest(get).replace("expires=", "expires=9")
    assert anyone.get(later).status_code == 403
    admin.put("/_local/clock", json={"offset_ms": signing.URL_LIFETIME_MS + 1})
    expired = anyone.get(_rest(get))
    assert expired.status_code == 403
    assert "<Message>Request has expired</Message>" in expired.text


def test_an_upload_in_parts(
    admin: TestClient, anyone: TestClient, volume: str, workspace: Workspace
) -> None:
    path, parts = f"{volume}/big.bin", [os.urandom(1000), os.urandom(1000), os.urandom(10)]
    token = _initiate(admin, path)
    body = {"path": path, "session_token": token, "start_part_number": 1, "count": 3}
    urls = admin.post(f"{FS}/create-upload-part-urls", json=body).json()["upload_part_urls"]
    etags = {}
    for url, part in reversed(list(zip(urls, parts, strict=True))):
        etags[url["part_number"]] = anyone.put(_rest(url["url"]), content=part).headers["ETag"]
    assert admin.get(f"{FS}/files{path}").status_code == 404
    complete = (
        f"{FS}/files{path}?action=complete-upload&upload_type=multipart&session_token={token}"
    )
    wrong = {"parts": [{"part_number": 1, "etag": "x"}]}
    assert admin.post(complete, json=wrong).status_code == 400
    for malformed in ([], "x", ["x"], [{"part_number": "y", "etag": "z"}]):
        assert admin.post(complete, json={"parts": malformed}).status_code == 400
    done = {"parts": [{"part_number": n, "etag": etag} for n, etag in etags.items()]}
    assert admin.post(complete, json=done).status_code == 200
    assert admin.get(f"{FS}/files{path}").content == b"".join(parts)
    assert list(incoming(workspace).iterdir()) == []
    assert anyone.put(_rest(urls[0]["url"]), content=b"x").status_code == 404
    assert admin.post(complete, json=done).status_code == 404


def test_an_upload_is_given_up(
    admin: TestClient, anyone: TestClient, volume: str, workspace: Workspace
) -> None:
    path = f"{volume}/big.bin"
    body = {"path": path, "session_token": _initiate(admin, path), "expire_time": "x"}
    url = admin.post(f"{FS}/create-abort-upload-url", json=body).json()["abort_upload_url"]["url"]
    assert anyone.delete(_rest(url)).status_code == 204
    assert list(incoming(workspace).iterdir()) == []
    assert admin.post(f"{FS}/create-abort-upload-url", json=body).status_code == 404


def test_a_session_belongs_to_one_path(admin: TestClient, volume: str) -> None:
    token = _initiate(admin, f"{volume}/a")
    body = {"path": f"{volume}/b", "session_token": token, "start_part_number": 1, "count": 1}
    assert admin.post(f"{FS}/create-upload-part-urls", json=body).status_code == 404


def _initiate(admin: TestClient, path: str) -> str:
    answer = admin.post(f"{FS}/files{path}?action=initiate-upload&overwrite=true")
    return str(answer.json()["multipart_upload"]["session_token"])


def test_artifacts_have_the_rights_of_their_experiment(workspace: Workspace, as_: As) -> None:
    reader, builder = as_("reader"), as_("builder")
    owner = {"owner": "reader@local.test"}
    documents.put(workspace, EXPERIMENT, "1", owner)
    entry = {"group_name": "users", "permission_level": "CAN_READ"}
    root = "WorkspaceInternal/Mlflow/Artifacts"
    url = f"{FS}/files/{root}/1/LoggedModels/m/code.py"
    upload = {"path": f"/{root}/1/LoggedModels/m/code.py"}
    assert reader.put(url, content=b"mine").status_code == 204
    assert builder.get(url).status_code == 403
    documents.put_acl(workspace, EXPERIMENT, "1", [entry])
    assert builder.get(url).content == b"mine"
    assert builder.get(f"{FS}/directories/{root}/1/LoggedModels").status_code == 200
    for refused in (
        builder.put(f"{url}?overwrite=true", content=b"theirs"),
        builder.delete(url),
        builder.post(f"{url}?action=initiate-upload&overwrite=true"),
        builder.post(f"{FS}/create-upload-url", json=upload),
        builder.put(f"{FS}/directories/{root}/1/Runs"),
    ):
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert reader.get(url).content == b"mine"
    assert reader.get(f"{FS}/directories/{root}").status_code == 400
    assert reader.put(f"{FS}/files/{root}/2/x", content=b"").status_code == 404


def test_nothing_of_the_store_is_readable_by_others(workspace: Workspace, as_: As) -> None:
    assert Path(workspace.folder).stat().st_mode & 0o077 == 0
