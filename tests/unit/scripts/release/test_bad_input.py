"""Bad input of each kind, on the command line: one sentence, an exit code, and nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from click.testing import CliRunner
from scipy import sparse

from scgpt_databricks.model import registry
from scgpt_databricks.model.scgpt.demo import SHIPPED
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.release.point import WorkingTree, point_to
from tests.unit.infra.manifests import served
from tests.unit.scripts.release.lab import Lab, empty

MODEL = "scgpt_gene_embeddings"


@dataclass(frozen=True)
class Place:
    """dev serves version `one`, and has `two` and an unfinished `begun`; staging serves `copy`."""

    lab: Lab
    one: int
    two: int
    begun: int
    copy: int
    cells: Path
    bad: Path

    def scgpt(self, line: str) -> tuple[int, str]:
        """Return exit code and sentence of a command."""
        numbers = {"one": self.one, "two": self.two, "begun": self.begun, "copy": self.copy}
        files = {"cells": self.cells, "bad": self.bad, "checkpoint": SHIPPED}
        arguments = line.format(**numbers, **files).split()
        where = ("--environments", str(self.lab.folder), "--json")
        with connected(self.lab.settings("dev")):  # puts back what mlflow was pointed to
            done = CliRunner().invoke(cli, [*arguments, *where])
        assert "Traceback" not in done.output
        assert done.stderr.count("rror:") == 1, done.stderr
        error = json.loads(done.stdout[done.stdout.index("{") :])["error"]
        assert error["exit_code"] == done.exit_code
        return done.exit_code, error["message"]

    def state(self) -> Any:
        """Return all that a command could have changed."""
        found: list[Any] = []
        for name in ("dev", "staging"):
            manifest = self.lab.settings(name).manifest_path
            history = self.lab.workspace.files / f"Volumes/{name}/scgpt/artifacts/history"
            model = f"/api/2.1/unity-catalog/models/{name}.scgpt.{MODEL}"
            found += [
                manifest.read_bytes(),
                sorted(history.glob("*")),
                self.lab.call("GET", f"{model}?include_aliases=true"),
                self.lab.call("GET", f"{model}/versions"),
            ]
        return found


@pytest.fixture(scope="module")
def impatient() -> Iterator[None]:
    """Let clients give up at once; mlflow keeps those that it makes, with their patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT", "1")
        yield


@pytest.fixture(scope="module")
def place(
    impatient: None, running_lab: Lab, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """It is the same for all tests: what they refuse changes nothing."""
    lab, cells = running_lab, tmp_path_factory.mktemp("cells") / "cells.h5ad"
    empty(lab, "dev", "staging", "prod")
    one = lab.register("dev", files)
    lab.release("dev", one)
    two = lab.register("dev", files, engine_digest="2" * 64)
    copy = lab.register("staging", files, engine_digest="3" * 64)
    lab.release("staging", copy)
    path = "/api/2.0/mlflow/unity-catalog/model-versions/create"
    begun = lab.call("POST", path, name=one.model, source="somewhere")["model_version"]
    data = AnnData(sparse.csr_matrix(np.ones((20, 3), np.float32)))
    data.obs["one"] = ["T"] * 20
    data.obs["half"] = ["T"] * 10 + [""] * 10
    data.write_h5ad(cells)
    bad = cells.parent
    (bad / "text.h5ad").write_text("no cells")
    (bad / "cut.h5ad").write_bytes(cells.read_bytes()[:2000])
    data.obs["two"] = ["T", "B"] * 10
    for name, value in (("nan", np.nan), ("scaled", -1.0)):
        data.X.data[0] = value
        data.write_h5ad(bad / f"{name}.h5ad")
    yield Place(lab, one.number, two.number, int(begun["version"]), copy.number, cells, bad)
    empty(lab, "dev", "staging")


@pytest.fixture
def unpointed(place: Place) -> Iterator[None]:
    """Let both manifests name afterwards what they name now."""
    manifests = [place.lab.settings(name).manifest_path for name in ("dev", "staging")]
    before = [manifest.read_bytes() for manifest in manifests]
    yield
    for manifest, content in zip(manifests, before, strict=True):
        manifest.write_bytes(content)


def refused(place: Place, line: str, code: int, said: str) -> None:
    before = place.state()
    found = place.scgpt(line)
    assert (found[0], said in found[1]) == (code, True), found
    assert place.state() == before


EVALUATED = "build dev --checkpoint {checkpoint} --evaluate {cells}"
CASES = {
    "no such version to promote": ("promote dev staging --version 99", 1, "has no version 99"),
    "no such version to approve": ("approve dev 99", 1, "has no version 99"),
    "no such version to try": ("canary start dev --version 99", 1, "has no version 99"),
    "no such version to go back to": ("rollback dev --to 99", 1, "has no version 99"),
    "no number": ("approve dev four", 2, "'four' is not a valid integer"),
    "no alias challenger": ("canary start dev", 1, "dev has no alias challenger: name the version"),
    "not READY, promoted": ("promote dev staging --version {begun}", 1, "not READY"),
    "not READY, approved": ("approve dev {begun}", 1, "not READY"),
    "not READY, tried": ("canary start dev --version {begun}", 1, "not READY"),
    "not READY, gone back to": ("rollback dev --to {begun}", 1, "not READY"),
    "downwards": ("promote staging dev", 1, "nothing is promoted to dev"),
    "past an environment": ("promote dev prod", 1, "versions come to prod from staging"),
    "to itself": ("promote dev dev", 1, "nothing is promoted to dev"),
    "no such environment": ("promote dev nowhere", 2, "known in"),
    "the champion as challenger": ("canary start dev --version {one}", 1, "is the champion of dev"),
    "0 %": ("canary start dev --version {two} --percent 0", 2, "0 is not in the range 1<=x<=99"),
    "100 %": ("canary start dev --version {two} --percent 100", 2, "not in the range 1<=x<=99"),
    "150 %": ("canary start dev --version {two} --percent 150", 2, "not in the range 1<=x<=99"),
    "no share": ("canary start dev --version {two} --percent ten", 2, "'ten' is not a valid"),
    "nothing to watch": ("canary watch dev --once", 1, "no canary runs in dev: `scgpt canary"),
    "nothing to replay": ("canary replay dev", 1, "no canary runs in dev: `scgpt canary start"),
    "nothing to win": ("canary promote dev", 1, "no canary runs in dev: `scgpt canary start"),
    "nothing to abort": ("canary abort dev", 1, "no canary runs in dev: `scgpt canary start"),
    "no previous": ("rollback dev", 1, "dev has no version before {one}: name one with --to"),
    "nothing released": ("rollback prod", 1, "prod has no release manifest"),
    "nothing released to try beside": ("canary start prod --version 1", 1, "no release manifest"),
    "evaluated without labels": (EVALUATED, 2, "--evaluate needs --labels COLUMN"),
    "evaluated by no column": (f"{EVALUATED} --labels kind", 1, "no column 'kind'"),
    "evaluated by one label": (f"{EVALUATED} --labels one", 1, "all 20 cells have the label 'T'"),
    "half of them labelled": (f"{EVALUATED} --labels half", 1, "10 of 20 cells have a label"),
    "judged by one label": (
        "promote dev staging --cells {cells} --labels one", 1, "all 20 cells have the label 'T'",
    ),
    "watched by one label": (
        "canary watch dev --cells {cells} --labels one", 1, "all 20 cells have the label 'T'",
    ),
    "a waiver without a reason": ("promote dev staging --waive metrics", 2, "--waive needs --why"),
    "a share of nothing": (
        "canary start dev --version {two} --requests-per-day nan", 2, "nan is not in the range",
    ),
    "no requests to replay": ("canary replay dev --requests 0", 2, "0 is not in the range x>=1"),
    "no operation to show": ("history dev --last -1", 2, "-1 is not in the range x>=1"),
    "an unknown gate": ("promote dev staging --waive speed --why so", 1, "no gate speed; gates"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_input_that_is_wrong_by_itself(place: Place, case: str) -> None:
    line, code, said = CASES[case]
    refused(place, line, code, said.format(one=place.one) if "{one}" in said else said)


def test_a_blank_is_no_reason_for_a_waiver(place: Place) -> None:
    line = ["promote", "dev", "staging", "--waive", "metrics", "--why", " "]
    done = CliRunner().invoke(cli, [*line, "--environments", str(place.lab.folder)])
    assert done.exit_code == 2
    assert "--waive needs --why" in done.stderr


MEASURES = {
    "build": "build dev --checkpoint {checkpoint} --evaluate {bad}/%s.h5ad --labels two",
    "promote": "promote dev staging --cells {bad}/%s.h5ad --labels two",
    "watch": "canary watch dev --cells {bad}/%s.h5ad --labels two",
}
BAD_CELLS = {
    "text": "text.h5ad cannot be read as an AnnData file",
    "cut": "cut.h5ad cannot be read as an AnnData file",
    "nan": "hold NaN or infinity",
    "scaled": "go down to -1",
}


@pytest.mark.parametrize("kind", BAD_CELLS)
@pytest.mark.parametrize("command", MEASURES)
def test_cells_that_nothing_can_be_measured_on(place: Place, command: str, kind: str) -> None:
    refused(place, MEASURES[command] % kind, 1, BAD_CELLS[kind])


DURING_A_CANARY = {
    "another": ("canary start dev --version {copy}", "a canary of version {two} on 10 % runs"),
    "another share": (
        "canary start dev --version {two} --percent 20", "a canary of version {two} on 10 % runs",
    ),
    "a rollback": ("rollback dev --to {two}", "a canary of version {two} runs in dev: end it"),
    "a release": (
        "build dev --checkpoint {checkpoint} --release", "a canary of version {two} runs in dev",
    ),
    "a promotion": ("promote dev staging", "a canary of version {copy} runs in staging"),
}  # fmt: skip


@pytest.mark.usefixtures("unpointed")
@pytest.mark.parametrize("case", DURING_A_CANARY)
def test_what_a_canary_keeps_waiting(place: Place, case: str) -> None:
    line, said = DURING_A_CANARY[case]
    name, tried = ("dev", place.two) if "{two}" in said else ("staging", place.copy)
    split = [served(tried + 90, 90, "champion"), served(tried, 10, "challenger")]
    point_to(place.lab.settings(name), split)
    refused(place, line, 1, said.format(two=place.two, copy=place.copy))


@pytest.fixture
def changed(place: Place) -> Iterator[None]:
    """Somebody moves a tag of the champion by hand."""
    settings = place.lab.settings("dev")
    with connected(settings):
        champion = registry.get(settings.names.full_model, place.one)
        registry.tag(champion, {registry.CHECKPOINT: "7" * 64})
    yield
    with connected(settings):
        now = registry.get(champion.model, champion.number)
        registry.tag(now, {registry.CHECKPOINT: champion.tags[registry.CHECKPOINT]})


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize(
    "line",
    ["promote dev staging", "canary start dev --version {two}", "rollback dev --to {one}"],
)
def test_a_version_that_is_not_the_manifests(place: Place, line: str) -> None:
    refused(place, line, 1, "manifest and registry disagree")


@pytest.mark.usefixtures("unpointed")
def test_a_champion_that_the_registry_lacks(place: Place) -> None:
    point_to(place.lab.settings("staging"), [served(99, 100, "champion")])
    refused(place, "promote dev staging", 1, "has no version 99")


@pytest.fixture(params=["model", "schema"])
def without(place: Place, request: pytest.FixtureRequest) -> Iterator[None]:
    """Take model or schema of prod away, and put all back afterwards."""
    call, unity = place.lab.call, "/api/2.1/unity-catalog"
    within = {"catalog_name": "prod", "schema_name": "scgpt"}
    if request.param == "model":
        call("DELETE", f"{unity}/models/prod.scgpt.{MODEL}")
    else:
        call("DELETE", f"{unity}/schemas/prod.scgpt?force=true")
    yield
    if request.param == "schema":
        call("POST", f"{unity}/schemas", name="scgpt", catalog_name="prod")
        call("POST", f"{unity}/volumes", name="artifacts", volume_type="MANAGED", **within)
    call("POST", f"{unity}/models", name=MODEL, **within)


@pytest.mark.usefixtures("without")
def test_a_target_that_was_never_deployed(place: Place) -> None:
    refused(place, "promote staging prod", 1, "deploy the registry stack first")
    assert WorkingTree().find(place.lab.settings("prod")) is None


def test_a_source_that_cannot_be_read(place: Place) -> None:
    stored = place.lab.workspace.files / f"Models/dev/scgpt/{MODEL}/{place.one}"
    hidden = stored.rename(stored.with_name("hidden"))
    refused(place, "promote dev staging", 1, f"version {place.one} cannot be read")
    hidden.rename(stored)


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": True}])
@pytest.mark.parametrize(
    "line",
    [
        "build dev --checkpoint {checkpoint}",
        "versions dev",
        "history dev",
        "promote dev staging",
        "approve dev {two}",
        "canary start dev --version {two}",
        "rollback dev --to {two}",
    ],
)
def test_a_workspace_that_answers_nothing(place: Place, line: str, fault: dict[str, Any]) -> None:
    before = place.state()
    with place.lab.fault(**fault):
        code, said = place.scgpt(line)
    assert (code, bool(said)) == (1, True)
    assert place.state() == before


def test_the_same_version_twice_is_nothing_to_do(place: Place) -> None:
    """It is no error: the command says so and ends well."""
    before = place.state()
    where = ["--environments", str(place.lab.folder), "--json"]
    done = CliRunner().invoke(cli, ["rollback", "staging", "--to", str(place.copy), *where])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout[done.stdout.index("{") :])
    assert told["next"] == "nothing: staging serves this version already"
    assert place.state() == before


def test_a_dry_run_of_an_approval_changes_nothing(place: Place) -> None:
    before = place.state()
    where = ["--environments", str(place.lab.folder), "--dry-run"]
    done = CliRunner().invoke(cli, ["approve", "dev", str(place.two), *where])
    assert done.exit_code == 0, done.output
    assert f"version {place.two} would be approved for dev by admin@local.test" in done.output
    assert place.state() == before
