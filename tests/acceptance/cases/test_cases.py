"""Runs every `case.t`; see the package's first lines for what they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.cases import transcript
from tests.acceptance.deploy.conftest import Place
from tests.acceptance.deploy.state_server import serve
from tests.acceptance.site import LIMIT_S

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.rglob("case.t"))
SHORT = ("nothing",)
"""Bases whose cases take seconds."""


def named(folder: Path) -> object:
    base = folder.parent.name
    marks = [pytest.mark.acceptance, *([] if base in SHORT else [pytest.mark.long])]
    return pytest.param(base, folder, marks=marks, id=f"{base}/{folder.name}")


@pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform")
@pytest.mark.parametrize(("place", "folder"), map(named, CASES), indirect=["place"])
def test_case(place: Place, folder: Path, request: pytest.FixtureRequest) -> None:
    """`STATES` is a server of Terraform states, for cases that keep theirs there."""
    given = [path for path in folder.iterdir() if path.name != "case.t"]
    for path in given:
        shutil.copy(path, place.folder)
    if place.url and (place.folder / "databrickscfg").exists():
        place.control("DELETE", "requests")
    text = (folder / "case.t").read_text()
    with serve() as states:
        right, wrong = transcript.run(
            text, lambda command: shell(place, command, STATES=states.url), str(place.folder)
        )
    if request.config.getoption("--rewrite-cases"):
        (folder / "case.t").write_text(right)
    elif wrong:
        pytest.fail(f"{folder.relative_to(HERE)}: said otherwise:\n" + "\n".join(wrong))


def shell(place: Place, command: str, **more: str) -> tuple[int, str]:
    """One line of a case, as a user types it in the folder of the environments."""
    variables = place.variables | {
        "PATH": os.pathsep.join([str(HERE / "bin"), place.variables["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "CASE_PYTHON": sys.executable,
        "COLUMNS": "100",
        **more,
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=place.folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    place.check_silence(done.stdout)
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout
