"""Who calls comes from a profile or the environment, never from the files of this repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from databricks.sdk.config import Config

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.scripts import connection
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.deploy.variables import child_environment

HOST = "https://dbc-00000000-0003.cloud.databricks.com"


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Production, from a machine that has no other variables and no profiles."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    return settings.load("prod", layout.ENVIRONMENTS)


def test_people_have_the_profile(prod: Settings, tmp_path: Path) -> None:
    (tmp_path / ".databrickscfg").write_text(f"[prod]\nhost = {HOST}\ntoken = t\n")
    assert connection.variables(prod) == {
        "DATABRICKS_CONFIG_PROFILE": "prod",
        "DATABRICKS_HOST": HOST,
    }


@pytest.fixture
def unprobed(prod: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Production, whose clients are made without asking the network anything."""
    monkeypatch.setattr(os, "environ", os.environ.copy())  # a client's variables end with the test
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr(Config, "_resolve_host_metadata", lambda _: None)
    return prod


def test_the_shell_does_not_lead_the_client_elsewhere(
    unprobed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform goes to the file's host: so must what judges and verifies."""
    (tmp_path / ".databrickscfg").write_text(f"[prod]\nhost = {HOST}\ntoken = t\n")
    monkeypatch.setenv("DATABRICKS_HOST", "https://dbc-2.cloud.databricks.com")
    assert connection.workspace_client(unprobed).config.host == HOST


def test_a_profile_of_another_workspace_is_refused(unprobed: Settings, tmp_path: Path) -> None:
    file = tmp_path / ".databrickscfg"
    file.write_text("[prod]\nhost = https://dbc-2.cloud.databricks.com\ntoken = se%cret\n")
    with pytest.raises(DeployError, match=r"'prod' in .* is of https://dbc-2") as caught:
        connection.workspace_client(unprobed)
    assert HOST in str(caught.value)
    assert "se%cret" not in str(caught.value)


OTHER = "https://dbc-2.cloud.databricks.com"


@pytest.fixture
def unnamed(unprobed: Settings) -> Settings:
    """Production, whose file names no profile."""
    nobodys = unprobed.workspace.model_copy(update={"profile": None})
    return unprobed.model_copy(update={"workspace": nobodys})


@pytest.mark.parametrize(
    "named", [False, True], ids=["no profile", "a profile not on this machine"]
)
def test_the_shells_profile_of_another_workspace_is_refused(
    unprobed: Settings,
    unnamed: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: bool,
) -> None:
    (tmp_path / ".databrickscfg").write_text(f"[other]\nhost = {OTHER}\ntoken = se%cret\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "other")
    with pytest.raises(DeployError, match=r"shell's profile 'other' in .* is of") as caught:
        connection.workspace_client(unprobed if named else unnamed)
    assert OTHER in str(caught.value)
    assert "se%cret" not in str(caught.value)


def test_the_shells_profile_of_this_workspace_is_taken(
    unnamed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".databrickscfg").write_text(f"[mine]\nhost = {HOST}\ntoken = t\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "mine")
    assert connection.workspace_client(unnamed).config.profile == "mine"


def test_the_shells_token_of_another_workspace_is_refused(
    unprobed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", OTHER)
    monkeypatch.setenv("DATABRICKS_TOKEN", "se%cret")
    with pytest.raises(DeployError, match=r"DATABRICKS_TOKEN is of .*dbc-2") as caught:
        connection.require_running(unprobed)
    assert "se%cret" not in str(caught.value)


def test_no_variables_are_printed_beside_another_workspaces_login(
    unprobed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`eval "$(scgpt env prod)"` would lead bare Terraform to send it."""
    (tmp_path / ".databrickscfg").write_text(f"[other]\nhost = {OTHER}\ntoken = t\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "other")
    result = CliRunner().invoke(cli, ["env", "prod"])
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    "spelled", [HOST.removeprefix("https://"), f"{HOST}/", HOST.upper(), f"{HOST}:443"]
)
def test_an_address_may_be_spelled_in_other_ways(
    unprobed: Settings, tmp_path: Path, spelled: str
) -> None:
    profiles = f"[DEFAULT]\nhost = https://dbc-2\n[prod]\nhost = {spelled}\ntoken = t\n"
    (tmp_path / ".databrickscfg").write_text(profiles)
    assert connection.workspace_client(unprobed).config.host == HOST


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


def test_terraform_is_not_led_to_another_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_WORKSPACE", "trial")
    monkeypatch.setenv("TF_DATA_DIR", "elsewhere")
    monkeypatch.setenv("TF_HTTP_USERNAME", "ann")
    child = child_environment(settings.load("dev", layout.ENVIRONMENTS))
    assert not {"TF_WORKSPACE", "TF_DATA_DIR"} & child.keys()
    assert child["TF_HTTP_USERNAME"] == "ann"


def test_a_workspace_that_stops_answering_is_told_in_a_sentence() -> None:
    dev = settings.load("dev", layout.ENVIRONMENTS)
    with pytest.raises(DeployError) as caught, connection.answering(dev):
        raise TimeoutError("Timed out after 0:05:00")
    assert str(caught.value).startswith(f"{dev.workspace.host} does not answer: Timed out after")
    assert "Run it again" in str(caught.value)


def test_mlflow_does_not_advertise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its switches go by these names."""
    from mlflow import environment_variables as switches

    monkeypatch.setattr(os, "environ", {})
    connection.quiet_mlflow()
    assert switches.MLFLOW_DISABLE_AGENT_HINT.get()
    assert switches.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()
    assert not switches._MLFLOW_ENABLE_UC_TRACE_UPSELL.get()
