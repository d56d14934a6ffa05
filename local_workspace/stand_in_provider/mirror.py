"""The folder from which Terraform installs the stand-in provider."""

from __future__ import annotations

import json
import os
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.99.0"
SOURCE = "databricks/databricks"
# The address under which Terraform knows the provider; nothing is fetched from there.
_ADDRESS = f"registry.terraform.io/{SOURCE}"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class MirrorInfo:
    """The files that were written: mirror, configuration file for Terraform, wrapper."""

    mirror: Path
    terraformrc: Path
    wrapper: Path


def write_mirror(folder: Path, python: Path) -> MirrorInfo:
    """Write a filesystem mirror that holds the stand-in, and the configuration that names it.

    Parameters
    ----------
    folder
        Gets ``mirror/`` and ``terraformrc``; made when absent. Both hold absolute paths.
    python
        The interpreter of the environment with grpcio, protobuf, cryptography, msgpack and tf.
    """
    folder = folder.resolve()
    machine = platform.machine()
    target = f"{platform.system().lower()}_{_ARCHITECTURES.get(machine, machine)}"
    package = folder / "mirror" / _ADDRESS / VERSION / target
    package.mkdir(parents=True, exist_ok=True)
    wrapper = package / f"terraform-provider-databricks_v{VERSION}"
    program = Path(__file__).with_name("__main__.py").absolute()
    # Not resolved: an environment's interpreter is a link, and its name finds the environment.
    command = f"exec {shlex.quote(str(python.absolute()))} -I {shlex.quote(str(program))}"
    _put(wrapper, f"#!/bin/sh\n{command}\n", mode=0o755)
    return MirrorInfo(folder / "mirror", write_terraformrc(folder, folder / "mirror"), wrapper)


def write_terraformrc(folder: Path, mirror: Path) -> Path:
    """Write the file that makes Terraform take this provider from `mirror` and no other place."""
    terraformrc = folder.resolve() / "terraformrc"
    terraformrc.parent.mkdir(parents=True, exist_ok=True)
    _put(
        terraformrc,
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path    = {json.dumps(str(mirror.resolve()))}\n"
        f'    include = ["{_ADDRESS}"]\n'
        "  }\n"
        "}\n"
        "disable_checkpoint = true\n",
    )
    return terraformrc


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file at once: another Terraform may be starting the provider right now."""
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)
