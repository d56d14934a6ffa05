"""Versions go from one environment to the next, in a real registry."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from databricks.sdk.errors import DatabricksError
from mlflow.exceptions import MlflowException
from scipy import sparse

from scgpt_databricks.infra.errors import DeployError, RefusedError, ReleaseError
from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import InvalidRequest, RegistryError
from scgpt_databricks.model.judge.gates import Evidence
from scgpt_databricks.model.registry import Version
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.release import evidence
from scgpt_databricks.scripts.release.approve import approve
from scgpt_databricks.scripts.release.operation import alone
from scgpt_databricks.scripts.release.point import point_to
from scgpt_databricks.scripts.release.promote import Promoted, Request, promote
from tests.unit.infra.manifests import served
from tests.unit.scripts.release.faults import FAULTS, Killed, Trouble
from tests.unit.scripts.release.lab import Lab, running

STEPS = (
    "write down what begins",
    "judge the gates",
    "copy the version",
    "compare the copy with its source",
    "remove unfinished copies",
    "ask for an approval",
    "point the manifest",
    "move the aliases",
    "write down how it ended",
)
DONE_FOR_ITSELF = "ask for an approval"
"""The step that a person does."""


def run(lab: Lab, source: str, target: str, *, dry_run: bool = False, **more: Any) -> Promoted:
    request = Request(lab.settings(source), lab.settings(target), **more)
    return promote(request, report=print, dry_run=dry_run)


@pytest.fixture(scope="session")
def measured(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The evidence on the files as the only version there is, measured once."""
    scratch = tmp_path_factory.mktemp("evidence")
    tags = {registry.LICENCE: "MIT", registry.PROVENANCE: "the tests", registry.VALIDATED: "true"}
    known = Version("dev.scgpt.m", 1, "READY", "", "", "", None, "", tags, ())  # type: ignore[arg-type]
    return evidence.gather(
        (known, files),
        None,
        approval_needed=False,
        cells=evidence.reference(None, "bulk_labels"),
        approved_by="",
        scratch=scratch,
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, measured: Evidence) -> Evidence:
    """Measure nothing: the same files answer as they did before."""

    def gather(*_: Any, approved_by: str, approval_needed: bool, **__: Any) -> Evidence:
        return replace(measured, approved_by=approved_by, approval_needed=approval_needed)

    monkeypatch.setattr(evidence, "gather", gather)
    return measured


@pytest.fixture
def trouble(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    return Trouble(lab, monkeypatch)


@pytest.fixture
def dev(lab: Lab, files: Path) -> Lab:
    """A version that dev serves, with an approval of its own."""
    lab.release("dev", lab.register("dev", files, approved_by_dev="somebody"))
    return lab


def converged(lab: Lab) -> None:
    """The state after a promotion to staging, whatever went wrong on the way."""
    assert lab.served("staging").popitem()[1] == 100
    (copy,) = lab.versions("staging")
    assert copy.status == registry.READY
    assert copy.validated
    assert lab.aliases("staging") == {"champion": copy.number}
    (entry,) = lab.history("staging")
    assert (entry.operation, entry.state) == ("promote", "done")
    assert entry.what == f"dev version {lab.versions('dev')[0].number}"
    assert (entry.before, entry.after) == ({}, {copy.number: 100})


def test_the_first_version_of_an_environment_is_promoted(dev: Lab) -> None:
    """It is measured for real: asked for 700 cells in a process of its own."""
    done = run(dev, "dev", "staging")
    converged(dev)
    (copy,) = dev.versions("staging")
    source = dev.versions("dev")[0].number
    assert copy.tags["copied_from"] == f"dev.scgpt.scgpt_gene_embeddings/{source}"
    assert not [tag for tag in copy.tags if tag.startswith("approved_by")]
    assert {gate.state for gate in done.gates} == {"passed"}
    assert tuple(step.name for step in done.steps) == STEPS


@pytest.mark.usefixtures("quick")
def test_the_same_promotion_again_changes_nothing(dev: Lab) -> None:
    run(dev, "dev", "staging")
    manifest = dev.settings("staging").manifest_path.read_bytes()
    again = run(dev, "dev", "staging")
    assert {step.state for step in again.steps} == {"done before"}
    assert again.next == "nothing: staging serves this version already"
    assert dev.settings("staging").manifest_path.read_bytes() == manifest
    converged(dev)


@pytest.mark.usefixtures("quick")
def test_a_dry_run_shows_every_step_and_changes_nothing(dev: Lab) -> None:
    done = run(dev, "dev", "staging", dry_run=True)
    shown = {step.name: step.state for step in done.steps}
    assert tuple(shown) == STEPS
    assert shown["copy the version"] == "to do"
    assert shown["ask for an approval"] == "done before"  # staging asks for none
    assert (dev.versions("staging"), dev.served("staging"), dev.history("staging")) == ([], {}, [])


@pytest.mark.usefixtures("quick")
@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", [step for step in STEPS if step != DONE_FOR_ITSELF])
def test_faults_in_a_step_converge(dev: Lab, trouble: Trouble, step: str, fault: str) -> None:
    trouble.in_step(step, fault)
    if step == "remove unfinished copies":  # which does nothing where there are none
        _begin_a_copy(dev)
    with suppress(DatabricksError, MlflowException, DeployError, TimeoutError):
        run(dev, "dev", "staging")
    trouble.over()
    run(dev, "dev", "staging")
    converged(dev)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step", [step for step in STEPS if step != DONE_FOR_ITSELF])
def test_a_kill_between_two_steps_converges(dev: Lab, trouble: Trouble, step: str) -> None:
    trouble.kill_after(step)
    if step == "remove unfinished copies":  # which does nothing where there are none
        _begin_a_copy(dev)
    with pytest.raises(Killed):
        run(dev, "dev", "staging")
    trouble.over()
    run(dev, "dev", "staging")
    converged(dev)


def _begin_a_copy(lab: Lab) -> None:
    """Leave what a copy leaves that is cut off while it sends files."""
    tags = [{"key": key, "value": "1" * 64} for key in registry.DIGESTS]
    name = lab.settings("staging").names.full_model
    path = "/api/2.0/mlflow/unity-catalog/model-versions/create"
    lab.call("POST", path, name=name, source="somewhere", tags=tags)


@pytest.mark.usefixtures("quick")
def test_an_unfinished_copy_is_removed(dev: Lab) -> None:
    _begin_a_copy(dev)
    run(dev, "dev", "staging")
    (copy,) = dev.versions("staging")
    assert (copy.number, copy.status) == (copy.number, registry.READY)


@pytest.mark.usefixtures("quick")
def test_a_person_approves_the_copy_and_no_approval_comes_with_it(dev: Lab, files: Path) -> None:
    dev.release("staging", dev.register("staging", files, approved_by_prod="an insider"))
    number = dev.versions("staging")[0].number
    with pytest.raises(RefusedError, match=r"nobody approved prod.scgpt.* `scgpt approve prod"):
        run(dev, "staging", "prod")
    assert dev.served("prod") == {}
    assert dev.history("prod")[-1].state == "refused"
    (copy,) = dev.versions("prod")
    assert approve(dev.settings("prod"), copy.number) == "admin@local.test"
    run(dev, "staging", "prod")
    assert dev.served("prod") == {copy.number: 100}
    assert [each.state for each in dev.history("prod")] == ["refused", "done"]
    assert dev.history("prod")[-1].what == f"staging version {number}"


def test_a_gate_that_fails_copies_nothing_and_a_waiver_is_written_down(
    dev: Lab, monkeypatch: pytest.MonkeyPatch, quick: Evidence
) -> None:
    monkeypatch.setattr(evidence, "gather", lambda *_, **__: replace(quick, smoke_error="no"))
    with pytest.raises(RefusedError, match="staging: refused by payload; nothing was copied"):
        run(dev, "dev", "staging")
    assert (dev.versions("staging"), dev.served("staging")) == ([], {})
    done = run(dev, "dev", "staging", waived=("payload",), why="the endpoint is tried anyway")
    assert {gate.name for gate in done.gates if gate.state == "waived"} == {"payload"}
    entry = dev.history("staging")[-1]
    assert (entry.state, entry.why) == ("done", "the endpoint is tried anyway")


@pytest.mark.usefixtures("quick")
def test_the_champion_stays_ready_where_that_is_asked_for(dev: Lab, files: Path) -> None:
    run(dev, "dev", "staging")
    first = dev.versions("staging")[0].number
    dev.release("dev", dev.register("dev", files, engine_digest="2" * 64))
    run(dev, "dev", "staging", keep_previous=True)
    second = dev.versions("staging")[0].number
    assert dev.served("staging") == {first: 0, second: 100}
    assert dev.aliases("staging") == {"champion": second, "previous": first}


@pytest.mark.usefixtures("quick")
def test_a_challenger_is_copied_and_the_manifest_stays(dev: Lab, files: Path) -> None:
    with pytest.raises(ReleaseError, match="staging serves nothing yet, so there is no champion"):
        run(dev, "dev", "staging", challenger=True)
    run(dev, "dev", "staging")
    with pytest.raises(ReleaseError, match="staging serves this version already"):
        run(dev, "dev", "staging", challenger=True)
    first = dev.versions("staging")[0].number
    dev.release("dev", dev.register("dev", files, engine_digest="2" * 64))
    manifest = dev.settings("staging").manifest_path.read_bytes()
    done = run(dev, "dev", "staging", challenger=True)
    second = dev.versions("staging")[0].number
    assert done.next == "scgpt canary start staging"
    assert dev.settings("staging").manifest_path.read_bytes() == manifest
    assert dev.aliases("staging") == {"champion": first, "challenger": second}
    entry = dev.history("staging")[-1]
    assert (entry.state, entry.before, entry.after) == ("done", {first: 100}, {first: 100})
    again = run(dev, "dev", "staging", challenger=True)
    assert {step.state for step in again.steps} == {"done before"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("staging", "dev", "nothing is promoted to dev"),
        ("dev", "prod", "versions come to prod from staging, not from dev"),
        ("prod", "staging", "versions come to staging from dev, not from prod"),
        ("staging", "prod", "staging has no release manifest"),
    ],
)
def test_only_the_next_environment_is_promoted_to(
    dev: Lab, source: str, target: str, reason: str
) -> None:
    with pytest.raises(ReleaseError, match=reason):
        run(dev, source, target)


@pytest.mark.usefixtures("quick")
def test_versions_that_cannot_be_promoted_are_refused(dev: Lab, files: Path) -> None:
    with pytest.raises(RegistryError, match="has no version 99"):
        run(dev, "dev", "staging", version=99)
    name, path = (
        dev.settings("dev").names.full_model,
        "/api/2.0/mlflow/unity-catalog/model-versions",
    )
    begun = dev.call("POST", f"{path}/create", name=name, source="somewhere")["model_version"]
    with pytest.raises(RegistryError, match="not READY"):
        run(dev, "dev", "staging", version=int(begun["version"]))
    with connected(dev.settings("dev")):
        version = registry.listed(name)[-1]
        registry.tag(version, {registry.CHECKPOINT: "7" * 64})
    with pytest.raises(ReleaseError, match="manifest and registry disagree"):
        run(dev, "dev", "staging")
    assert dev.history("staging") == []


@pytest.mark.usefixtures("quick")
def test_a_missing_target_model_is_not_made(dev: Lab) -> None:
    models = "/api/2.1/unity-catalog/models"
    dev.call("DELETE", f"{models}/staging.scgpt.scgpt_gene_embeddings")
    try:
        with pytest.raises(RegistryError, match="deploy the registry stack first"):
            run(dev, "dev", "staging")
    finally:
        dev.call("POST", models, name="scgpt_gene_embeddings", catalog_name="staging",
                 schema_name="scgpt")  # fmt: skip


@pytest.mark.usefixtures("quick")
def test_files_that_changed_on_the_way_are_found(
    dev: Lab, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble.kill_after("copy the version")
    with pytest.raises(Killed):
        run(dev, "dev", "staging")
    trouble.over()
    number = dev.versions("staging")[0].number
    stored = dev.workspace.files / "Models/staging/scgpt/scgpt_gene_embeddings" / str(number)
    vocabulary = next(stored.rglob("vocab.json"))
    vocabulary.write_bytes(vocabulary.read_bytes() + b" ")
    with pytest.raises(DeployError, match=r"has other files than its source: .*vocab.json"):
        run(dev, "dev", "staging")
    assert dev.served("staging") == {}


@pytest.mark.usefixtures("quick")
def test_a_source_that_cannot_be_read_is_named_before_anything_begins(dev: Lab) -> None:
    number = dev.versions("dev")[0].number
    stored = dev.workspace.files / "Models/dev/scgpt/scgpt_gene_embeddings" / str(number)
    shutil.rmtree(stored)
    with pytest.raises(DeployError, match=f"the files of dev.* version {number} cannot be read"):
        run(dev, "dev", "staging")
    assert dev.history("staging") == []


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["T", "B"] * 10, r"has no column 'bulk_labels' in obs; its columns: kind"),
        (["T"] * 20, "all 20 cells have the label 'T'"),
        (["T"] * 10 + [""] * 10, "10 of 20 cells have a label"),
    ],
)
def test_cells_without_labels_are_refused_before_anything_begins(
    dev: Lab, tmp_path: Path, labels: list[str], reason: str
) -> None:
    file = tmp_path / "cells.h5ad"
    data = AnnData(sparse.csr_matrix(np.ones((20, 3), np.float32)))
    data.obs["kind"] = labels
    data.write_h5ad(file)
    column = "bulk_labels" if "no column" in reason else "kind"
    with pytest.raises(InvalidRequest, match=reason):
        run(dev, "dev", "staging", cells=file, labels=column)
    assert dev.history("staging") == []


@pytest.mark.usefixtures("quick")
def test_of_two_at_once_one_is_told(dev: Lab) -> None:
    with (
        alone(dev.settings("staging"), "promote"),
        pytest.raises(DeployError, match=r"staging is locked: .* runs promote"),
    ):
        run(dev, "dev", "staging")


@pytest.mark.usefixtures("quick")
def test_a_canary_is_ended_first(dev: Lab, files: Path) -> None:
    split = [served(1, 90, "champion"), served(2, 10, "challenger")]
    point_to(dev.settings("staging"), split)
    with pytest.raises(ReleaseError, match="a canary of version 2 runs in staging"):
        run(dev, "dev", "staging")


def test_an_unknown_waiver_is_refused_before_anything(dev: Lab) -> None:
    with pytest.raises(Exception, match="no gate speed; gates are"):
        run(dev, "dev", "staging", waived=("speed",), why="because it is so")
    assert dev.history("staging") == []


@pytest.mark.usefixtures("quick")
def test_a_version_goes_to_another_workspace_with_a_metastore_of_its_own(
    dev: Lab, tmp_path: Path
) -> None:
    """Nothing of the one is known to the other."""
    config, toml = dev.folder / "databrickscfg", dev.folder / "staging.toml"
    before = {file: file.read_text() for file in (config, toml)}
    try:
        with running(tmp_path) as other:
            theirs = (other.folder / "databrickscfg").read_text().replace("[local]", "[other]")
            config.write_text(before[config] + theirs)
            toml.write_text(before[toml].replace('profile = "local"', 'profile = "other"'))
            run(dev, "dev", "staging")
            converged(dev)
            assert other.versions("staging") == dev.versions("staging")
    finally:
        for file, text in before.items():
            file.write_text(text)
    assert dev.versions("staging") == []
