from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.settings import SettingsError
from tests.unit.infra.toml_files import FIVE_LINES, changed, problems, write

PIPELINE, PLANNER, BUILDER = (f"00000000-0000-0000-0000-{n:012}" for n in range(3))
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


@pytest.mark.parametrize("deployer", [PIPELINE, "me@example.com"])
def test_the_deployer_manages_and_is_declared(tmp_path: Path, deployer: str) -> None:
    text = f'deployer = "{deployer}"\nbuilder = "{BUILDER}"\n{GOOD}'
    loaded = settings.load("dev", write(tmp_path, text))
    levels = loaded.endpoint_levels
    assert {**levels.users, **levels.service_principals} == {deployer: "CAN_MANAGE"}
    assert ("@" in deployer) is bool(levels.users)
    assert loaded.object_levels("experiment") == {BUILDER: "CAN_EDIT", deployer: "CAN_MANAGE"}
    kind = "users" if "@" in deployer else "service_principals"
    lower = f'{text}[permissions.{kind}]\n"{deployer}" = "CAN_VIEW"\n'
    (said,) = (line for line in problems(tmp_path, lower) if "is the deployer" in line)
    assert "CAN_MANAGE" in said


def test_the_planner_reads(tmp_path: Path) -> None:
    text = f'planner = "{PLANNER}"\ndeployer = "{PIPELINE}"\n{GOOD}'
    loaded = settings.load("dev", write(tmp_path, text))
    levels = {PLANNER: "CAN_VIEW", PIPELINE: "CAN_MANAGE"}
    assert loaded.endpoint_levels.service_principals == levels
    assert loaded.object_levels("experiment") == {PLANNER: "CAN_READ", PIPELINE: "CAN_MANAGE"}
    assert loaded.privileges("checkpoints_volume") == {PLANNER: ("READ_VOLUME",)}
    assert loaded.privileges("schema") == {PLANNER: ("USE_SCHEMA",)}


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
    assert any(line == "state.regio: unknown key; did you mean 'region'?" for line in lines)
    assert any(line.startswith("workspace.token: unknown key; allowed: host, ") for line in lines)
    assert "dapi0123" not in "\n".join(lines)


def test_a_state_without_a_backend_is_one_missing_key(tmp_path: Path) -> None:
    (_, line) = problems(tmp_path, GOOD.replace('backend = "local"', ""))
    assert line == "state.backend: missing"
    (_, line) = problems(tmp_path, GOOD.replace("backend = ", "backnd = "))
    assert line == "state.backend: missing; you wrote 'backnd'"


REHEARSED = """
catalog = "{name}"
[workspace]
local = true
[endpoint]
name = "scgpt-{name}"
[state]
backend = "local"
"""


def test_environments_of_one_local_workspace_have_any_name(tmp_path: Path) -> None:
    for name in ("dev", "staging", "prod"):
        write(tmp_path, REHEARSED.format(name=name), name)
    loaded = [settings.load(name, tmp_path) for name in ("dev", "staging", "prod")]
    assert all(each.is_local and each.workspace.profile == "local" for each in loaded)
    assert [each.production for each in loaded] == [False, False, True]
    assert not any(each.deletion_protection for each in loaded)
    assert loaded[0].names.full_model == "dev.scgpt.scgpt_gene_embeddings"
    short = REHEARSED.format(name="dev").replace("[state]", "timeout_minutes = 5\n[state]")
    assert settings.load("dev", write(tmp_path, short)).endpoint.timeout_minutes == 5


def test_two_environments_of_the_local_workspace_claim_no_name_twice(tmp_path: Path) -> None:
    write(tmp_path, REHEARSED.format(name="dev"), "dev")
    twice = REHEARSED.format(name="dev").replace("local = true", 'host = "http://localhost:9"')
    with pytest.raises(SettingsError, match=r"on one workspace .* both claim schema dev.scgpt"):
        settings.load("trial", write(tmp_path, twice, "trial"))


@pytest.mark.parametrize("host", ["http://127.0.0.1:8765", "http://localhost:80", "http://[::1]:9"])
def test_an_address_on_loopback_is_the_local_workspace(tmp_path: Path, host: str) -> None:
    loaded = changed(tmp_path, "https://dbc-9.cloud.databricks.com", host, "trial")
    assert loaded.is_local
    assert loaded.workspace.host == host


def test_local_is_a_name_as_others_where_the_file_says_so(tmp_path: Path) -> None:
    loaded = changed(tmp_path, "[workspace]", "[workspace]\nlocal = false", "local")
    assert not loaded.is_local
    assert loaded.manifest_path == tmp_path / "local.release.json"


@pytest.mark.parametrize("said", ["1", '"yes"', "[true]"])
def test_local_is_true_or_false(tmp_path: Path, said: str) -> None:
    text = FIVE_LINES.replace("[workspace]", f"[workspace]\nlocal = {said}")
    assert any(line.startswith("workspace.local: ") for line in problems(tmp_path, text))


def test_manifests_of_a_local_workspace_are_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "environments").mkdir()
    monkeypatch.setattr(layout, "ENVIRONMENTS", tmp_path / "environments")
    monkeypatch.setattr(layout, "RUNTIME", tmp_path / ".local")
    folder = write(layout.ENVIRONMENTS, REHEARSED.format(name="dev"))
    assert settings.load("dev", folder).manifest_path == tmp_path / ".local" / "dev.release.json"


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


def test_five_lines_are_a_whole_environment(tmp_path: Path) -> None:
    dev = settings.load("dev", write(tmp_path, FIVE_LINES))
    assert dev.names.full_model == "lab.scgpt.scgpt_gene_embeddings"
    assert dev.names.inference_table == "lab.scgpt.scgpt_inference_payload"
    assert dev.names.volume_path == "/Volumes/lab/scgpt/artifacts"
    assert dev.names.full_checkpoints_volume == "lab.scgpt.checkpoints"
    assert (dev.names.endpoint, dev.workload_type) == ("scgpt-serving", "GPU_SMALL")
    assert (dev.endpoint.workload_size, dev.endpoint.timeout_minutes) == ("Small", 100)
    assert dev.endpoint.scale_to_zero
    assert dev.deletion_protection
    assert not dev.production
    assert dev.monitoring.enabled


def test_production_is_what_is_called_so_and_keeps_its_capacity(tmp_path: Path) -> None:
    prod = settings.load("prod", write(tmp_path, FIVE_LINES, "prod"))
    assert prod.production
    assert not prod.endpoint.scale_to_zero
    (tmp_path / "prod.toml").unlink()
    live = changed(tmp_path, "[workspace]", "production = true\n[workspace]", "eu")
    assert live.production
    assert not live.endpoint.scale_to_zero


@pytest.mark.parametrize(
    "name",
    [
        "production",
        "prd",
        "live",
        "prod-eu",
        "eu-prod",
        "eu-prd-2",
        "prod1",
        "production2",
        "eu1prod",
    ],
)
def test_production_has_many_names(tmp_path: Path, name: str) -> None:
    loaded = settings.load(name, write(tmp_path, FIVE_LINES, name))
    assert loaded.production
    assert not loaded.endpoint.scale_to_zero
    said = changed(tmp_path, "[workspace]", "production = false\n[workspace]", name)
    assert not said.production


@pytest.mark.parametrize(
    "name", ["pre-prod", "non-prod", "preprod", "preprod2", "non-prod1", "products", "staging"]
)
def test_what_is_no_production(tmp_path: Path, name: str) -> None:
    assert not settings.load(name, write(tmp_path, FIVE_LINES, name)).production


def test_roles_and_grants_come_together(tmp_path: Path) -> None:
    text = f'owner = "o"\nbuilder = "{BUILDER}"\nreaders = ["r", "{BUILDER}"]\n{FIVE_LINES}'
    text += '[[grants]]\nprincipal = "r"\nmodel = ["APPLY_TAG"]\n'
    loaded = settings.load("dev", write(tmp_path, text))
    assert loaded.privileges("schema") == {
        BUILDER: ("USE_SCHEMA",),
        "o": ("ALL_PRIVILEGES", "MANAGE"),
        "r": ("USE_SCHEMA",),
    }
    assert loaded.privileges("model") == {
        BUILDER: ("APPLY_TAG", "CREATE_MODEL_VERSION", "EXECUTE"),
        "r": ("APPLY_TAG", "EXECUTE"),
    }
    assert loaded.privileges("checkpoints_volume") == {BUILDER: ("READ_VOLUME",)}


WAIVER = """
[[waivers]]
check = "scale-to-zero"
reason = "no users before the launch"
until = 2020-12-31
"""


def test_a_waiver_holds_until_its_day(tmp_path: Path) -> None:
    loaded = settings.load("dev", write(tmp_path, FIVE_LINES + WAIVER))
    (waiver,) = loaded.waivers
    assert loaded.waiver("scale-to-zero", date(2020, 12, 31)) == waiver
    assert loaded.waiver("scale-to-zero", date(2021, 1, 1)) is None
    assert loaded.waiver("other", date(2020, 1, 1)) is None


def test_a_waiver_without_reason_or_day_is_none(tmp_path: Path) -> None:
    text = WAIVER.replace("no users before the launch", "because").replace("2020-12-31", '"soon"')
    lines = problems(tmp_path, FIVE_LINES + text)
    assert [line.split(":")[0] for line in lines[1:]] == ["waivers.0.reason", "waivers.0.until"]


def test_environments_of_one_workspace_have_names_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, FIVE_LINES, "dev")
    write(tmp_path, FIVE_LINES, "prod")
    for name, other in (("dev", "prod"), ("prod", "dev")):
        with pytest.raises(SettingsError) as caught:
            settings.load(name, tmp_path)
        assert f"{name} and {other} are on one workspace" in str(caught.value)
        assert "schema lab.scgpt and endpoint scgpt-serving" in str(caught.value)
    apart = 'schema = "scgpt_dev"\n' + FIVE_LINES + '[endpoint]\nname = "scgpt-dev"\n'
    write(tmp_path, apart, "dev")
    assert settings.load("prod", tmp_path).production


@pytest.mark.parametrize("broken", ["catalog = = 1", "catalog = 5", ""])
def test_a_broken_neighbour_is_no_concern(tmp_path: Path, broken: str) -> None:
    write(tmp_path, broken, "dev")
    assert settings.load("prod", write(tmp_path, FIVE_LINES, "prod")).production
