"""The wheels of the jobs: what runs on Databricks' compute, and nothing more.

Each is put together here and not by a build tool, because its digest is part of the plan: the same
sources give the same bytes on every machine, and a synthesis knows the digest without a build. It
holds the packages that jobs run, so that a change elsewhere is no new wheel, and asks for nothing
that serverless compute would have to install for minutes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = "scgpt-jobs"
VERSION = "0.1.0"
ENTRY_POINTS = {
    "scgpt-drift": "scgpt_databricks.scripts.monitoring.drift:main",
    "scgpt-device": "scgpt_databricks.scripts.monitoring.device:main",
    "scgpt-retention": "scgpt_databricks.scripts.monitoring.retention:main",
    "scgpt-monitor": "scgpt_databricks.scripts.monitoring.error_rate:main",
    "scgpt-unpack": "scgpt_databricks.scripts.monitoring.unpack:main",
}

_FOLDER = Path(__file__).parents[1]
"""The one importable package, under whose name jobs import the same modules as everybody."""
_SOURCES = (
    "__init__.py",
    "infra/__init__.py",
    "infra/errors.py",
    "infra/monitoring",
    "infra/naming.py",
    "model/__init__.py",
    "model/batch/__init__.py",
    "model/batch/payloads.py",
    "model/cells",
    "model/contract.py",
    "model/errors.py",
    "model/evidence/__init__.py",
    "model/evidence/reference.py",
    "model/judge/__init__.py",
    "model/judge/drift",
    "model/wire",
    "scripts/__init__.py",
    "scripts/monitoring",
)
"""Files and folders."""
TABLES = "scgpt-tables"
"""The wheel of what embeds tables of cells on a cluster, apart from the other: it changes often."""
TABLES_ENTRY_POINTS = {"scgpt-embed-table": "scgpt_databricks.model.batch.spark.main:main"}
_TABLES_SOURCES = (
    "__init__.py",
    "model/__init__.py",
    "model/contract.py",
    "model/errors.py",
    "model/batch/__init__.py",
    "model/batch/spark",
    "model/cells",
    "model/scgpt",
    "model/serve",
    "model/wire",
)
DEPLOYMENT = "scgpt-deployment"
"""The wheel of the deployment job, which brings the model's own code."""
DEPLOYMENT_ENTRY_POINTS = {
    "scgpt-deployment": "scgpt_databricks.scripts.release.deployment_job:main"
}
_DEPLOYMENT_SOURCES = (
    "__init__.py",
    "quartz.py",
    "whole_file.py",
    *(
        f"infra/{name}"
        for name in (
            *("__init__.py", "errors.py", "layout.py", "naming.py", "plain_secrets.py"),
            *("problems.py", "release.py", "settings", "sizes.py", "torches.py"),
        )
    ),
    *(
        f"model/{name}"
        for name in (
            *("__init__.py", "contract.py", "errors.py", "pyfunc.py", "registry.py"),
            *("side_by_side.py", "cells", "evidence", "judge", "scgpt", "serve", "wire"),
        )
    ),
    "scripts/__init__.py",
    *(f"scripts/{name}.py" for name in ("commit", "ledger", "volume")),
    *(
        f"scripts/release/{name}.py"
        for name in ("__init__", "copy", "deployment_job", "evidence", "text", "vocabulary")
    ),
)
# Named as ranges: the versions that are judged bring the pins that they are served with.
_DEPLOYMENT_REQUIRES = (
    *("anndata>=0.11", "databricks-sdk>=0.64", "h5py>=3.10", "mlflow==3.17.2", "numpy>=1.26"),
    *("pandas>=2.1", "pydantic>=2.10", "scanpy>=1.10", "scikit-learn>=1.7", "scipy>=1.12"),
    "torch>=2.11",
)
_SUFFIXES = (".py", ".sql")
_METADATA = """\
Metadata-Version: 2.1
Name: {package}
Version: {version}
Summary: Jobs around the scGPT endpoint
Requires-Python: >=3.10
"""
_WHEEL = """\
Wheel-Version: 1.0
Generator: scgpt
Root-Is-Purelib: true
Tag: py3-none-any
"""


@dataclass(frozen=True)
class Wheel:
    """A built wheel."""

    content: bytes
    package: str = PACKAGE

    @property
    def file_name(self) -> str:
        return f"{_module(self.package)}-{VERSION}-py3-none-any.whl"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@cache
def wheel() -> Wheel:
    """Return the wheel of the jobs around the endpoint, of the sources as they are."""
    return _built(PACKAGE, ENTRY_POINTS, _SOURCES, ("databricks-sdk",))


@cache
def tables_wheel() -> Wheel:
    """Return the wheel that embeds tables of cells; the cluster brings what it needs."""
    return _built(TABLES, TABLES_ENTRY_POINTS, _TABLES_SOURCES, ())


@cache
def deployment_wheel() -> Wheel:
    """Return the wheel of the deployment job."""
    entries, sources = DEPLOYMENT_ENTRY_POINTS, _DEPLOYMENT_SOURCES
    return _built(DEPLOYMENT, entries, sources, _DEPLOYMENT_REQUIRES)


def _built(
    package: str,
    entry_points: Mapping[str, str],
    sources: Sequence[str],
    requirements: Sequence[str],
) -> Wheel:
    info = f"{_module(package)}-{VERSION}.dist-info"
    metadata = _METADATA.format(package=package, version=VERSION)
    metadata += "".join(f"Requires-Dist: {each}\n" for each in requirements)
    files = [
        (path.relative_to(_FOLDER.parent).as_posix(), path.read_bytes()) for path in _found(sources)
    ]
    entries = "".join(f"{name} = {target}\n" for name, target in sorted(entry_points.items()))
    files += [
        (f"{info}/METADATA", metadata.encode()),
        (f"{info}/WHEEL", _WHEEL.encode()),
        (f"{info}/entry_points.txt", f"[console_scripts]\n{entries}".encode()),
    ]
    record = f"{info}/RECORD"
    files.append((record, ("".join(map(_recorded, files)) + f"{record},,\n").encode()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files:
            # Stored, at the oldest moment that a zip file knows: compressors and clocks differ.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return Wheel(buffer.getvalue(), package)


def _module(package: str) -> str:
    return package.replace("-", "_")


def _found(sources: Sequence[str]) -> Iterator[Path]:
    for source in sources:
        path = _FOLDER / source
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (each for each in found if each.suffix in _SUFFIXES)


def _recorded(file: tuple[str, bytes]) -> str:
    name, content = file
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"
