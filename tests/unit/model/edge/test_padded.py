"""The module that is exported, against the engine. The export itself is an acceptance test."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from scgpt_databricks.model.edge.padded import GeneTable, PaddedNetwork
from scgpt_databricks.model.edge.runner import padded
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(12, len(GENES)) * (np.arange(12) % 5 != 0)[:, None])


def test_padded_cells_equal_the_engines_rows(embedder: Embedder) -> None:
    tokens = embedder.tokenize(COUNTS, GENES)
    assert len(set(tokens.lengths().tolist())) > 2  # some are padded, one is <cls> alone
    inputs = padded(tokens, np.arange(12)[::-1])
    with torch.inference_mode():
        rows = PaddedNetwork(embedder.network)(*map(torch.from_numpy, inputs.values())).numpy()
    wanted = embedder.embed_tokens(tokens).embeddings[::-1]
    known = tokens.matched[::-1] > 0
    np.testing.assert_allclose(rows[known], wanted[known], atol=1e-6)


def test_the_gene_table_equals_the_engines_vectors(embedder: Embedder) -> None:
    found = embedder.embed_genes(GENES)
    ids = torch.from_numpy(embedder.vocab.lookup(found.genes))
    rows = GeneTable(embedder.network)(ids).numpy()
    np.testing.assert_array_equal(rows, found.embeddings)
