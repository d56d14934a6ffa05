from __future__ import annotations

from pathlib import Path

import pytest

from infra import layout, settings
from infra.settings import SettingsError

GOOD = """
catalog = "dev"
schema = "scgpt"
model = "scgpt_gene_embeddings"
volume = "artifacts"
deletion_protection = true
[workspace]
host = "https://dbc-1.cloud.databricks.com"
[endpoint]
name = "scgpt-serving"
workload_type = "GPU_SMALL"
workload_size = "Small"
scale_to_zero = true
[gateway]
[state]
backend = "local"
"""


def write(folder: Path, text: str, name: str = "dev") -> Path:
    (folder / f"{name}.toml").write_text(text)
    return folder


def problems(folder: Path, text: str, name: str = "dev") -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.load(name, write(folder, text, name))
    return [line.strip() for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_the_environments_that_come_with_the_repository_are_right(name: str) -> None:
    loaded = settings.load(name, layout.ENVIRONMENTS)
    assert loaded.environment == name
    assert loaded.deletion_protection is (name != "local")
    assert (loaded.workspace.host is None) is (name == "local")


def test_production_keeps_capacity_and_gives_nobody_but_the_pipeline_control() -> None:
    prod = settings.load("prod", layout.ENVIRONMENTS)
    assert not prod.endpoint.scale_to_zero
    assert "CAN_MANAGE" not in prod.permissions.groups.values()
    assert prod.state.backend != "local"


def test_names_come_from_the_settings() -> None:
    names = settings.load("local", layout.ENVIRONMENTS).names
    assert names.full_model == "main.scgpt.scgpt_gene_embeddings"
    assert names.inference_table == "main.scgpt.scgpt_inference_payload"
    assert names.served_entity(7) == "scgpt_gene_embeddings-7"
    assert names.volume_path == "/Volumes/main/scgpt/artifacts"
    assert names.stack("serving") == "local-serving"


def test_an_unknown_environment_names_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "dev")
    write(tmp_path, GOOD, "prod")
    with pytest.raises(SettingsError, match=r"unknown environment 'prd'.*dev, prod"):
        settings.load("prd", tmp_path)


def test_a_name_that_is_a_path_is_an_unknown_environment(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, GOOD, "dev")
    with pytest.raises(SettingsError, match="unknown environment"):
        settings.load("../dev", tmp_path / "inner")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    wrong = (
        GOOD.replace('catalog = "dev"', 'catalog = "Dev-1"\nenvironment = "prod"')
        .replace('volume = "artifacts"\n', "")
        .replace("https://dbc-1.cloud.databricks.com", "http://dbc-1.cloud.databricks.com")
        .replace("[endpoint]", 'retry_timeout_seconds = "30"\n[endpoint]')
        .replace('"GPU_SMALL"', '"GPU_TINY"')
        .replace('name = "scgpt-serving"', 'name = "databricks-scgpt"')
        .replace("[gateway]", "[gateway]\nrate_limits = [{ calls = 0 }]")
        .replace('backend = "local"', 'backend = "ftp"')
        + '[permissions.groups]\nadmins = "CAN_MANAGE"\nscientists = "CAN_FLY"\n'
        + '[[grants]]\nprincipal = "a"\nschema = ["USE_SCHEMA", "USE_SCHEMA"]\n'
    )
    first, *rest = problems(tmp_path, wrong)
    keys = [line.split(":")[0] for line in rest]
    assert first == f"{tmp_path / 'dev.toml'}: {len(rest)} problems"
    assert sorted(keys) == sorted(
        [
            "environment",
            "catalog",
            "volume",
            "workspace.host",
            "workspace.retry_timeout_seconds",
            "endpoint.workload_type",
            "endpoint.name",
            "gateway.rate_limits.0.calls",
            "permissions.groups.admins",
            "permissions.groups.scientists",
            "grants.0.schema",
            "state.backend",
        ]
    )
    text = "\n".join(rest)
    assert "'GPU_TINY'" in text, "the value that was wrong"
    assert "'MULTIGPU_MEDIUM'" in text, "what is allowed"
    assert "'s3'" in text


def test_an_unknown_key_says_what_was_meant_and_never_shows_its_value(tmp_path: Path) -> None:
    text = GOOD.replace("[workspace]", '[workspace]\nhosst = "x"\ntoken = "dapi0123"')
    text = text.replace('backend = "local"', 'backend = "s3"\nbucket = "b"\nregio = "r"')
    lines = problems(tmp_path, text)
    assert "workspace.hosst: unknown key; did you mean 'host'?" in lines
    assert any(line == "state.s3.regio: unknown key; did you mean 'region'?" for line in lines)
    assert any(line.startswith("workspace.token: unknown key; allowed: host, ") for line in lines)
    assert "dapi0123" not in "\n".join(lines)


def test_a_state_without_a_backend_is_one_missing_key(tmp_path: Path) -> None:
    (_, line) = problems(tmp_path, GOOD.replace('backend = "local"', ""))
    assert line == "state.backend: missing"


def test_local_stays_on_loopback(tmp_path: Path) -> None:
    lines = problems(tmp_path, GOOD, "local")
    assert any(line.startswith("workspace.host: ") and "loopback" in line for line in lines)


def test_other_environments_need_a_host(tmp_path: Path) -> None:
    lines = problems(tmp_path, GOOD.replace("host = ", "#"))
    assert any(line.startswith("workspace.host: required") for line in lines)


def test_no_toml_says_where(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "catalog = dev\n")
    assert "no TOML" in line
    assert "line 1" in line


def test_the_folder_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCGPT_ENVIRONMENTS", str(write(tmp_path, GOOD)))
    assert settings.known() == ("dev",)
    assert settings.load("dev").folder == tmp_path


def test_what_runs_make_never_meets(tmp_path: Path) -> None:
    ours = settings.load("local", layout.ENVIRONMENTS)
    assert ours.manifest_path == layout.ROOT / ".local" / "local.release.json"
    assert (
        settings.load("dev", layout.ENVIRONMENTS).manifest_path
        == layout.ENVIRONMENTS / "dev.release.json"
    )
    write(tmp_path, (layout.ENVIRONMENTS / "local.toml").read_text(), "local")
    theirs = settings.load("local", tmp_path)
    assert theirs.manifest_path == tmp_path / "local.release.json"
    assert layout.state_folder(theirs.folder) == tmp_path / "state"
    assert layout.state_folder(ours.folder) == layout.ROOT / ".local" / "state"
