"""From a checkpoint directory to a registered, validated model version.

Steps: compare the checkpoint with upstream, evaluate it on labelled cells, log it with MLflow, ask
what was logged in a process and an environment of its own, register it with the evidence. A version
therefore exists only when it has already answered correctly over HTTP. The same checkpoint with the
same code, signature, packages, settings and labelled cells is the same version, found again.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo

from . import pyfunc, registry
from .evidence.baseline import FILE as BASELINE
from .evidence.card import model_card
from .evidence.clean import validate
from .evidence.evaluation import Evaluation, evaluate_checkpoint
from .evidence.labelled import Labelled
from .evidence.parity import Parity, compare
from .judge.metrics import Score
from .registry import Version
from .scgpt.embedder import Embedder
from .serve.volumes import check_prefixes

PACKAGE = Path(__file__).parent
ENTRY = PACKAGE / "pyfunc.py"
ENGINE_PREFIX = "scgpt_engine_"  # of the package that a version carries; its digest follows
REQUIREMENTS = ("mlflow", "torch", "numpy", "scipy", "pandas", "anndata", "h5py")
HVG_REQUIREMENTS = ("scanpy", "scikit-misc")  # for subset_hvg; heavy, so only where asked for
Notify = Callable[[str], None]


@dataclass(frozen=True)
class BuildResult:
    """A registered version and what it is made of.

    Parameters
    ----------
    reused
        The registry held this very version already.
    validated
        It answered correctly in a clean environment.
    metrics
        Scores on the labelled cells; empty if it was never evaluated.
    parity
        Largest difference from upstream scGPT; None if it was never compared.
    """

    model: str
    version: int
    run_id: str
    checkpoint_sha256: str
    signature_digest: str
    engine_digest: str
    reused: bool
    validated: bool = False
    metrics: Mapping[str, Score] = field(default_factory=dict)
    parity: float | None = None


def build(
    checkpoint: Path,
    *,
    model: str,
    experiment: str,
    git_commit: str,
    labelled: Labelled | None = None,
    champion: Version | None = None,
    origin: Mapping[str, str] | None = None,
    clean_environment: bool = True,
    allowed_path_prefixes: Sequence[str] = (),
    with_hvg: bool = False,
    torch: str | None = None,
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
    labelled
        Cells to evaluate the checkpoint on; without them it is not evaluated.
    champion
        The version that is live, which is evaluated beside it.
    origin
        Tags ``registry.LICENCE`` and ``registry.PROVENANCE``, where they are known.
    clean_environment
        Validate in an environment made of the logged requirements. Otherwise it is validated with
        the packages of this process, and says that it was not validated.
    allowed_path_prefixes
        Folders below ``/Volumes`` from which ``input_data_path`` may be read; by default none.
    with_hvg
        Install what ``subset_hvg`` needs in the served image; without it, it is refused.
    torch
        Release of torch in the served image; by default the one that is installed here.
    notify
        Called with a sentence as each step begins.
    force
        Build a new version even when an equal one is registered.

    Raises
    ------
    CheckpointError
        The directory is no complete scGPT checkpoint, or a prefix is no folder below
        ``/Volumes``. Nothing was logged.
    RegistryError
        There is no such model. Nothing was logged.
    BuildError
        Upstream's embeddings are others, or what was logged does not answer as the engine does.
        Nothing was registered.
    """
    settings = model_settings(allowed_path_prefixes, with_hvg=with_hvg)
    packages = requirements(with_hvg=with_hvg, torch=torch)
    notify("reading the checkpoint")
    embedder = Embedder.load(checkpoint)
    digests = _digests(embedder, packages, settings)
    wanted = digests if labelled is None else {**digests, registry.EVALUATED_ON: labelled.digest}
    known = None if force else _registered(model, wanted)
    with tempfile.TemporaryDirectory(prefix="scgpt-build-") as scratch:
        here = Path(scratch)
        if known is not None:
            if clean_environment and not known.validated:
                known = _validated(known, embedder, here, notify)
            return _result(registry.tag(known, origin or {}), reused=True)
        findings = _examined(checkpoint, embedder, labelled, champion, notify)
        tags = {**digests, registry.COMMIT: git_commit, **(origin or {})}
        notify("logging the model")
        info = _log(
            checkpoint, embedder, _Run(experiment, tags, packages, settings, here), findings
        )
        how = "in a clean environment" if clean_environment else "with the packages of this one"
        notify(f"validating it in a process of its own, {how}, in memory and over HTTP")
        validate(info.model_uri, embedder, here, clean=clean_environment)
    notify("registering the version")
    tags[registry.VALIDATED] = str(clean_environment).lower()
    return _result(_register(model, info, embedder, tags, findings), reused=False)


def _digests(
    embedder: Embedder, packages: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return the digests by which a version is found again, whatever it was evaluated on."""
    return {
        registry.CHECKPOINT: embedder.digest,
        registry.SIGNATURE: signature_digest(pyfunc.signature()),
        registry.ENGINE: engine_digest(),
        registry.IMAGE: image_digest(packages, settings),
    }


def _validated(known: Version, embedder: Embedder, scratch: Path, notify: Notify) -> Version:
    """Validate a version that was registered without a clean environment."""
    notify("validating it in a clean environment")
    validate(f"models:/{known.model}/{known.number}", embedder, scratch, clean=True)
    return registry.tag(known, {registry.VALIDATED: "true"})


@dataclass(frozen=True)
class _Findings:
    """Facts that are found out about a checkpoint before it is logged."""

    parity: Parity
    evaluation: Evaluation | None

    @property
    def tags(self) -> dict[str, str]:
        return self.parity.tags | (self.evaluation.tags if self.evaluation else {})


def _examined(
    checkpoint: Path,
    embedder: Embedder,
    labelled: Labelled | None,
    champion: Version | None,
    notify: Notify,
) -> _Findings:
    """Compare a checkpoint with upstream, and evaluate it where there are labelled cells."""
    parity = compare(checkpoint, embedder, labelled)
    notify(str(parity))
    if labelled is None:
        return _Findings(parity, None)
    return _Findings(parity, evaluate_checkpoint(embedder, labelled, champion, notify))


def engine_digest() -> str:
    """Return the sha256 over the code that a logged model carries: equal code, equal digest."""
    digest = hashlib.sha256()
    for path in engine_modules():
        name = path.relative_to(PACKAGE).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def engine_modules() -> list[Path]:
    """Return the modules of this package that the pyfunc imports, and no others."""
    return modules_of(ENTRY)


def modules_of(entry: Path) -> list[Path]:
    """Return a module of this package and those that it imports, directly or not.

    A package on the way to a module counts too: Python runs its ``__init__.py`` first.
    """
    found: set[Path] = set()
    waiting = {entry}
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
    copy_modules(ENTRY, folder / "code" / name)
    entry = folder / "scgpt_entry.py"
    entry.write_text(
        "import mlflow\n\n"
        f"from {name}.pyfunc import ScgptModel\n\n"
        "mlflow.models.set_model(ScgptModel())\n"
    )
    return entry


def copy_modules(entry: Path, folder: Path) -> None:
    """Copy a module and all that it imports from this package; their imports are relative."""
    for path in modules_of(entry):
        copy = folder / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def signature_digest(signature: ModelSignature) -> str:
    """sha256 of the signature's canonical JSON."""
    text = json.dumps(signature.to_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def image_digest(packages: Sequence[str], settings: Mapping[str, Any]) -> str:
    """sha256 over what is served beside the engine: Python, pinned packages, model settings."""
    # MLflow logs the Python that logs; the image is made with that one.
    text = json.dumps([platform.python_version(), list(packages), settings], sort_keys=True)
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


def requirements(*, with_hvg: bool = False, torch: str | None = None) -> list[str]:
    """Return the few packages of the served image, each pinned to the version tested here.

    Torch is pinned to the given release, where one is given: ``make torch-range`` tests others.
    """
    names = REQUIREMENTS + (HVG_REQUIREMENTS if with_hvg else ())
    chosen = {"torch": torch} if torch else {}
    return [f"{name}=={chosen.get(name) or installed(name).split('+')[0]}" for name in names]


@dataclass(frozen=True)
class _Run:
    """The place and the parts of a model that is logged."""

    experiment: str
    tags: dict[str, str]
    packages: list[str]
    settings: dict[str, Any]
    scratch: Path


def _log(
    checkpoint: Path, embedder: Embedder, run: _Run, findings: _Findings | None = None
) -> ModelInfo:
    """Log the model, and what was found out about it, to a run of the experiment."""
    entry = ship_engine(run.scratch)
    code = run.scratch / "code"
    artifacts = {"checkpoint": str(checkpoint)}
    if findings is not None and findings.evaluation is not None:
        file = run.scratch / BASELINE
        file.write_text(json.dumps(findings.evaluation.baseline))
        artifacts["baseline"] = str(file)
    mlflow.set_experiment(run.experiment)
    with importable(code), mlflow.start_run(tags=run.tags):
        mlflow.log_params(
            {f"checkpoint.{key}": value for key, value in asdict(embedder.config).items()}
            | {f"settings.{key}": value for key, value in run.settings.items()}
        )
        info: ModelInfo = mlflow.pyfunc.log_model(
            name="scgpt",
            python_model=str(entry),
            artifacts=artifacts,
            code_paths=[str(package) for package in code.iterdir()],
            signature=pyfunc.signature(),
            input_example=pyfunc.input_example(embedder.vocab),
            pip_requirements=run.packages,
            model_config=run.settings,
            metadata=run.tags,
        )
        if findings is not None:
            _log_metrics(findings, info.model_id)
        return info


def _log_metrics(findings: _Findings, model_id: str | None) -> None:
    """Log figures to the run and to the logged model."""
    mlflow.log_metrics(findings.parity.metrics, model_id=model_id)
    if (evaluation := findings.evaluation) is not None:
        mlflow.log_input(evaluation.dataset, context="evaluation")
        mlflow.log_metrics(dict(evaluation.metrics), dataset=evaluation.dataset, model_id=model_id)


def _register(
    model: str, info: ModelInfo, embedder: Embedder, tags: dict[str, str], findings: _Findings
) -> Version:
    """Make a version of what was logged, with its evidence as tags and as a card."""
    told = tags | findings.tags
    created = MlflowClient().create_model_version(
        model,
        info.model_uri,
        run_id=info.run_id,
        tags=told,
        description=model_card(embedder, told, findings.evaluation, findings.parity),
        model_id=info.model_id,
    )
    return registry.get(model, int(created.version))


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


def _registered(model: str, digests: Mapping[str, str]) -> Version | None:
    """Return the newest finished version with these digests; remove what stopped builds left.

    Raises
    ------
    RegistryError
        There is no such model.
    """
    registry.aliases(model)
    found = registry.with_digests(model, digests)
    for version in found:
        if version.status != registry.READY:
            MlflowClient().delete_model_version(model, str(version.number))
    return next((version for version in found if version.status == registry.READY), None)


def _result(version: Version, *, reused: bool) -> BuildResult:
    return BuildResult(
        model=version.model,
        version=version.number,
        run_id=version.run_id,
        checkpoint_sha256=version.tags[registry.CHECKPOINT],
        signature_digest=version.tags[registry.SIGNATURE],
        engine_digest=version.tags[registry.ENGINE],
        reused=reused,
        validated=version.validated,
        metrics=version.metrics,
        parity=float(version.tags[registry.PARITY]) if registry.PARITY in version.tags else None,
    )
