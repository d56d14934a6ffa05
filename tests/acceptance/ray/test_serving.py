"""The guide's translator on a real Ray cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.acceptance.ray.conftest import VERSION, Served, serving

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def served(registry: str, cluster: int) -> Iterator[Served]:
    with serving(cluster) as found:
        yield found


def test_versions_by_header_and_every_refusal_in_its_place(served: Served) -> None:
    hello = {"prompt": "hello"}
    default = served.post(hello)
    assert (default.status_code, default.json()) == (200, [{"translation_text": "hallo"}])
    assert default.headers["X-Model-Version"] == "1"
    assert len(default.headers["X-Model-Digest"]) == 64
    french = served.post([hello, {"prompt": "cell"}], "2")
    assert [row["translation_text"] for row in french.json()] == ["bonjour", "cellule"]
    assert french.headers["X-Model-Digest"] != default.headers["X-Model-Digest"]
    hyphens = served.post(hello, headers={VERSION.replace("_", "-"): "2"})
    assert hyphens.json() == [{"translation_text": "bonjour"}]

    expected = {"3": 409, "4": 503, "9": 404, "nobody": 404, "../x": 400, "0": 400, "latest": 400}
    for version, status in expected.items():
        refused = served.post(hello, version)
        problem = refused.json()
        assert (refused.status_code, problem["status"]) == (status, status), version
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert problem["request_id"] == refused.headers["X-Request-ID"]
    differences = served.post(hello, "3").json()["differences"]
    assert {each["place"] for each in differences} == {"input prompt", "input text_to_translate"}
    wrong = served.post([hello, {"prompt": 1}])
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, "/1/prompt")
    assert served.post(b'{"prompt": NaN}').status_code == 400
    assert served.post(b" " * 100_000_000).status_code == 413
    failed = served.post({"prompt": "fail"})
    assert failed.status_code == 500
    assert "secret" not in failed.text
    assert sorted(served.loaded) == [1, 2]  # none of the refusals evicted anybody


def test_the_slash_the_document_and_the_health_checks(served: Served) -> None:
    with_slash = requests.post(f"{served.url}/serve/", json={"prompt": "hello"}, timeout=60)
    assert (with_slash.status_code, with_slash.history) == (200, [])
    document = served.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    statuses = set(document["paths"]["/serve"]["post"]["responses"])
    assert statuses >= {"200", "400", "401", "404", "409", "413", "422", "503"}
    assert "swagger-ui" in served.get("/docs").text
    assert served.get("/health/ready").json()["default_version"] == 1
    assert served.get("/health/live").status_code == 200
    assert served.get("/nothing").json()["status"] == 404


CALLS = """
from made.api.model import serve
from made.client import Client
from made.models.input_row import InputRow
from made.models.problem import Problem

with Client(base_url=URL, timeout=120) as client:
    one = serve.sync(client=client, body=InputRow(prompt="hello"))
    assert [row.translation_text for row in one] == ["hallo"], one
    both = [InputRow(prompt="hello"), InputRow(prompt="cell")]
    french = serve.sync(client=client, body=both, serve_multiplexed_model_id="2")
    assert [row.translation_text for row in french] == ["bonjour", "cellule"], french
    refused = serve.sync(client=client, body=both, serve_multiplexed_model_id="9")
    assert isinstance(refused, Problem), refused
    assert (refused.status, refused.code) == (404, "no_such_version"), refused
"""
"""Typed calls of a client that nobody wrote."""


@pytest.mark.long
def test_a_client_made_from_the_document_works(served: Served, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(served.get("/openapi.json").content)
    tools = Path(sys.executable).parent
    made = ["--path", "openapi.json", "--output-path", "made", "--meta", "none"]
    calls = CALLS.replace("URL", repr(served.url))
    for command in (
        [tools / "openapi-python-client", "generate", "--fail-on-warning", *made],
        [sys.executable, "-c", calls],
    ):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
