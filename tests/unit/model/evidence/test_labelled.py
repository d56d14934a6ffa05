"""Labelled cells: read, told apart by their digest, refused where they cannot be scored."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest

from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.evidence import labelled as module
from scgpt_databricks.model.evidence.labelled import read_labelled


def test_types_and_batches_are_read(labelled_file: Path) -> None:
    found = read_labelled(labelled_file, "type", "batch")
    assert str(found) == "cells: 40 cells of 2 types"
    assert found.types.tolist() == ["B", "T"] * 20
    assert found.batches is not None
    assert found.batches.tolist() == ["one"] * 20 + ["two"] * 20
    assert read_labelled(labelled_file, "number").types[:2].tolist() == ["0", "1"]


def test_another_matrix_is_read_where_it_is_asked_for(labelled_file: Path) -> None:
    plain, double = (
        read_labelled(labelled_file, "type", place=CountsPlace(layer)).cells.counts
        for layer in (None, "double")
    )
    np.testing.assert_array_equal(double.toarray(), plain.toarray() * 2)


def test_what_is_read_is_part_of_the_digest(labelled_file: Path, tmp_path: Path) -> None:
    digests = {
        read_labelled(labelled_file, "type").digest,
        read_labelled(labelled_file, "number").digest,
        read_labelled(labelled_file, "type", "batch").digest,
        read_labelled(labelled_file, "type", place=CountsPlace("double")).digest,
    }
    assert len(digests) == 4
    copy = labelled_file.rename(tmp_path / "copy.h5ad")
    assert read_labelled(copy, "type").digest in digests


@pytest.mark.parametrize(
    ("labels", "batches", "code", "said"),
    [
        ("none", None, "no_labels", "no column 'none' in obs; its columns: type, batch, gaps,"),
        ("gaps", None, "no_labels", "30 of 40 cells have a label"),
        ("same", None, "one_label", "all 40 cells have the label 'B'"),
        ("type", "same", "one_batch", "40 of 40 cells name 1 batches"),
        ("type", "gaps", "one_batch", "30 of 40 cells name 2 batches"),
        ("type", "missing", "no_labels", "no column 'missing' in obs"),
    ],
)
def test_columns_that_cannot_be_scored_are_refused(
    labelled_file: Path, labels: str, batches: str | None, code: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        read_labelled(labelled_file, labels, batches)
    assert refused.value.code == code


def test_too_many_cells_are_refused(labelled_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 39)
    with pytest.raises(InvalidRequest, match=r"has 40 cells; 39 at most are evaluated\. Take a"):
        read_labelled(labelled_file, "type")


def test_a_file_that_is_no_anndata_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "cells.h5ad"
    text.write_text("no cells")
    with pytest.raises(InvalidRequest, match="cannot be read as an AnnData file"):
        read_labelled(text, "type")
    empty = tmp_path / "empty.h5ad"
    anndata.AnnData(np.zeros((0, 3), np.float32)).write_h5ad(empty)
    with pytest.raises(InvalidRequest, match="no column 'type' in obs; its columns: none"):
        read_labelled(empty, "type")
