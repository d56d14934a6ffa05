"""Finding out which provider serves, with real Terraform and no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ENVIRONMENTS, ROOT
from scgpt_databricks.local_workspace.stand_in_provider.mirror import write_mirror
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
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SCGPT_PROVIDER_MIRROR", raising=False)
    return tmp_path / "terraform"


def test_the_stand_in_where_nothing_else_is(folder: Path) -> None:
    provider = find_provider(folder, PYTHON)
    mirror = folder / "mirror"
    assert provider == Provider("stand-in", folder / "terraformrc", str(mirror))
    assert provider.label == "databricks/databricks 1.99.0 (stand-in)"
    assert provider.environment() == {
        "CHECKPOINT_DISABLE": "1",
        "CDKTF_SKIP_PROVIDER_LOCK": "true",
        "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "true",
        "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
        "TF_PLUGIN_CACHE_DIR": "",
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


def test_an_old_answer_is_asked_for_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network may have come or gone, which nothing on this machine tells."""
    find_provider(folder, PYTHON)
    cache = folder / "provider.json"
    cache.write_text(json.dumps({**json.loads(cache.read_text()), "at": 0}))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ProviderError, match="no `terraform` on the PATH"):
        find_provider(folder, PYTHON)


def test_a_mirror_of_the_user(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = write_mirror(tmp_path / "elsewhere", PYTHON).mirror
    monkeypatch.setenv("SCGPT_PROVIDER_MIRROR", str(mirror))
    provider = find_provider(folder, PYTHON)
    assert provider == Provider("mirror", folder / "terraformrc", str(mirror))
    assert str(mirror) in (folder / "terraformrc").read_text()


def _unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = write_mirror(tmp_path / "elsewhere", PYTHON)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(found.terraformrc))
    return found.mirror


def _packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The form in which `terraform providers mirror` writes one, named in the home folder."""
    wrapper = write_mirror(tmp_path / "elsewhere", PYTHON).wrapper
    mirror = tmp_path / "zips"
    kept = mirror / "registry.terraform.io" / "databricks" / "databricks"
    kept.mkdir(parents=True)
    archive = kept / f"terraform-provider-databricks_1.99.0_{wrapper.parent.name}.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.write(wrapper, wrapper.name)
    monkeypatch.delenv("TF_CLI_CONFIG_FILE")
    (tmp_path / "home").mkdir()
    text = NOWHERE.replace("/nonexistent", str(mirror))
    (tmp_path / "home" / ".terraformrc").write_text(text)
    return mirror


def _plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Terraform looks when nothing is configured."""
    monkeypatch.delenv("TF_CLI_CONFIG_FILE")
    plugins = tmp_path / "home" / ".terraform.d" / "plugins"
    plugins.parent.mkdir(parents=True)
    write_mirror(tmp_path / "elsewhere", PYTHON).mirror.rename(plugins)
    return plugins


@pytest.mark.parametrize("place", [_unpacked, _packed, _plugins])
def test_a_mirror_serves_bare_cdktf(
    place: Callable[..., Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks a registry for checksums, and nothing is left in the home folder.

    It comes and goes: what was remembered no longer holds.
    """
    home = tmp_path / "home"
    assert find_provider(folder, PYTHON).kind == "stand-in"
    mirror = place(tmp_path, monkeypatch)
    provider = find_provider(folder, PYTHON)
    assert provider.label == "databricks/databricks 1.99.0 (mirror)"
    assert provider.place == (None if place is _packed else str(mirror))
    before = set(home.glob(".terraform.d/*"))
    said = _cdktf(tmp_path, provider)
    assert "no profile 'DEFAULT'" in said, "the provider was installed, and has no login here"
    assert set(home.glob(".terraform.d/*")) == before
    shutil.rmtree(mirror)
    assert find_provider(folder, PYTHON).kind == "stand-in"


def _cdktf(tmp_path: Path, provider: Provider) -> str:
    environments = tmp_path / "environments"
    environments.mkdir()
    shutil.copy(ENVIRONMENTS / "local.toml", environments)
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR")
        if name in os.environ
    }
    done = subprocess.run(
        ["npx", "--no-install", "cdktf", "diff", "local-registry"],
        cwd=ROOT,
        env={
            **kept,
            **provider.environment(),
            "CDKTF_OUTPUT": str(tmp_path / "cdktf.out"),
            "SCGPT_ENVIRONMENTS": str(environments),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


def test_the_stand_in_stays_out_of_every_plugin_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From there another project would get it under the real provider's name."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(cache))
    _cdktf(tmp_path, find_provider(folder, PYTHON))
    assert list(cache.iterdir()) == []
    assert not (tmp_path / "home" / ".terraform.d").exists()


def test_dev_overrides_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = write_mirror(tmp_path / "elsewhere", PYTHON)
    overrides = f'dev_overrides {{\n"databricks/databricks" = "{built.wrapper.parent}"\n}}\n'
    own = tmp_path / "own.tfrc"
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own))
    own.write_text(NOWHERE.replace("{\n", "{\n" + overrides, 1))
    with pytest.raises(ProviderError, match="dev_overrides of your Terraform configuration"):
        find_provider(folder, PYTHON)
    own.write_text(own.read_text().replace("/nonexistent", str(built.mirror)))
    provider = find_provider(folder, PYTHON)
    assert provider.label == "databricks/databricks of your own (dev_overrides)"
    assert provider.place == str(built.wrapper.parent)


def test_make_clean_takes_ours_out_of_the_plugin_cache(tmp_path: Path) -> None:
    """`cdktf` of earlier versions linked the stand-in into it; what others put there stays."""
    cache = tmp_path / ".terraform.d" / "plugin-cache" / "registry.terraform.io"
    package = cache / "databricks" / "databricks" / "1.99.0"
    package.mkdir(parents=True)
    wrapper = write_mirror(tmp_path / "clone" / ".local" / "terraform", PYTHON).wrapper
    ours, theirs = package / "linux_amd64", package / "darwin_arm64"
    ours.symlink_to(wrapper.parent)
    theirs.mkdir()
    (theirs / "terraform-provider-databricks_v1.99.0").write_bytes(b"\x7fELF")
    _clean(tmp_path)
    assert [*package.iterdir()] == [theirs]
    shutil.rmtree(theirs)
    ours.symlink_to(tmp_path / "gone" / ".local" / "terraform" / "mirror" / "x")
    _clean(tmp_path)
    assert not cache.exists()


def _clean(home: Path) -> None:
    script = ["sh", str(ROOT / "scripts" / "clean-plugin-cache")]
    subprocess.run(script, env={"PATH": os.environ["PATH"], "HOME": str(home)}, check=True)


def test_a_mirror_without_the_provider(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCGPT_PROVIDER_MIRROR", str(tmp_path))
    with pytest.raises(ProviderError, match=r"does not have databricks/databricks 1\.99\.0"):
        find_provider(folder, PYTHON)


def test_our_own_configuration_is_not_the_users(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of a command that already runs with the stand-in is no reason to call it a mirror."""
    find_provider(folder, PYTHON)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(folder / "terraformrc"))
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".terraformrc").write_text(NOWHERE)
    assert find_provider(folder, PYTHON, refresh=True).kind == "stand-in"
