"""Finding out which provider serves, with real Terraform and no network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.mirror import VERSION, write_mirror
from scgpt_databricks.local_workspace.stand_in_provider.rest import ProviderError
from scgpt_databricks.scripts.deploy.provider import Provider, find_provider

pytestmark = pytest.mark.acceptance

PYTHON = Path(sys.executable)
# A configuration under which Terraform asks nobody: neither registry nor mirror.
NOWHERE = 'provider_installation {\n  filesystem_mirror {\n    path = "/nonexistent"\n  }\n}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nowhere.tfrc").write_text(NOWHERE)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "nowhere.tfrc"))
    monkeypatch.delenv("SCGPT_PROVIDER_MIRROR", raising=False)
    return tmp_path / "terraform"


def test_the_stand_in_where_nothing_else_is(folder: Path) -> None:
    provider = find_provider(folder, PYTHON)
    mirror = folder / "mirror"
    assert provider == Provider("stand-in", VERSION, folder / "terraformrc", mirror)
    assert provider.label == "databricks/databricks 1.99.0 (stand-in)"
    assert provider.environment() == {
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
        "TF_CLI_ARGS_providers_lock": f"-fs-mirror={mirror}",
    }
    assert (folder / "terraformrc").is_file()


def test_the_answer_is_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_provider(folder, PYTHON)
    monkeypatch.setenv("PATH", "/nonexistent")
    (folder / "terraformrc").unlink()
    assert find_provider(folder, PYTHON) == first
    assert (folder / "terraformrc").is_file()
    with pytest.raises(ProviderError, match="no `terraform` on the PATH"):
        find_provider(folder, PYTHON, refresh=True)
    monkeypatch.setenv("SCGPT_PROVIDER_MIRROR", "/nonexistent")
    with pytest.raises(ProviderError, match="no `terraform` on the PATH"):
        find_provider(folder, PYTHON)


def test_a_mirror_of_the_user(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = write_mirror(tmp_path / "elsewhere", PYTHON).mirror
    monkeypatch.setenv("SCGPT_PROVIDER_MIRROR", str(mirror))
    provider = find_provider(folder, PYTHON)
    assert provider == Provider("mirror", VERSION, folder / "terraformrc", mirror)
    assert str(mirror) in (folder / "terraformrc").read_text()


def test_a_mirror_without_the_provider(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCGPT_PROVIDER_MIRROR", str(tmp_path))
    with pytest.raises(ProviderError, match=r"does not have databricks/databricks 1\.99\.0"):
        find_provider(folder, PYTHON)


def test_a_configuration_of_the_user(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_mirror(tmp_path / "elsewhere", PYTHON).terraformrc
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own))
    assert find_provider(folder, PYTHON) == Provider("mirror", VERSION, own)


def test_our_own_configuration_is_not_the_users(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of a command that already runs with the stand-in is no reason to call it a mirror."""
    find_provider(folder, PYTHON)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(folder / "terraformrc"))
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".terraformrc").write_text(NOWHERE)
    assert find_provider(folder, PYTHON, refresh=True).kind == "stand-in"
