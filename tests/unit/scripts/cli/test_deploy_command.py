"""The commands as a user meets them where they stop before Terraform."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.connection import foreign_variables, require_running
from scgpt_databricks.scripts.deploy import plan
from tests.unit.infra.plans import plan_of


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    for source in layout.ENVIRONMENTS.glob("*.toml"):
        shutil.copy(source, tmp_path)
    return tmp_path


def scgpt(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)


@pytest.mark.parametrize("command", ["plan", "deploy", "destroy", "env", "verify"])
def test_an_unknown_environment_is_wrong_usage(command: str, environments: Path) -> None:
    result = scgpt(command, "prd", "--environments", environments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_judgement_for_people_has_a_line_for_each_finding(tmp_path: Path) -> None:
    plan = plan_of("schema", ["delete"], {}, None) | {"format_version": "1.2"}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    result = scgpt("guard", "--plan", tmp_path / "plan.json")
    assert result.exit_code == 3
    first, *between, last, then = result.stdout.splitlines()
    assert then == "next: mend what is refused, and plan anew"
    assert first.startswith("refuse: databricks_schema.x: would be deleted")
    assert all(line.startswith("skipped: ") for line in between)
    assert "skipped: workload-type: needs the environment's settings (ENV)" in between
    assert last == "refused"


@pytest.mark.parametrize("flags", ["--confirm", "--dry-run"])
@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_a_protected_environment_is_not_destroyed(
    name: str, flags: str, environments: Path
) -> None:
    confirmed = [flags, name] if flags == "--confirm" else [flags]
    result = scgpt("destroy", name, "--environments", environments, *confirmed)
    assert result.exit_code == 3


def test_production_is_not_destroyed_without_a_waiver(environments: Path) -> None:
    path = environments / "prod.toml"
    path.write_text(f"deletion_protection = false\n{path.read_text()}")
    arguments = ("destroy", "prod", "--environments", environments, "--confirm", "prod")
    result = scgpt(*arguments)
    assert result.exit_code == 3
    assert "(destroy-production)" in result.stderr
    waiver = "reason = 'the project has ended'"
    path.write_text(
        path.read_text()
        + f"\n[[waivers]]\ncheck = 'destroy-production'\n{waiver}\nuntil = 2020-01-01\n"
    )
    result = scgpt(*arguments)
    assert result.exit_code == 3
    assert "The waiver (the project has ended) expired on 2020-01-01." in result.stderr


@pytest.mark.parametrize("typed", ["", "y\n", "dev\n"])
def test_destroy_asks_for_the_name(environments: Path, typed: str) -> None:
    result = scgpt("destroy", "local", "--environments", environments, stdin=typed)
    assert result.exit_code in (1, 2)
    assert "The environment's name, to go on" in result.stderr
    assert sorted(path.suffix for path in environments.iterdir()) == [".toml"] * 4


def test_yes_is_for_local_only(environments: Path) -> None:
    result = scgpt("destroy", "dev", "--environments", environments, "--yes")
    assert result.exit_code == 2
    assert "use --confirm dev" in result.stderr
    result = scgpt("destroy", "dev", "--environments", environments, "--confirm", "prod")
    assert result.exit_code == 2


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_a_workspace_that_was_never_started(command: str, environments: Path) -> None:
    result = scgpt(command, "local", "--environments", environments)
    assert result.exit_code == 1
    assert sorted(path.suffix for path in environments.iterdir()) == [".toml"] * 4


def test_a_workspace_that_does_not_run_is_told_at_once(environments: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (environments / "databrickscfg").write_text(
        f"[local]\nhost = http://127.0.0.1:{port}\ntoken = local-secret-token\n"
    )
    with pytest.raises(DeployError, match=f"does not answer at http://127.0.0.1:{port}") as caught:
        plan("local", folder=environments)
    assert "scgpt workspace start" in str(caught.value)
    assert "local-secret-token" not in str(caught.value)
    assert not (environments / "deploy").exists()


def test_a_broken_manifest_stops_before_anything_is_done(environments: Path) -> None:
    manifest = environments / "local.release.json"
    manifest.write_text(json.dumps({"model": "main.scgpt.scgpt_gene_embeddings"}))
    result = scgpt("destroy", "local", "--environments", environments, "--yes")
    assert result.exit_code == 1
    assert manifest.exists()


def test_variables_that_would_lead_elsewhere_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "https://other.example")
    monkeypatch.setenv("ARM_CLIENT_SECRET", "s")
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "other")
    local = foreign_variables(settings.load("local", layout.ENVIRONMENTS))
    assert {"DATABRICKS_HOST", "ARM_CLIENT_SECRET"} <= set(local)
    assert "DATABRICKS_CONFIG_PROFILE" not in local, "it is set to ours"
    assert foreign_variables(settings.load("dev", layout.ENVIRONMENTS)) == []


def test_a_workspace_that_cannot_be_reached_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    dev = settings.load("dev", layout.ENVIRONMENTS)
    nowhere = dev.workspace.model_copy(update={"host": "https://127.0.0.1"})
    with pytest.raises(DeployError, match=r"https://127\.0\.0\.1 cannot be reached from here"):
        require_running(dev.model_copy(update={"workspace": nowhere}))
