"""A cell as a row: the same cell gives the same row, and a row gives the cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from scgpt_databricks.model.batch.spark.rows import Origin, cell_tables, read_cell, together
from scgpt_databricks.model.cells.files import open_cells
from scgpt_databricks.model.cells.in_memory import AnnDataCells
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import encode_cells

ORIGIN = Origin("cells.h5ad", "state")


def packed(adata: AnnData, chunk: int = 16) -> list[str]:
    pieces = cell_tables(AnnDataCells(adata), ORIGIN, 0, chunk)
    return [row for _, piece in pieces for row in piece["packed"].to_pylist()]


def test_rows_give_the_cells(source: Path) -> None:
    cells = pbmc_cells()[:50]
    with open_cells(source) as file:
        pieces = [*cell_tables(file, ORIGIN, 0, 16)]
    assert [done for done, _ in pieces] == [16, 32, 48, 50]
    rows = [row for _, piece in pieces for row in piece.to_pylist()]
    assert [row["cell_id"] for row in rows] == list(cells.obs_names)
    assert [row["source_row"] for row in rows] == list(range(50))
    found = together([read_cell(row["packed"]) for row in rows])
    wide = cells.to_df().loc[:, found.genes].to_numpy()
    np.testing.assert_array_equal(found.counts.toarray(), wide)
    assert cells.X.sum() == found.counts.sum()


def test_a_row_depends_on_its_cell_alone() -> None:
    cells = pbmc_cells()[:20].copy()
    expected = packed(cells)
    assert packed(cells, chunk=7) == expected
    assert packed(cells[:, ::-1].copy()) == expected
    cells.X = sparse.csc_matrix(cells.X).astype(np.float64)
    assert packed(cells) == expected
    assert packed(cells[::-1].copy()) == expected[::-1]


def test_a_run_goes_on_in_the_middle(source: Path) -> None:
    with open_cells(source) as file:
        rest = [done for done, _ in cell_tables(file, ORIGIN, 32, 16)]
    assert rest == [48, 50]


def test_an_empty_cell_is_a_row() -> None:
    cells = AnnData(sparse.csr_matrix((2, 3), dtype=np.float32))
    first, second = packed(cells)
    assert first == second
    assert read_cell(first).counts.shape == (1, 0)


def test_negative_values_are_refused() -> None:
    cells = AnnData(np.array([[-1.0, 2.0]], np.float32))
    with pytest.raises(InvalidRequest, match="raw, normalised or log1p"):
        packed(cells)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (None, "no_cell"),
        ("", "no_cell"),
        ("not base64!", "packed_base64"),
        ("AAAA", "packed_magic"),
        (encode_cells(sparse.csr_matrix(np.ones((2, 1))), ["CD3D"]), "not_one_cell"),
        (encode_cells(sparse.csr_matrix(np.ones((1, 2))), ["CD3D", "CD3D"]), "duplicate_genes"),
        (encode_cells(sparse.csr_matrix([[np.nan]]), ["CD3D"]), "not_finite"),
    ],
)
def test_a_malformed_row_has_a_reason(row: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_cell(row)
    assert refused.value.code == code
