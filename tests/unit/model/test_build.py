"""What a logged model carries. Building itself is in the acceptance tests."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
import pytest

from scgpt_databricks.model import build, pyfunc
from scgpt_databricks.model.build import (
    engine_digest,
    engine_modules,
    requirements,
)
from scgpt_databricks.model.errors import CheckpointError
from scgpt_databricks.model.evidence.clean import clean_variables
from scgpt_databricks.model.scgpt.embedder import Embedder

PACKAGE = Path(build.__file__).parent


def test_the_engine_is_what_the_pyfunc_imports() -> None:
    """Asked of Python itself, in a process that has the package alone."""
    script = (
        "import sys, scgpt_databricks.model.pyfunc;"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('scgpt_databricks.m')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    imported = {Path(file) for file in done.stdout.split()}
    carried = set(engine_modules())
    assert imported <= carried
    # The others are imported inside a function, or by a module that is.
    late = carried - imported
    text, late_text = ("".join(path.read_text() for path in some) for some in (carried, late))
    for path in late:
        line = rf"from \.[\w.]*{path.stem} import"
        assert re.search(f"^    +{line}", text, re.M) or re.search(f"^{line}", late_text, re.M), (
            path
        )


def test_the_engine_is_nothing_else() -> None:
    carried = {path.relative_to(PACKAGE).as_posix() for path in engine_modules()}
    assert carried.isdisjoint({"build.py", "validation.py", "scgpt/demo.py"})
    assert not any(name.startswith(("client/", "batch/")) for name in carried)
    roots = set()
    for path in engine_modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                roots.add(str(node.module).split(".")[0])
    foreign = roots - set(sys.stdlib_module_names)
    assert foreign <= {*build.REQUIREMENTS, *build.HVG_REQUIREMENTS}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that may be changed."""
    copy = tmp_path / "model"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build, "PACKAGE", copy)
    monkeypatch.setattr(build, "ENTRY", copy / "pyfunc.py")
    return copy


def test_every_carried_module_counts(package: Path) -> None:
    digests = {engine_digest()}
    for path in engine_modules():
        path.write_text(path.read_text() + "\n# another line\n")
        digests.add(engine_digest())
    assert len(digests) == len(engine_modules()) + 1


def test_other_code_does_not_count(package: Path) -> None:
    before = engine_digest()
    for name in ("build.py", "validation.py", "scgpt/demo.py", "client/embed.py"):
        (package / name).write_text("")
    assert engine_digest() == before


def test_the_digest_does_not_depend_on_the_place(package: Path) -> None:
    there = engine_digest()
    build.PACKAGE, build.ENTRY = PACKAGE, PACKAGE / "pyfunc.py"
    assert engine_digest() == there


def test_a_module_that_is_imported_from_now_on_is_carried(package: Path) -> None:
    (package / "extra.py").write_text("VALUE = 1\n")
    entry = package / "pyfunc.py"
    entry.write_text(entry.read_text() + "\nfrom . import extra\n")
    assert package / "extra.py" in engine_modules()


def test_requirements_are_pinned_to_what_runs_here() -> None:
    for requirement in requirements():
        assert re.fullmatch(r"[a-z0-9]+==[0-9][0-9a-z.]*", requirement)
        name, _, pinned = requirement.partition("==")
        assert version(name).split("+")[0] == pinned
    assert not any(line.startswith(("databricks", "cdktf", "click")) for line in requirements())


def test_scanpy_is_installed_only_where_it_is_asked_for() -> None:
    added = set(requirements(with_hvg=True)) - set(requirements())
    assert added == {f"{name}=={version(name)}" for name in ("scanpy", "scikit-misc")}


def test_another_torch_is_another_version() -> None:
    chosen = requirements(torch="2.10.0")  # neither the oldest, nor the locked, nor the newest
    assert "torch==2.10.0" in chosen
    assert len(set(chosen) - set(requirements())) == 1, "the others stay as they are here"
    assert build.image_digest(chosen, {}) != build.image_digest(requirements(), {})


def test_packages_and_settings_make_another_version() -> None:
    settings = build.model_settings(["/Volumes/b/c", "/Volumes/a/b/", "/Volumes/a/b"])
    assert settings == {"allowed_path_prefixes": ["/Volumes/a/b", "/Volumes/b/c"]}
    assert build.model_settings([]) == {}
    assert build.model_settings([], with_hvg=True) == {"with_hvg": True}
    digests = {
        build.image_digest(packages, chosen)
        for packages in (requirements(), requirements(with_hvg=True))
        for chosen in (settings, {})
    }
    assert len(digests) == 4
    assert build.image_digest(requirements(), {}) in digests


@pytest.mark.parametrize("prefix", ["/", "/etc", "/Volumes", "/Volumes/a/../../etc"])
def test_only_folders_of_volumes_may_be_opened(prefix: str) -> None:
    with pytest.raises(CheckpointError, match="allowed_path_prefixes holds"):
        build.model_settings([prefix])


def test_what_was_chosen_is_in_the_logged_model(
    checkpoint: Path, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.setenv(name, "")  # mlflow sets both; they are unset again after the test
    monkeypatch.chdir(tmp_path)  # where mlflow puts the files of a model
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    try:
        settings = {"allowed_path_prefixes": ["/Volumes/main/x"], "device": "cpu"}
        packages = requirements(with_hvg=True)
        run = build._Run("settings", {"validated": "true"}, packages, settings, tmp_path)
        info = build._log(checkpoint, embedder, run)
        folder = Path(mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(tmp_path)))
        loaded = mlflow.pyfunc.load_model(str(folder)).unwrap_python_model()
    finally:
        mlflow.set_tracking_uri(before)
    assert loaded.folders == (Path("/Volumes/main/x"),)
    assert set(packages) <= set((folder / "requirements.txt").read_text().splitlines())


def test_the_signature_digest_tells_signatures_apart() -> None:
    signature = pyfunc.signature()
    assert build.signature_digest(signature) == build.signature_digest(pyfunc.signature())
    signature.params = None
    assert build.signature_digest(signature) != build.signature_digest(pyfunc.signature())


def test_validation_sees_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABRICKS_TOKEN", "DATABRICKS_CONFIG_FILE", "PYTHONPATH", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "secret")
    found = clean_variables()
    assert "secret" not in found.values()
    assert found["PATH"].startswith(str(Path(sys.executable).parent))
