"""Where the stand-in provider finds host and token, and whom it talks to."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local_workspace.terraform.resource import seconds
from infra.local_workspace.terraform.rest import Login, ProviderError, login


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "TOKEN", "CONFIG_FILE", "CONFIG_PROFILE"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:8765", "http://127.9.9.9"]
)
def test_loopback_is_accepted(host: str) -> None:
    assert login({"host": f"{host}/", "token": "t"}).host == host


@pytest.mark.parametrize(
    "host",
    [
        "https://adb-1.azuredatabricks.net",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "http://10.0.0.1:8765",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    with pytest.raises(ProviderError, match="is not on this machine"):
        login({"host": host, "token": "t"})


def test_a_host_without_scheme_is_named() -> None:
    with pytest.raises(ProviderError, match=r"host '127\.0\.0\.1:8765' is no address"):
        login({"host": "127.0.0.1:8765", "token": "t"})


def test_attributes_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("DATABRICKS_TOKEN", "environment")
    assert login({"token": "attribute"}) == Login("http://127.0.0.1:1", "attribute")


def test_a_profile_fills_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "cfg"
    file.write_text("[local]\nhost = http://127.0.0.1:2\ntoken = per%cent\n")
    found = login({"config_file": str(file), "profile": "local", "retry_timeout_seconds": 5})
    assert found == Login("http://127.0.0.1:2", "per%cent", retry_s=5)
    with pytest.raises(ProviderError, match=f"no profile 'other' in {file}"):
        login({"config_file": str(file), "profile": "other"})


def test_the_token_is_not_printed() -> None:
    assert "secret" not in repr(Login("http://127.0.0.1:2", "secret"))


@pytest.mark.parametrize(("text", "expected"), [("45m", 2700), ("1h30m", 5400), ("2.5s", 2.5)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["45", "m", "1d", "5m x"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ProviderError, match="is no duration such as 45m"):
        seconds(text)
