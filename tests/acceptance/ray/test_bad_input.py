"""Bad input and failures on a real cluster: each has its status, and harms no other request."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.acceptance.ray.conftest import HELLO, serving

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def test_a_thousand_names_of_versions_evict_nobody(plain_server: str, cluster: int) -> None:
    with serving(cluster) as served:
        served.post(HELLO, "2")
        names = [str(n) for n in range(100, 800)] + [f"x-{n}" for n in range(280)] + ["../x"] * 20
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda name: served.post(HELLO, name).status_code, names))
        assert set(found) == {400, 404}
        assert served.loaded == [1, 2]


BODIES = {
    b"": 400,
    b"{": 400,
    b'{"prompt": "\xff"}': 400,
    b'{"prompt": Infinity}': 400,
    b'[{"prompt": "hello"}, {"prompt": -NaN}]': 400,
    b"[" * 1_000_000: 400,
    b'{"prompt": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}": 400,
    b'{"prompt": ' + b"[" * 150 + b"]" * 150 + b"}": 422,
    b'{"prompt": 1e999}': 422,
    b'{"prompt": null}': 422,
    b'{"prompt": "hello", "prompt2": "x"}': 422,
    b"[]": 422,
    b"null": 422,
    b"17": 422,
    b'{"dataframe_records": []}': 422,
    b'{"dataframe_records": [{"prompt": "hello"}], "params": {"a": 1}}': 422,
    b'{"inputs": ["hello"]}': 422,
    b'{"prompt": "a\\u0000b"}': 200,
    b"[" + b",".join([b'{"prompt": "hello"}'] * 5_000) + b"]": 200,
}


def test_bodies_of_every_bad_kind(plain_server: str, cluster: int) -> None:
    with serving(cluster) as served:
        for body, status in BODIES.items():
            found = served.post(body)
            assert found.status_code == status, (body[:60], found.text[:300])
            if status != 200:
                problem = found.json()
                assert (problem["status"], bool(problem["code"])) == (status, True), body[:60]
        for size in (20_000_000, 100_000_000):
            large = served.post(b'{"prompt": "' + b"x" * size + b'"}')
            assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
        assert served.post(HELLO, "x" * 8_000).status_code == 400
        for method in ("get", "put", "delete"):
            found = requests.request(method, f"{served.url}/serve", timeout=60)
            assert (found.status_code, found.json()["status"]) == (405, 405)
        assert served.post(HELLO).json() == [{"translation_text": "hallo"}]


def test_a_process_that_dies_is_replaced(plain_server: str, cluster: int) -> None:
    with serving(cluster) as served:
        died = served.post({"prompt": "crash"})
        assert (died.status_code, died.json()["code"]) == (503, "process_ended")
        assert served.post(HELLO).json() == [{"translation_text": "hallo"}]


def test_a_client_that_leaves_harms_nobody(plain_server: str, cluster: int) -> None:
    with serving(cluster) as served:
        for _ in range(5):
            with pytest.raises(requests.Timeout):
                requests.post(f"{served.url}/serve", json={"prompt": "slow"}, timeout=0.2)
        host, _, port = served.url.removeprefix("http://").partition("/")[0].partition(":")
        path = "/" + served.url.rpartition("/")[2] + "/serve"
        with socket.create_connection((host, int(port))) as half:
            half.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
        assert served.post(HELLO).status_code == 200
        assert served.post(HELLO, "2").status_code == 200


def test_schemathesis_finds_no_status_that_is_not_documented(
    plain_server: str, cluster: int, tmp_path: Path
) -> None:
    with serving(cluster) as served:
        command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,"
        checks += "response_schema_conformance,response_headers_conformance"
        done = subprocess.run(
            [
                *command,
                f"{served.url}/openapi.json",
                "--url",
                served.url,
                "--checks",
                checks,
                "--max-examples",
                "60",
                "--seed",
                "1",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
