from __future__ import annotations

import json
from pathlib import Path

import pytest

from scgpt_databricks.infra.bindings import App
from scgpt_databricks.infra.main import main

FIVE = """
catalog = "{name}"
[workspace]
host = "https://dbc-{name}.cloud.databricks.com"
[state]
backend = "local"
"""


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dev", "prod"):
        (tmp_path / f"{name}.toml").write_text(FIVE.format(name=name))
    monkeypatch.setenv("SCGPT_ENVIRONMENTS", str(tmp_path))
    # The CDK's own process, which reads CDKTF_OUTDIR, may run already.
    monkeypatch.setattr(
        "scgpt_databricks.infra.main.App", lambda: App(outdir=str(tmp_path / "out"))
    )
    monkeypatch.delenv("SCGPT_ENVIRONMENT", raising=False)
    return tmp_path / "out"


def stacks(out: Path) -> list[str]:
    return sorted(json.loads((out / "manifest.json").read_text())["stacks"])


def test_a_broken_environment_is_told_and_stops_no_other(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out.parent / "dev.toml").write_text("catalog = 5")
    main()
    assert "dev.toml" in capsys.readouterr().err
    assert stacks(out) == ["prod-monitoring", "prod-registry"]


def test_a_broken_environment_that_was_asked_for_is_a_failure(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out.parent / "dev.toml").write_text("catalog = 5")
    monkeypatch.setenv("SCGPT_ENVIRONMENT", "dev")
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    monkeypatch.setenv("SCGPT_ENVIRONMENT", "prod")
    main()
    assert stacks(out) == ["prod-monitoring", "prod-registry"]


def test_where_nothing_is_right_nothing_is_synthesised(out: Path) -> None:
    for path in out.parent.glob("*.toml"):
        path.write_text("catalog = 5")
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert not (out / "manifest.json").exists()


def test_it_is_told_who_deploys(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is logged in keeps the management, in whatever role the file names it."""
    builder = "00000000-0000-0000-0000-00000000000b"
    (out.parent / "dev.toml").write_text(f'builder = "{builder}"\n' + FIVE.format(name="dev"))
    monkeypatch.setenv("SCGPT_ENVIRONMENT", "dev")

    def levels() -> list[str]:
        main()
        stack = json.loads((out / "stacks" / "dev-registry" / "cdk.tf.json").read_text())
        listed = stack["resource"]["databricks_permissions"]["experiment_permissions"]
        return [entry["permission_level"] for entry in listed["access_control"]]

    assert levels() == ["CAN_EDIT"]
    monkeypatch.setenv("SCGPT_DEPLOYER", builder)
    assert levels() == ["CAN_MANAGE"]
