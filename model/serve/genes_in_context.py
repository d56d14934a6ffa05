"""Answers about genes in the context of cells."""

from __future__ import annotations

from typing import Any

from .. import contract
from ..contract import Options
from ..scgpt.embedder import Embedder
from ..scgpt.genes_in_context import embed_genes_in_context
from ..wire.genes_in_context import GenesInContext, encode_genes_in_context
from ..wire.lines import applied, cells_of, rounded
from ..wire.rows import Row


def answer_genes_in_context(
    embedder: Embedder, row: Row, steps: list[str], options: Options, position: int
) -> list[dict[str, Any]]:
    """One line per cell or group; one in all for a packed answer."""
    cells = cells_of(row)
    is_json = options.response_format == "json"
    found = embed_genes_in_context(
        embedder,
        cells,
        group_by=options.group_by,
        genes=options.genes,
        max_vectors=contract.MAX_JSON_GENES if is_json else _room(embedder.config.d_model),
        ties=options.ties,  # type: ignore[arg-type]
        max_length=options.max_length,
        seed=options.seed,
        require_known=False,
    )
    common = {"input_row": position, "model_digest": found.digest, **applied(steps)}
    if not is_json:
        return [{"packed": encode_genes_in_context(found, options.response_format), **common}]
    line = _group_line if options.group_by else _cell_line
    return [
        {
            **line(found, i),
            "matched_genes": int(found.matched[i]),
            "unknown_genes": int(found.unknown[i]),
            "truncated_genes": int(found.truncated[i]),
            "genes_not_found": found.not_found,
            **common,
        }
        for i in range(len(found.names))
    ]


def _cell_line(found: GenesInContext, i: int) -> dict[str, Any]:
    symbols, span = found.row(i)
    vectors = rounded(found.sums[span])
    return {
        "id": found.names[i],
        "gene_embeddings": dict(zip(symbols, vectors, strict=True)),
    }


def _group_line(found: GenesInContext, i: int) -> dict[str, Any]:
    symbols, span = found.row(i)
    return {
        "group": found.names[i],
        "cells": int(found.cells[i]),
        "gene_sums": dict(zip(symbols, rounded(found.sums[span]), strict=True)),
        "gene_counts": dict(zip(symbols, found.counts[span].tolist(), strict=True)),
    }


def _room(width: int) -> int:
    """Vectors that fit a packed answer: float32, an index and a count each."""
    return contract.MAX_BODY_BYTES // (4 * width + 8)
