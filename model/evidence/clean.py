"""Ask a logged model where this repository is out of reach, and compare with the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np

from .. import pyfunc
from ..errors import BuildError
from ..scgpt.embedder import Embedder

SCRIPT = Path(__file__).parents[1] / "validation.py"
_MLFLOW = (sys.executable, "-m", "mlflow")
_LINES = 15  # of what a failed command said


def validate(model_uri: str, embedder: Embedder, scratch: Path, *, clean: bool) -> None:
    """Load the logged model in a process of its own, ask it in memory and over HTTP.

    Parameters
    ----------
    clean
        Install the logged requirements into a new environment and run there; otherwise with the
        packages of this one.

    Raises
    ------
    BuildError
        The environment cannot be made, or an answer is not the engine's.
    """
    logged = mlflow.artifacts.download_artifacts(model_uri, dst_path=str(scratch / "logged"))
    example = pyfunc.validation_cells(embedder.vocab)
    np.save(scratch / "expected.npy", embedder.embed_cells(*example).embeddings)
    payloads = pyfunc.validation_payloads(*example)
    (scratch / "payloads.json").write_text(json.dumps(payloads))
    script = shutil.copy(SCRIPT, scratch / "validation.py")
    python = _new_environment(logged, scratch) if clean else sys.executable
    _run(
        [python, "-I", str(script), logged, "expected.npy", "payloads.json"],
        python,
        scratch,
        "The logged model does not answer as the engine does; nothing was registered.",
    )


def _new_environment(logged: str, scratch: Path) -> str:
    """Return the Python of an environment with the logged requirements, made by uv."""
    root = scratch / "environments"
    # Only the installer sees these: an index may take a password.
    of_installers = {k: v for k, v in os.environ.items() if k.startswith(("UV_", "PIP_"))}
    _run(
        [*_MLFLOW, "models", "prepare-env", "--env-manager", "uv", "-m", logged],
        sys.executable,
        scratch,
        "No clean environment could be made of the logged requirements; nothing was registered. "
        "It takes uv and a package index; --no-clean-environment leaves it out, and the version "
        "then says that it was not validated.",
        **of_installers,
        MLFLOW_ENV_ROOT=str(root),
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    )
    return str(next(root.glob("*/bin/python")))


def _run(command: list[str], python: str, scratch: Path, failed: str, **variables: str) -> None:
    done = subprocess.run(
        command,
        cwd=scratch,
        env=clean_variables(python) | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()[-_LINES:]
        raise BuildError("\n".join([failed, *said]))


def clean_variables(python: str = sys.executable) -> dict[str, str]:
    """Return the variables of a process that sees neither credentials nor this repository."""
    keep = ("HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    # mlflow starts uvicorn and uv by their names
    folders = dict.fromkeys(str(Path(each).parent) for each in (python, sys.executable))
    return {
        "PATH": os.pathsep.join([*folders, os.environ.get("PATH", "")]),
        **{name: os.environ[name] for name in keep if name in os.environ},
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
