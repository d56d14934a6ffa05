"""An environment with the requirements of an edge package, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def bare_environment(requirements: Path, folder: Path) -> Path:
    """Make the environment; return its Python."""
    uv, python = Path(sys.executable).parent / "uv", folder / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, "-r", requirements]
    subprocess.run(install, check=True)
    return python
