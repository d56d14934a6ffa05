"""Requests about other genes are refused with the likely cause; empty cells are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.cells.known_genes import CheckedCells, check_known_fraction
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.vocab import GeneVocab

HUMAN = ["CD3D", "CD8A", "MS4A1", "NKG7", "LYZ", "GNLY"]
VOCAB = GeneVocab({gene: i for i, gene in enumerate(HUMAN)})


def cells(values: list[list[float]], genes: list[str], ids: list[str] | None = None) -> Cells:
    return Cells(sparse.csr_matrix(np.array(values, np.float32)), genes, ids)


def judge(sent: list[Cells], least: float) -> None:
    check_known_fraction(VOCAB, [CheckedCells.of(found, VOCAB) for found in sent], least)


def refusal(sent: list[Cells], least: float = 0.5) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        judge(sent, least)
    assert caught.value.status == 400
    return caught.value


def test_half_of_the_counts_is_enough_and_less_is_not() -> None:
    judge([cells([[5, 5]], ["LYZ", "X1"])], 0.5)
    error = refusal([cells([[4, 6]], ["LYZ", "X1"])])
    assert error.code == "too_few_known_genes"
    assert "40.0% of the counts" in error.message
    judge([cells([[4, 6]], ["LYZ", "X1"])], 0.4)


def test_counts_decide_not_columns() -> None:
    judge([cells([[9, 1, 1, 1]], ["LYZ", "X1", "X2", "X3"])], 0.5)


def test_all_rows_of_a_request_are_judged_together() -> None:
    bad, good = cells([[0, 6]], ["LYZ", "X1"]), cells([[9]], ["LYZ"])
    judge([bad, good], 0.5)
    assert refusal([bad]).code == "too_few_known_genes"


def test_cells_without_counts_pass() -> None:
    """The last chunk of somebody's cells may be empty drops alone."""
    judge([cells([[0, 0], [0, 0]], ["LYZ", "X1"])], 0.5)


def test_no_known_column_has_a_code_of_its_own_whatever_the_counts() -> None:
    assert refusal([cells([[0]], ["X1"])]).code == "no_known_gene"
    assert refusal([cells([[3]], ["X1"])]).code == "no_known_gene"


def test_zero_turns_it_off() -> None:
    judge([cells([[3]], ["X1"])], 0.0)


@pytest.mark.parametrize(
    ("unknown", "ids", "words"),
    [
        (["Cd3d", "Cd8a", "Ms4a1", "0610007P14Rik", "H2-Ab1"], [], "mouse symbols"),
        (["ENSG00000167286", "ENSG00000153563.16"], [], "gene_ids.json"),
        (["ENSG00000182378.3_PAR_Y"], [], "gene_ids.json"),
        (["ENSMUSG00000032094"], [], "Ensembl ids of the mouse"),
        (["AAACCTGAGAAACCAT-1", "sample1_AAACCTGAGAAACCGC-1"], [], "transposed"),
        (["c1", "c2"], ["LYZ", "CD3D", "NKG7"], "transposed"),
        (["lyz", "nkg7"], [], "upper case"),
        (["0", "1", "2"], [], "numbers"),
        (["GRCh38_CD3D", "GRCh38_LYZ", "mm10___Lyz2"], [], "'GRCh38_'"),
        (["hg19___LYZ", "hg19___NKG7"], [], "'hg19___'"),
        (["human-LYZ", "human-NKG7"], [], "A prefix stands"),
        ([" LYZ", "NKG7 ", "CD3D\t"], [], "Blanks or quotes"),
        (['"LYZ"', '"NKG7"'], [], "Blanks or quotes"),
        (["chr1:100-2000", "chrX:5-900", "ABC"], [], "peaks"),
        (["1-100-2000", "chr22_5_900", "chr3-4-5"], [], "peaks"),
        (["ABC1", "DEF2"], ["cell-1"], "vocab.json"),
    ],
)
def test_the_likely_cause(unknown: list[str], ids: list[str], words: str) -> None:
    assert words in VOCAB.likely_cause(unknown, ids)
    assert words in refusal([cells([[1] * len(unknown)] * max(len(ids), 1), unknown, ids)]).message


def test_where_no_gene_was_sent_none_is_listed() -> None:
    message = refusal([Cells(sparse.csr_matrix((2, 0), dtype=np.float32), [])]).message
    assert "none of the 0 genes" in message
    assert "unknown:" not in message
