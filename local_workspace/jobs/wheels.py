"""Wheels in volumes, installed for the jobs that name them: one folder per content."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from ..catalog import files
from ..core.errors import ApiError
from ..core.workspace import Principal, Workspace


class WheelError(Exception):
    """A wheel cannot be installed; the message says which one and why."""


def is_wheel(dependency: str) -> bool:
    """Return whether a dependency is a wheel in the workspace, not a requirement."""
    return dependency.removeprefix("dbfs:").startswith("/") and dependency.endswith(".whl")


async def install(workspace: Workspace, principal: Principal, wheel: str) -> Path:
    """Return the folder that has the contents of a wheel, without what it depends on.

    Parameters
    ----------
    wheel
        Path below ``/Volumes``.

    Raises
    ------
    WheelError
        It is not there, the principal may not read it, or it is no wheel.
    """
    path = wheel.removeprefix("dbfs:")
    if not path.startswith("/Volumes/"):
        raise WheelError(f"{wheel}: a wheel must lie in a volume, below /Volumes.")
    try:
        files.authorise(workspace, principal, path, write=False)
        file = files.resolve(workspace, path)
    except ApiError as error:
        raise WheelError(f"{wheel}: {error.message}") from error
    if not file.is_file():
        raise WheelError(f"{wheel} does not exist.")
    content = file.read_bytes()
    target = workspace.folder / "wheels" / hashlib.sha256(content).hexdigest()
    if not target.exists():
        await asyncio.to_thread(_install, file.name, content, target)
    return target


def _install(name: str, content: bytes, target: Path) -> None:
    """Install what was read, not what lies there by now; the folder appears when it is complete."""
    new = target.with_name(f"new-{uuid.uuid4().hex}")
    wheel = new / "wheel" / name
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(content)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--disable-pip-version-check", "--target", str(new / "site"), str(wheel)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WheelError(f"{name} cannot be installed: {done.stderr.strip()}")
        if not target.exists():
            (new / "site").rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
