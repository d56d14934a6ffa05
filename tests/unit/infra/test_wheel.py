from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.wheel import ENTRY_POINTS, PACKAGE, VERSION, wheel


def test_the_same_sources_give_the_same_bytes() -> None:
    first = wheel()
    wheel.cache_clear()
    assert wheel().content == first.content
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_a_wheel_as_installers_read_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel().content)) as archive:
        archive.extractall(tmp_path)
    (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
    assert (found.name, found.version) == (PACKAGE, VERSION)
    assert {e.name: e.value for e in found.entry_points} == ENTRY_POINTS
    assert found.files is not None
    for file in found.files:
        if file.hash is not None:
            content = (tmp_path / str(file)).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert (file.hash.value, file.size) == (digest.decode(), len(content))
    assert len(found.files) == sum(path.is_file() for path in tmp_path.rglob("*"))
    assert Parser().parsestr(found.read_text("METADATA") or "")["Requires-Dist"]


def test_it_has_the_version_of_the_project() -> None:
    project = tomllib.loads((layout.ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_only_one_name_is_importable() -> None:
    with zipfile.ZipFile(io.BytesIO(wheel().content)) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {"scgpt_databricks", f"scgpt_jobs-{VERSION}.dist-info"}


def test_the_entry_point_runs_from_the_wheel_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel().content)) as archive:
        archive.extractall(tmp_path)
    module, function = ENTRY_POINTS["scgpt-monitor"].split(":")
    # Without site-packages: an editable install of the repository is found through them.
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module} as module; \
print(module.__file__); module.{function}(['--help'])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    assert "--warehouse" in done.stdout


def test_the_unpacking_runs_from_the_wheel_and_what_compute_has(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel().content)) as archive:
        archive.extractall(tmp_path)
    module, function = ENTRY_POINTS["scgpt-unpack"].split(":")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module} as module; \
import scgpt_databricks.model.batch.payloads as other; import {module.rpartition('.')[0]}.spark; \
assert not {{'torch', 'mlflow', 'anndata', 'deltalake'}} & set(sys.modules); \
print(module.__file__, other.__file__); module.{function}(['--help'])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path)) == 2
