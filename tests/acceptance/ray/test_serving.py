"""The guide's translator on a real Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator

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
