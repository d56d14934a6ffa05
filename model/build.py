"""From a checkpoint directory to a registered, validated model version.

Four steps: gather the artefacts, log them with MLflow, validate what was logged in a process of its
own that knows nothing of this repository, register. A version therefore exists only when it has
already answered correctly over HTTP. Each step is idempotent: the same checkpoint with the same
code, signature, packages and settings is the same version.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature

from . import pyfunc
from .errors import BuildError
from .scgpt.embedder import Embedder
from .serve.volumes import check_prefixes

PACKAGE = Path(__file__).parent
ENTRY = PACKAGE / "pyfunc.py"
ENGINE_PREFIX = "scgpt_engine_"  # of the package that a version carries; its digest follows
VALIDATION = PACKAGE / "validation.py"
REQUIREMENTS = ("mlflow", "torch", "numpy", "scipy", "pandas", "anndata", "h5py")
HVG_REQUIREMENTS = ("scanpy", "scikit-misc")  # for subset_hvg; heavy, so only where asked for
READY = "READY"

Notify = Callable[[str], None]


@dataclass(frozen=True)
class BuildResult:
    """A registered version and what it is made of.

    ``reused`` is True when the registry held this very version already.
    """

    model: str
    version: int
    run_id: str
    checkpoint_sha256: str
    signature_digest: str
    engine_digest: str
    reused: bool


def build(
    checkpoint: Path,
    *,
    model: str,
    experiment: str,
    git_commit: str,
    allowed_path_prefixes: Sequence[str] = (),
    with_hvg: bool = False,
    notify: Notify = lambda message: None,
    force: bool = False,
) -> BuildResult:
    """Build a version of `model` from a checkpoint directory, or find the one that exists.

    The tracking and registry URIs of the process decide where (``mlflow.set_tracking_uri``).

    Parameters
    ----------
    checkpoint
        Directory with ``best_model.pt``, ``args.json``, ``vocab.json``.
    model
        Full name of the registered model, ``catalog.schema.model``.
    experiment
        Workspace path of the MLflow experiment.
    git_commit
        Recorded as a tag.
    allowed_path_prefixes
        Folders below ``/Volumes`` from which ``input_data_path`` may be read; by default none.
    with_hvg
        Install what ``subset_hvg`` needs in the served image; without it, it is refused.
    notify
        Called with a sentence as each step begins.
    force
        Build a new version even when an equal one is registered.

    Raises
    ------
    CheckpointError
        The directory is no complete scGPT checkpoint, or a prefix is no folder below
        ``/Volumes``. Nothing was logged.
    BuildError
        What was logged does not answer as the engine does. Nothing was registered.
    """
    settings = model_settings(allowed_path_prefixes, with_hvg=with_hvg)
    packages = requirements(with_hvg=with_hvg)
    notify("reading the checkpoint")
    embedder = Embedder.load(checkpoint)
    signature = pyfunc.signature()
    tags = {
        "validated": "true",
        "checkpoint_sha256": embedder.digest,
        "signature_digest": signature_digest(signature),
        "engine_digest": engine_digest(),
        "image_digest": image_digest(packages, settings),
        "git_commit": git_commit,
    }
    client = MlflowClient()
    known = _registered(client, model, tags)
    if known is not None and not force:
        return _result(known, tags, reused=True)
    with tempfile.TemporaryDirectory(prefix="scgpt-build-") as scratch:
        notify("logging the model")
        run = _Run(experiment, tags, packages, settings, Path(scratch))
        info = _log(checkpoint, embedder, signature, run)
        notify("validating it in a process of its own, in memory and over HTTP")
        _validate(info.model_uri, embedder, Path(scratch))
    notify("registering the version")
    registered = mlflow.register_model(info.model_uri, model, tags=tags)
    return _result(client.get_model_version(model, registered.version), tags, reused=False)


def engine_digest() -> str:
    """Return the sha256 over the code that a logged model carries: equal code, equal digest."""
    digest = hashlib.sha256()
    for path in engine_modules():
        name = path.relative_to(PACKAGE).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def engine_modules() -> list[Path]:
    """Return the modules of this package that the pyfunc imports, directly or not, and no others.

    A package on the way to a module counts too: Python runs its ``__init__.py`` first.
    """
    found: set[Path] = set()
    waiting = {ENTRY}
    while waiting:
        path = waiting.pop()
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                waiting |= {*_modules_at(folder)}
                waiting |= {m for alias in node.names for m in _modules_at(folder / alias.name)}
        waiting |= {parent / "__init__.py" for parent in path.parents if PACKAGE in parent.parents}
        waiting -= found
    return sorted(found | {PACKAGE / "__init__.py"})


def _modules_at(path: Path) -> list[Path]:
    """Return the module or the package of this path, where there is one."""
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def ship_engine(folder: Path) -> Path:
    """Copy the engine into `folder` under a name of its own, and write the file that starts it.

    The name holds the engine's digest. Two versions in one process, or somebody's own module
    ``model``, therefore never meet. Imports inside the engine are relative, so that a copy is all
    that it takes.

    Returns
    -------
    pathlib.Path
        The entry file for MLflow (models-from-code). It lies beside ``code/``, which holds the
        package.
    """
    name = f"{ENGINE_PREFIX}{engine_digest()[:12]}"
    for path in engine_modules():
        copy = folder / "code" / name / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    entry = folder / "scgpt_entry.py"
    entry.write_text(
        "import mlflow\n\n"
        f"from {name}.pyfunc import ScgptModel\n\n"
        "mlflow.models.set_model(ScgptModel())\n"
    )
    return entry


def signature_digest(signature: ModelSignature) -> str:
    """sha256 of the signature's canonical JSON."""
    text = json.dumps(signature.to_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def image_digest(packages: Sequence[str], settings: Mapping[str, Any]) -> str:
    """sha256 over what is served beside the engine: pinned packages, and settings of the model."""
    text = json.dumps([list(packages), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def model_settings(
    allowed_path_prefixes: Sequence[str], *, with_hvg: bool = False
) -> dict[str, Any]:
    """The model config that is logged; what is left to its default is left out."""
    folders = sorted({str(folder) for folder in check_prefixes(allowed_path_prefixes)})
    return {
        **({"allowed_path_prefixes": folders} if folders else {}),
        **({"with_hvg": True} if with_hvg else {}),
    }


def requirements(*, with_hvg: bool = False) -> list[str]:
    """Return the few packages of the served image, each pinned to the version tested here."""
    names = REQUIREMENTS + (HVG_REQUIREMENTS if with_hvg else ())
    return [f"{name}=={installed(name).split('+')[0]}" for name in names]


@dataclass(frozen=True)
class _Run:
    """The place and the parts of a model that is logged."""

    experiment: str
    tags: dict[str, str]
    packages: list[str]
    settings: dict[str, Any]
    scratch: Path


def _log(checkpoint: Path, embedder: Embedder, signature: ModelSignature, run: _Run) -> Any:
    entry = ship_engine(run.scratch)
    code = run.scratch / "code"
    mlflow.set_experiment(run.experiment)
    with importable(code), mlflow.start_run(tags=run.tags):
        mlflow.log_params(
            {f"checkpoint.{key}": value for key, value in asdict(embedder.config).items()}
            | {f"settings.{key}": value for key, value in run.settings.items()}
        )
        return mlflow.pyfunc.log_model(
            name="scgpt",
            python_model=str(entry),
            artifacts={"checkpoint": str(checkpoint)},
            code_paths=[str(package) for package in code.iterdir()],
            signature=signature,
            input_example=pyfunc.input_example(embedder.vocab),
            pip_requirements=run.packages,
            model_config=run.settings,
            metadata=run.tags,
        )


@contextmanager
def importable(code: Path) -> Iterator[None]:
    """Let MLflow import the shipped engine while it logs, and forget the copy afterwards."""
    sys.path.insert(0, str(code))
    try:
        yield
    finally:
        sys.path.remove(str(code))
        for name in [n for n in sys.modules if n.startswith(ENGINE_PREFIX)]:
            del sys.modules[name]


def _validate(model_uri: str, embedder: Embedder, scratch: Path) -> None:
    """Load the logged model where this repository is out of reach, ask it, compare with the
    engine.
    """
    logged = mlflow.artifacts.download_artifacts(model_uri, dst_path=str(scratch / "logged"))
    example = pyfunc.validation_cells(embedder.vocab)
    expected = embedder.embed_cells(*example).embeddings
    np.save(scratch / "expected.npy", expected)
    payloads = pyfunc.validation_payloads(*example)
    (scratch / "payloads.json").write_text(json.dumps(payloads))
    script = shutil.copy(VALIDATION, scratch / "validation.py")
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            script,
            logged,
            str(scratch / "expected.npy"),
            str(scratch / "payloads.json"),
        ],
        cwd=scratch,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(
            "The logged model does not answer as the engine does; nothing was registered.\n"
            + "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        )


def clean_environment() -> dict[str, str]:
    """The variables of a process that must see neither credentials nor this repository."""
    keep = ("HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    return {
        # mlflow starts uvicorn by its name
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        **{name: os.environ[name] for name in keep if name in os.environ},
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _registered(client: MlflowClient, model: str, tags: dict[str, str]) -> ModelVersion | None:
    """The newest finished version with these digests; unfinished ones of a stopped build are
    removed.
    """
    same = ("checkpoint_sha256", "signature_digest", "engine_digest", "image_digest")
    found = None
    for entry in client.search_model_versions(f"name='{model}'"):
        version = client.get_model_version(model, entry.version)
        if any(version.tags.get(key) != tags[key] for key in same):
            continue
        if version.status != READY:
            client.delete_model_version(model, version.version)
        elif found is None or int(version.version) > int(found.version):
            found = version
    return found


def _result(version: ModelVersion, tags: dict[str, str], *, reused: bool) -> BuildResult:
    return BuildResult(
        model=version.name,
        version=int(version.version),
        run_id=version.run_id or "",
        checkpoint_sha256=tags["checkpoint_sha256"],
        signature_digest=tags["signature_digest"],
        engine_digest=tags["engine_digest"],
        reused=reused,
    )
