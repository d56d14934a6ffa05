"""Who calls comes from a profile or the environment, never from the files of this repository."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import mlflow
import pytest
import requests
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
def unprobed(prod: Settings, monkeypatch: pytest.MonkeyPatch, proxy: str) -> Settings:
    """Production, whose clients are made without asking the network anything."""
    monkeypatch.setattr(os, "environ", os.environ.copy())  # a client's variables end with the test
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


SHELLS = {
    "TF_WORKSPACE": "trial",
    "TF_DATA_DIR": "elsewhere",
    "TF_CLI_ARGS": "-no-color -var-file=mine.tfvars",
    "TF_CLI_ARGS_plan": "-destroy -lock-timeout=10m -out 'of mine",
    "TF_CLI_ARGS_apply": "-auto-approve --parallelism=4",
    "TF_CLI_ARGS_show": "-json=false",
}


@pytest.fixture
def shells(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHELLS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("shells")
def test_terraform_is_not_led_to_another_state_or_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_HTTP_USERNAME", "ann")
    child = child_environment(settings.load("dev", layout.ENVIRONMENTS))
    assert {name: child[name] for name in SHELLS if name in child} == {
        "TF_CLI_ARGS_plan": "-lock-timeout=10m",
        "TF_CLI_ARGS_apply": "--parallelism=4",
    }
    assert child["TF_HTTP_USERNAME"] == "ann"


@pytest.mark.usefixtures("shells", "prod")
def test_bare_terraform_is_not_led_there_either() -> None:
    said = CliRunner().invoke(cli, ["env", "prod"]).stdout.splitlines()
    unset = ["TF_CLI_ARGS", "TF_CLI_ARGS_show", "TF_DATA_DIR", "TF_WORKSPACE"]
    assert [line for line in said if line.startswith("unset")] == [f"unset {n}" for n in unset]
    assert "export TF_CLI_ARGS_plan=-lock-timeout=10m" in said


@pytest.mark.parametrize("given", ["", "corp.example.com", " corp.example.com , localhost"])
def test_loopback_never_goes_to_a_proxy(
    proxy: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", given)
    said = CliRunner().invoke(cli, ["env", "local"]).stdout
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert requests.utils.get_environ_proxies(f"http://{host}:8765") == {}
    assert requests.utils.get_environ_proxies("http://dbc-1.cloud.databricks.com")
    spared = ",".join(dict.fromkeys([*(["corp.example.com"] if given.strip() else []), *LOOPBACK]))
    assert {f"export NO_PROXY={spared}", f"export no_proxy={spared}"} <= set(said.splitlines())


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def test_no_proxy_for_anything_stays(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    connection.spare_loopback()
    assert os.environ["NO_PROXY"] == "*"


def test_without_a_proxy_nothing_is_set(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    connection.spare_loopback()
    assert not {"NO_PROXY", "no_proxy"} & os.environ.keys()


@pytest.mark.parametrize("form", ["http://me:se%cret@127.0.0.1:{}", "127.0.0.1:{}"])
def test_a_proxy_that_is_not_there_is_named_at_once(
    prod: Settings, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", form.format(port))
    with pytest.raises(DeployError, match=f"the proxy 127.0.0.1:{port} of the shell's") as caught:
        connection.require_running(prod)
    assert "se%cret" not in str(caught.value)


def test_a_proxy_that_does_not_answer_is_named(prod: Settings, proxy: str) -> None:
    with pytest.raises(DeployError) as caught, connection.answering(prod):
        raise TimeoutError("Timed out after 0:05:00")
    through = proxy.removeprefix("http://")
    assert f"{HOST} does not answer through the proxy {through}: Timed" in str(caught.value)


def test_runs_of_other_tools_are_not_gone_on_with(
    unprobed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".databrickscfg").write_text(f"[prod]\nhost = {HOST}\ntoken = t\n")
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere.example")
    connection.use_mlflow(unprobed)
    left = {name for name in os.environ if name.startswith(("MLFLOW_RUN", "MLFLOW_EXPERIMENT"))}
    assert left == set()
    assert mlflow.get_tracking_uri() == "databricks"


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
