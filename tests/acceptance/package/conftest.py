from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.site import Done

UV = Path(sys.executable).with_name("uv")
LIMIT_S = 120


@dataclass(frozen=True)
class Installed:
    """A fresh environment that holds the wheel, and a folder in which somebody works."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @cached_property
    def packages(self) -> Path:
        (found,) = (self.folder / "venv" / "lib").glob("python3.*/site-packages")
        return found

    @cached_property
    def beside(self) -> Path:
        """A folder with modules of somebody's own, whose names are those of our folders."""
        found = self.folder / "beside"
        for name in ("infra", "local_workspace", "scripts"):
            (found / name).mkdir(parents=True)
            (found / name / "__init__.py").write_text("raise RuntimeError('not ours')\n")
        (found / "model.py").write_text("raise RuntimeError('not ours')\n")
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of a shell that knows nothing of the repository."""
        path = os.pathsep.join([str(self.python.parent), os.environ["PATH"]])
        return {"PATH": path, "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *command: str | Path, **variables: str) -> Done:
        done = subprocess.run(
            command,
            cwd=self.beside,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def scgpt(self, *arguments: str | Path, **variables: str) -> Done:
        done = self.run(self.python.with_name("scgpt"), *arguments, **variables)
        assert "Traceback" not in done.out + done.err, done.err
        return done

    def files(self) -> dict[str, int]:
        """All that lies in site-packages, with its size."""
        return {
            str(path.relative_to(self.packages)): path.stat().st_size
            for path in self.packages.rglob("*")
            if path.is_file()
        }


def install(folder: Path, wheel: Path, extra: str, *more: str | Path) -> Installed:
    """Make a fresh environment of this Python's version and install the wheel into it."""
    found = Installed(folder)
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", found.python, f"{wheel}{extra}", *more],
        check=True,
    )
    return found


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that SCGPT_WHEEL names, else one that is built here by way of the sdist."""
    if named := os.environ.get("SCGPT_WHEEL"):
        return Path(named).absolute()
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable,
         "--out-dir", folder, ROOT],
        check=True,
    )  # fmt: skip
    (found,) = folder.glob("*.whl")
    return found
