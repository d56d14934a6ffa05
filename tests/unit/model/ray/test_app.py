"""The HTTP side of a replica: who is let in, and what stays open."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema

from scgpt_databricks.model.ray import Settings
from scgpt_databricks.model.ray.app import build_app
from scgpt_databricks.model.ray.rows import Api

LOOPBACK, ELSEWHERE = ("127.0.0.1", 5), ("192.0.2.7", 5)


def ask(
    method: str, path: str, token: str, host: tuple[str, int], headers: dict[str, str]
) -> httpx.Response:
    prompt = Schema([ColSpec("string", "prompt")])
    server: Any = SimpleNamespace(
        model="m",
        default=SimpleNamespace(number=1, api=Api(ModelSignature(prompt, prompt))),
        token=token,
        settings=Settings(),
        places=SimpleNamespace(loaded=[1]),
    )
    transport = httpx.ASGITransport(build_app(server), client=host)

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(answer())


@pytest.mark.parametrize(
    ("token", "host", "sent", "status"),
    [
        ("", LOOPBACK, "", 200),
        ("", ELSEWHERE, "", 401),
        ("", ELSEWHERE, "Bearer ", 401),
        ("s3cret", LOOPBACK, "", 401),
        ("s3cret", LOOPBACK, "Bearer wrong", 401),
        ("s3cret", LOOPBACK, "Basic s3cret", 401),
        ("s3cret", ELSEWHERE, "Bearer s3cret", 200),
    ],
)
def test_who_is_let_in(token: str, host: tuple[str, int], sent: str, status: int) -> None:
    headers = {"Authorization": sent} if sent else {}
    found = ask("GET", "/versions", token, host, headers)
    assert found.status_code == status
    if status == 401:
        assert found.headers["WWW-Authenticate"] == "Bearer"
        assert found.headers["Content-Type"] == "application/problem+json"
        assert found.json()["code"] == "unauthorized"
        assert ask("POST", "/serve", token, host, headers).status_code == 401
    assert ask("GET", "/health/live", token, host, {}).status_code == 200


def test_the_document_says_that_a_token_is_wanted() -> None:
    document = ask("GET", "/openapi.json", "s3cret", ELSEWHERE, {}).json()
    assert document["paths"]["/serve"]["post"]["security"] == [{"bearer": []}]
    assert "security" not in document["paths"]["/health/live"]["get"]
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert sorted(names) == ["live", "ready", "serve", "versions"]
