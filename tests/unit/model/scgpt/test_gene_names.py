"""Genes by symbol, Ensembl id or former symbol; columns of one gene; the files that say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.known_genes import UNKNOWN
from scgpt_databricks.model.errors import CheckpointError
from scgpt_databricks.model.scgpt.checkpoint import CheckpointFiles, files_digest, read_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.tokenizer import merge_columns
from scgpt_databricks.model.scgpt.vocab import GeneVocab
from tests.unit.model.reference import GENES, ReferenceModel, make_counts, write_checkpoint

IDS = {"ENSG00000000001": "G1", "ENSG00000000002": "G2", "ENSG00000000092": "G2"}
IDS_ABSENT = {"ENSG00000000009": "NOT_IN_VOCAB"}
ALIASES = {"FYB": "G3", "SEPT7": "G4", "G5": "G6", "OLD": "OLDER", "OLDER": "G7"}
VOCAB = GeneVocab({gene: i for i, gene in enumerate(GENES)}, {**IDS, **IDS_ABSENT}, ALIASES)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, reference_model: ReferenceModel) -> Path:
    folder = write_checkpoint(tmp_path_factory.mktemp("named"), reference_model, flash=True)
    (folder / "gene_ids.json").write_text(json.dumps(IDS))
    (folder / "gene_aliases.json").write_text(json.dumps(ALIASES))
    return folder


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("G1", 1),
        ("ENSG00000000001", 1),
        ("ENSG00000000001.14", 1),
        ("ENSG00000000002.3_PAR_Y", 2),
        ("ENSG00000000009", UNKNOWN),
        ("ENSG00000000001.x", UNKNOWN),
        ("FYB", 3),
        ("G5", 5),  # a symbol of the vocabulary is never renamed
        ("OLD", UNKNOWN),  # an alias names the symbol itself, not another alias
        ("G1.1", UNKNOWN),  # versions are cut from Ensembl ids alone
        ("<cls>", UNKNOWN),
    ],
)
def test_what_a_name_means(name: str, row: int) -> None:
    assert VOCAB.lookup([name])[0] == row


def test_columns_of_one_gene_become_its_largest_value() -> None:
    cells = sparse.csr_matrix(np.array([[5, 1, 0, 2], [0, 0, 3, 0], [1, 0, 0, 4]], np.float32))
    merged, ids = merge_columns(cells, np.array([7, UNKNOWN, 3, 7]))
    np.testing.assert_array_equal(ids, [7, UNKNOWN, 3])
    whole = sparse.csr_matrix((merged.data, merged.indices, merged.indptr), merged.shape)
    np.testing.assert_array_equal(whole.toarray(), [[5, 1, 0], [0, 0, 3], [4, 0, 0]])


def test_nothing_is_merged_where_genes_differ() -> None:
    cells = sparse.csr_matrix(np.eye(3, dtype=np.float32))
    ids = np.array([UNKNOWN, UNKNOWN, 2])
    assert merge_columns(cells, ids)[0] is cells


def test_merged_counts_and_log1p_values_give_the_same_tokens(named: Path) -> None:
    embedder = Embedder.load(named, device="cpu")
    names = ["ENSG00000000001.2", "G1", "ENSG00000000002", "FYB", "G3", *GENES[10:80]]
    counts = sparse.csr_matrix(make_counts(30, len(names)))
    a, b = (embedder.tokenize(x, names) for x in (counts, counts.log1p()))
    np.testing.assert_array_equal(a.genes, b.genes)
    np.testing.assert_array_equal(a.values, b.values)
    for i in range(30):
        tokens = a.genes[a.indptr[i] : a.indptr[i + 1]]
        assert len(set(tokens)) == len(tokens)


def test_names_of_any_kind_give_the_same_embeddings(named: Path, embedder: Embedder) -> None:
    other = Embedder.load(named, device="cpu")
    counts = sparse.csr_matrix(make_counts(6, 4, density=0.9))
    a = other.embed_cells(counts, ["ENSG00000000001.7", "ENSG00000000092", "FYB", "SEPT7"])
    b = embedder.embed_cells(counts, ["G1", "G2", "G3", "G4"])
    np.testing.assert_array_equal(a.embeddings, b.embeddings)
    found = other.embed_genes(["FYB", "G3", "ENSG00000000001"])
    assert found.genes == ["FYB", "G3", "ENSG00000000001"]
    symbols = embedder.embed_genes(["G3", "G1"]).embeddings
    np.testing.assert_array_equal(found.embeddings, symbols[[0, 0, 1]])


def test_both_files_are_part_of_the_identity(named: Path, checkpoint: Path) -> None:
    with_both = files_digest(CheckpointFiles.of(named))
    assert with_both == read_checkpoint(named).digest
    assert with_both != files_digest(CheckpointFiles.of(checkpoint))
    text = (named / "gene_aliases.json").read_text()
    (named / "gene_aliases.json").write_text(json.dumps({**ALIASES, "NEW": "G9"}))
    assert files_digest(CheckpointFiles.of(named)) != with_both
    (named / "gene_aliases.json").write_text(text)


@pytest.mark.parametrize("file", ["gene_ids.json", "gene_aliases.json"])
@pytest.mark.parametrize("content", ["[]", '{"A": 1}', "{", '{"A": ["G1"]}'])
def test_a_damaged_file_of_names_is_refused(
    tmp_path: Path, reference_model: ReferenceModel, file: str, content: str
) -> None:
    folder = write_checkpoint(tmp_path, reference_model)
    (folder / file).write_text(content)
    with pytest.raises(CheckpointError, match=file):
        read_checkpoint(folder)


def test_ids_with_a_version_in_the_file_are_refused(
    tmp_path: Path, reference_model: ReferenceModel
) -> None:
    folder = write_checkpoint(tmp_path, reference_model)
    (folder / "gene_ids.json").write_text('{"ENSG00000000001.3": "G1"}')
    with pytest.raises(CheckpointError, match="without a version"):
        read_checkpoint(folder)
