"""Files as each version of anndata writes them: ``files/write.py`` wrote them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest

from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.cells.files import open_cells

ARCHIVES = sorted((Path(__file__).parent / "files").glob("*.tar.xz"))
COUNTS = (np.arange(24).reshape(3, 8) % 5).astype(np.float32)
PLACES = {"X": CountsPlace(), "raw": CountsPlace(raw=True), "layer": CountsPlace("counts")}


@pytest.fixture(params=ARCHIVES, ids=[path.name.split(".tar")[0] for path in ARCHIVES])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return sorted(tmp_path.iterdir())


pytestmark = pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")


@pytest.mark.parametrize("place", PLACES)
def test_the_same_rows_come_out(stores: list[Path], place: str) -> None:
    assert len(stores) in (2, 3)
    for path in stores:
        with open_cells(path, PLACES[place]) as cells:
            assert (cells.n_cells, cells.genes) == (3, [f"GENE{i}" for i in range(8)])
            assert cells.names(0, 2) + cells.names(2, 3) == ["a", "b", "c"]
            wanted = COUNTS * (2 if place == "layer" else 1)
            np.testing.assert_array_equal(cells.rows(0, 3).toarray(), wanted)
            np.testing.assert_array_equal(cells.rows(1, 2).toarray(), wanted[1:2])


def test_all_else_is_carried_along(stores: list[Path]) -> None:
    for path in stores:
        with open_cells(path) as cells:
            found = anndata.read_h5ad(cells.path)
            assert list(found.obs["kind"]) == ["B", "T", "B"]
            assert list(found.obs["n"]) == [1, 2, 3]
            assert found.uns["note"]["text"] == "t"
            assert list(found.uns["note"]["list"]) == ["x", "y"]
            assert (found.raw.X != found.X).nnz == 0


def test_what_cannot_be_read_is_left_out(stores: list[Path]) -> None:
    """In a store of zarr; of an ``.h5ad`` a copy is made, and it stays."""
    for path in stores:
        if path.is_dir():
            for each in (path / "obs" / "n").glob("*"):
                if each.name in (".zarray", "zarr.json"):
                    text = each.read_text().replace("blosc", "odd").replace("zstd", "odd")
                    each.write_text(text)
        else:
            with h5py.File(path, "r+") as file:
                file["uns/note"].attrs["encoding-type"] = "of the next century"
        with open_cells(path) as cells:
            np.testing.assert_array_equal(cells.rows(0, 3).toarray(), COUNTS)
            if path.is_dir():
                assert list(anndata.read_h5ad(cells.path).obs) == ["kind"]
