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


def test_the_entry_point_runs_from_the_wheel_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel().content)) as archive:
        archive.extractall(tmp_path)
    module, function = ENTRY_POINTS["scgpt-monitor"].split(":")
    code = f"import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]; \
sys.path.insert(0, {str(tmp_path)!r}); from {module} import {function}; {function}(['--help'])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--warehouse" in done.stdout
