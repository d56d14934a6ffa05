"""Who calls comes from a profile or the environment, never from the files of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import layout, settings
from infra.settings import Settings
from scripts import connection
from scripts.deploy.variables import child_environment

HOST = "https://dbc-00000000-0003.cloud.databricks.com"


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Production, from a machine that has no other variables and no profiles."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DATABRICKS_CONFIG_FILE", "DATABRICKS_CONFIG_PROFILE", "DATABRICKS_HOST"):
        monkeypatch.delenv(name, raising=False)
    return settings.load("prod", layout.ENVIRONMENTS)


def test_people_have_the_profile(prod: Settings, tmp_path: Path) -> None:
    (tmp_path / ".databrickscfg").write_text(f"[prod]\nhost = {HOST}\ntoken = t\n")
    assert connection.variables(prod) == {"DATABRICKS_CONFIG_PROFILE": "prod"}


@pytest.mark.parametrize("others", [None, "[dev]\nhost = https://dbc-2.cloud.databricks.com\n"])
def test_pipelines_have_the_address(prod: Settings, tmp_path: Path, others: str | None) -> None:
    if others:
        (tmp_path / ".databrickscfg").write_text(others)
    assert connection.variables(prod) == {"DATABRICKS_HOST": HOST}


@pytest.mark.parametrize(
    "given",
    [
        {"DATABRICKS_TOKEN": "t"},
        {"DATABRICKS_CLIENT_ID": "i", "DATABRICKS_CLIENT_SECRET": "s"},
        {"DATABRICKS_AUTH_TYPE": "github-oidc", "DATABRICKS_CLIENT_ID": "i"},
        {"DATABRICKS_AUTH_TYPE": "azure-cli", "ARM_TENANT_ID": "t"},
    ],
    ids=["token", "service-principal", "federation", "azure-cli"],
)
def test_every_way_to_authenticate_reaches_terraform_as_it_was_given(
    prod: Settings, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    child = child_environment(prod)
    assert {name: child[name] for name in given} == given
    assert child["DATABRICKS_HOST"] == HOST
    assert not set(connection.variables(prod)) & set(given)
