"""What a version carries, loaded where nothing else of this repository is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model import build, pyfunc
from scgpt_databricks.model.evidence.clean import clean_variables
from scgpt_databricks.model.scgpt.embedder import Embedder

PACKAGE = Path(build.__file__).parent
CARRIED = [path.relative_to(PACKAGE) for path in build.engine_modules()]
ROOMS = {path.parts[0]: path for path in CARRIED if path.stem != "__init__"}
"""A room's name, or that of a module beside the rooms -> one of its modules."""

TURNED = """

_straight = ScgptEngine.embed_cells


def _turned(self, *args, **kwargs):
    from dataclasses import replace

    found = _straight(self, *args, **kwargs)
    return [replace(part, embeddings=-part.embeddings) for part in found]


ScgptEngine.embed_cells = _turned
"""
"""Another version of the code, whose answer can be told from the first one's."""

ASK = """
import json, sys
import mlflow, pandas as pd

payload = json.load(open("payload.json"))
frame, params = pd.DataFrame(**payload["dataframe_split"]), payload["params"]
models = [mlflow.pyfunc.load_model(folder) for folder in sys.argv[1:]]


def refusal(model, frame, params):
    try:
        model.predict(frame, params=params)
    except mlflow.MlflowException as error:
        return str(error)


names = [(name, name.split(".")[0]) for name in sys.modules]
print(json.dumps({
    "rows": [model.predict(frame, params=params)["embedding"].tolist() for model in models * 2],
    "param": [refusal(model, frame, {**params, "tasks": "x"}) for model in models],
    "column": [refusal(model, frame.assign(genes="x"), params) for model in models],
    "engines": len({top for _, top in names if top.startswith("scgpt_engine_")}),
    "foreign": [name for name, top in names if top in ("scgpt_databricks", "model")],
}))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that may be changed."""
    copy = tmp_path / "changed" / "model"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build, "PACKAGE", copy)
    monkeypatch.setattr(build, "ENTRY", copy / "pyfunc.py")
    return copy


def test_every_way_to_an_answer_is_carried() -> None:
    assert {"cells", "wire", "scgpt", "serve", "pyfunc.py"} <= ROOMS.keys()
    assert not {"ray", "judge", "build.py"} & ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_one_changed_module_of_a_room_changes_the_digest(room: str, package: Path) -> None:
    before = build.engine_digest()
    changed = package / ROOMS[room]
    changed.write_text(changed.read_text() + "\n# another line\n")
    assert build.engine_digest() != before


@dataclass(frozen=True)
class Shipped:
    """Versions that were logged, and what to ask them."""

    folder: Path
    embedder: Embedder

    def log(self, name: str, checkpoint: Path) -> Path:
        """Log the engine as the build does; return the folder of the version."""
        scratch = self.folder / name
        scratch.mkdir()
        run = build._Run("shipped", {"validated": "true"}, build.requirements(), {}, scratch)
        info = build._log(checkpoint, self.embedder, run)
        return Path(mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(scratch)))

    def ask(self, python: Path, *versions: Path) -> dict[str, Any]:
        """Load the versions in one process, beside somebody's own modules, and ask each."""
        beside = self.folder / "beside"
        (beside / "scripts").mkdir(parents=True)
        (beside / "scripts" / "__init__.py").write_text("")
        (beside / "model.py").write_text("raise RuntimeError('somebody else wrote this')\n")
        (beside / "ask.py").write_text(ASK)
        example = pyfunc.validation_cells(self.embedder.vocab)
        payload = pyfunc.validation_payloads(*example)["packed"]
        (beside / "payload.json").write_text(json.dumps(payload))
        done = subprocess.run(
            [python, "ask.py", *versions],
            cwd=beside,
            env=clean_variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    @property
    def expected(self) -> np.ndarray:
        return self.embedder.embed_cells(*pyfunc.validation_cells(self.embedder.vocab)).embeddings


@pytest.fixture
def shipped(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shipped]:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.setenv(name, "")  # mlflow sets both; they are unset again after the test
    monkeypatch.chdir(tmp_path)  # where mlflow puts the files of a model
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    yield Shipped(tmp_path, embedder)
    mlflow.set_tracking_uri(before)


def test_two_versions_answer_side_by_side(
    shipped: Shipped, checkpoint: Path, package: Path
) -> None:
    first = shipped.log("first", checkpoint)
    changed = package / "scgpt" / "engine.py"
    changed.write_text(changed.read_text() + TURNED)
    second = shipped.log("second", checkpoint)
    found = shipped.ask(Path(sys.executable), first, second)
    once, turned, again, turned_again = map(np.array, found["rows"])
    np.testing.assert_allclose(once, shipped.expected, atol=1e-5)
    assert (once == again).all()
    np.testing.assert_array_equal(turned, -once)
    np.testing.assert_array_equal(turned_again, turned)
    for refusals, code in ((found["param"], "unknown_param"), (found["column"], "unknown_column")):
        assert all(f"[{code}]" in str(refusal) for refusal in refusals), refusals
    assert found["engines"] == 2
    assert not found["foreign"]


@pytest.mark.long
def test_the_pinned_packages_alone_are_enough(shipped: Shipped, checkpoint: Path) -> None:
    version = shipped.log("version", checkpoint)
    uv, bare = Path(sys.executable).with_name("uv"), shipped.folder / "bare"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, bare], check=True)
    pinned = ["--constraint", ROOT / "requirements.lock", *build.requirements()]
    python = bare / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *pinned], check=True)
    found = shipped.ask(python, version)
    np.testing.assert_allclose(np.array(found["rows"][0]), shipped.expected, atol=1e-5)
    assert not found["foreign"]
