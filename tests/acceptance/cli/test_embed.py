"""`scgpt embed` against a deployed endpoint: what cannot be embedded, and who may not ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
import scanpy

from scgpt_databricks.model.scgpt.demo import pbmc_cells
from tests.acceptance.site import Site

pytestmark = pytest.mark.acceptance


def foreign_genes() -> anndata.AnnData:
    cells = pbmc_cells()[:3].copy()
    cells.var_names = [f"FBgn{i:07d}" for i in range(cells.n_vars)]
    return cells


def with_value(value: float) -> anndata.AnnData:
    cells = pbmc_cells()[:3].copy()
    cells.X.data[7] = value
    return cells


def scaled() -> anndata.AnnData:
    cells = scanpy.datasets.pbmc68k_reduced()[:3].copy()
    cells.raw = None
    return cells


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (foreign_genes, "genes is in the vocabulary"),
        (lambda: with_value(np.nan), "NaN or infinity"),
        (lambda: with_value(np.inf), "NaN or infinity"),
        (scaled, "Scaled (z-scored) data cannot be used"),
        (lambda: pbmc_cells()[:0].copy(), "the AnnData holds no cell"),
    ],
    ids=["foreign genes", "nan", "infinite", "scaled", "no cell"],
)
def test_cells_that_cannot_be_embedded(
    make: Callable[[], anndata.AnnData], words: str, quickstart: Site, tmp_path: Path
) -> None:
    make().write_h5ad(tmp_path / "in.h5ad")
    done = quickstart.scgpt("embed", "local", tmp_path / "in.h5ad", "--out", tmp_path / "out.h5ad")
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.h5ad"]


def test_a_file_that_holds_no_cells_at_all(quickstart: Site, tmp_path: Path) -> None:
    (tmp_path / "in.h5ad").write_text("gene,cell\n")
    done = quickstart.scgpt("embed", "local", tmp_path / "in.h5ad", "--out", tmp_path / "out.h5ad")
    assert (done.code, done.out) == (2, "")
    assert "in.h5ad is no AnnData file" in done.err
    assert not (tmp_path / "out.h5ad").exists()


def test_good_cells(quickstart: Site, cells_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "new folder" / "out.h5ad"
    done = quickstart.succeed(
        "embed", "local", cells_file, "--out", output, "--chunk", "2", "--json"
    )
    assert done.json["requests"] == 3
    embedded = anndata.read_h5ad(output)
    np.testing.assert_allclose(
        np.linalg.norm(embedded.obsm["X_scGPT"], axis=1), np.ones(5), atol=1e-5
    )


@pytest.mark.long
def test_what_a_refusal_names_can_be_set(quickstart: Site, tmp_path: Path) -> None:
    cells = pbmc_cells()[:5].copy()
    cells.raw = cells
    cells.layers["counts"] = cells.X.copy()
    cells.var_names = [f"FBgn{i:07d}" for i in range(cells.n_vars)]
    cells.var_names = [*pbmc_cells().var_names[:20], *cells.var_names[20:]]
    cells.X = np.random.default_rng(0).random(cells.shape, np.float32) + 0.01
    cells.write_h5ad(tmp_path / "in.h5ad")
    command = ("embed", "local", tmp_path / "in.h5ad", "--out", tmp_path / "out.h5ad")
    taken = ("--layer", "X", "--allow-imputed", "--min-known-fraction", "0")
    for options, words in [
        (taken[:2], "or set allow_imputed"),
        (taken[:2], "Here layers/counts holds counts: layer='counts' (--layer counts)"),
        (taken[:3], "min_known_fraction sets the threshold"),
        (("--layer", "counts"), "min_known_fraction sets the threshold"),
        (("--layer", "spliced"), "has no layer 'spliced'; its layers: counts"),
    ]:
        done = quickstart.scgpt(*command, *options)
        assert (done.code, done.out) == (1, "")
        assert words in done.err
    assert quickstart.scgpt(*command, "--raw", "--layer", "counts").code == 2
    for options in (taken, ("--raw",)):
        quickstart.succeed(*command, *options)
        written = anndata.read_h5ad(tmp_path / "out.h5ad")
        assert written.obsm["X_scGPT"].shape[0] == written.n_obs == 5


def test_a_wrong_token(quickstart: Site, cells_file: Path, tmp_path: Path) -> None:
    site = quickstart.copy(tmp_path / "environments", token="localwrongwrongwrong")
    output = tmp_path / "out.h5ad"
    done = site.scgpt("embed", "local", cells_file, "--out", output)
    assert (done.code, done.out) == (1, "")
    assert "answered 401" in done.err
    assert "Check the profile or DATABRICKS_TOKEN" in done.err
    assert not output.exists()


def test_a_principal_without_permission(quickstart: Site, cells_file: Path, tmp_path: Path) -> None:
    """The builder may register models, and has no permission on the endpoint."""
    site = quickstart.copy(tmp_path / "environments", profile="local-builder")
    output = tmp_path / "out.h5ad"
    done = site.scgpt("embed", "local", cells_file, "--out", output)
    assert (done.code, done.out) == (1, "")
    assert "answered 403" in done.err
    assert "needs CAN_QUERY on the endpoint" in done.err
    assert not output.exists()


def test_the_reader_may_ask_but_not_build(
    quickstart: Site, cells_file: Path, tmp_path: Path
) -> None:
    site = quickstart.copy(tmp_path / "environments", profile="local-reader")
    site.succeed("embed", "local", cells_file, "--out", tmp_path / "out.h5ad")
    before = quickstart.versions()
    random = quickstart.folder / "demo" / "random"
    done = site.scgpt("build", "local", "--checkpoint", random, "--no-clean-environment")
    assert (done.code, done.out) == (1, "")
    assert "PERMISSION_DENIED" in done.err
    assert quickstart.versions() == before
    assert not site.manifest.exists()


def test_a_wrong_token_builds_nothing(quickstart: Site, tmp_path: Path) -> None:
    site = quickstart.copy(tmp_path / "environments", token="localwrongwrongwrong")
    random = quickstart.folder / "demo" / "random"
    done = site.scgpt("build", "local", "--checkpoint", random, "--no-clean-environment")
    assert (done.code, done.out) == (1, "")
    assert "Invalid access token" in done.err
    assert not site.manifest.exists()
