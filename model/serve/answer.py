"""Read, compute, write: one request of the wire contract, whatever server it came through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import contract
from ..errors import InvalidRequest, LimitExceeded
from ..wire.codec import PackedEmbeddings, encode_embeddings
from ..wire.embeddings import CellEmbeddings
from ..wire.genes_in_context import GenesInContext, encode_genes_in_context
from .engine import Engine
from .request import Question, read_request

_NO_COUNTS = np.empty(0, np.int64)


def answer(
    engine: Engine,
    model_input: pd.DataFrame,
    params: Mapping[str, Any] | None,
    folders: Sequence[Path] = (),
    *,
    with_hvg: bool = False,
) -> pd.DataFrame:
    """Answer a request of the wire contract.

    Parameters
    ----------
    engine
        The model.
    model_input
        The contract's columns; each row is one AnnData (guide form) or one chunk (packed form).
    params
        As in the engine's options.
    folders
        Where ``input_data_path`` may lie (see ``volumes.check_prefixes``); none: nowhere.
    with_hvg
        ``subset_hvg`` may be asked for.

    Returns
    -------
    pandas.DataFrame
        One row per cell (``cell_embeddings``) or per row of input (``gene_embeddings``, and every
        packed answer).

    Raises
    ------
    InvalidRequest
        For everything that the caller can mend.
    """
    asked = read_request(engine, model_input, params, folders, with_hvg=with_hvg)
    respond = {
        contract.CELL_EMBEDDINGS: _answer_cells,
        contract.GENE_EMBEDDINGS: _answer_genes,
        contract.GENES_IN_CONTEXT: _answer_genes_in_context,
        contract.DIAGNOSTICS: _answer_diagnostics,
    }[asked[0].task]
    lines = respond(engine, asked)
    if any("applied_steps" in line for line in lines):
        for line in lines:  # pandas would fill a hole with NaN
            line.setdefault("applied_steps", [])
    return pd.DataFrame(lines)


def _answer_cells(engine: Engine, asked: Sequence[Question]) -> list[dict[str, Any]]:
    found = engine.embed_cells([question.cells for question in asked], asked[0].options)
    rows = zip(asked, found, strict=True)
    return [line for question, part in rows for line in _cell_lines(question, part)]


def _cell_lines(question: Question, found: CellEmbeddings) -> list[dict[str, Any]]:
    cells = question.cells.cells
    ids = cells.ids or [str(i) for i in range(cells.counts.shape[0])]
    common = _common(question, found.digest)
    if not question.is_json:
        packed = PackedEmbeddings(
            ids,
            found.embeddings,
            found.matched,
            found.unknown,
            found.truncated,
            not_found=[],
            digest=found.digest,
        )
        return [{"packed": encode_embeddings(packed, question.options.response_format), **common}]
    return [
        {
            "id": name,
            "embedding": vector,
            "matched_genes": int(found.matched[i]),
            "unknown_genes": int(found.unknown[i]),
            "truncated_genes": int(found.truncated[i]),
            **common,
        }
        for i, (name, vector) in enumerate(zip(ids, _rounded(found.embeddings), strict=True))
    ]


def _answer_genes(engine: Engine, asked: Sequence[Question]) -> list[dict[str, Any]]:
    return [_genes_line(engine, question) for question in asked]


def _genes_line(engine: Engine, question: Question) -> dict[str, Any]:
    options = question.options
    end = options.gene_offset + options.gene_limit if options.gene_limit else None
    found = engine.embed_genes(_wanted_genes(question), slice(options.gene_offset, end))
    if not found.genes:
        raise InvalidRequest(
            "no_genes",
            f"gene_offset {options.gene_offset} lies behind the last of {found.total} genes.",
        )
    common = {"genes_total": found.total, **_common(question, found.digest)}
    if not question.is_json:
        packed = PackedEmbeddings(
            found.genes,
            found.embeddings,
            _NO_COUNTS,
            _NO_COUNTS,
            _NO_COUNTS,
            not_found=found.unknown,
            digest=found.digest,
        )
        return {"packed": encode_embeddings(packed, options.response_format), **common}
    if len(found.genes) > contract.MAX_JSON_GENES:
        raise LimitExceeded(
            "too_many_genes",
            f"{len(found.genes):,} gene vectors do not fit a JSON answer "
            f"({contract.MAX_JSON_GENES:,} do). Ask for response_format float16, or for pages "
            "with gene_offset and gene_limit.",
        )
    vectors = dict(zip(found.genes, _rounded(found.embeddings), strict=True))
    return {"gene_embeddings": vectors, "genes_not_found": found.unknown, **common}


def _wanted_genes(question: Question) -> list[str] | None:
    """Return the genes that are asked for; None: all, which must be said: the answer is large."""
    if question.options.genes:
        return list(question.options.genes)
    if question.whole_table:
        return None
    if question.genes is None:
        raise InvalidRequest(
            "no_gene_names",
            f"no genes are named: send {contract.VAR}, the table whose index names them, or the "
            "param genes; need_preprocess false asks for all genes of the model.",
        )
    return question.genes


def _answer_diagnostics(engine: Engine, asked: Sequence[Question]) -> list[dict[str, Any]]:
    """Say what computes, in the words of the log; the request's rows are not looked at."""
    return [{"id": engine.choices, **_common(asked[0], engine.digest)}]


def _answer_genes_in_context(engine: Engine, asked: Sequence[Question]) -> list[dict[str, Any]]:
    most = contract.MAX_JSON_GENES if asked[0].is_json else _room(engine.width)
    sent = [question.cells for question in asked]
    found = engine.embed_genes_in_context(sent, asked[0].options, most)
    rows = zip(asked, found, strict=True)
    return [line for question, part in rows for line in _context_lines(question, part)]


def _context_lines(question: Question, found: GenesInContext) -> list[dict[str, Any]]:
    """Write one line per cell or group; one in all for a packed answer."""
    options = question.options
    common = _common(question, found.digest)
    if not question.is_json:
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
    vectors = _rounded(found.sums[span])
    return {
        "id": found.names[i],
        "gene_embeddings": dict(zip(symbols, vectors, strict=True)),
    }


def _group_line(found: GenesInContext, i: int) -> dict[str, Any]:
    symbols, span = found.row(i)
    return {
        "group": found.names[i],
        "cells": int(found.cells[i]),
        "gene_sums": dict(zip(symbols, _rounded(found.sums[span]), strict=True)),
        "gene_counts": dict(zip(symbols, found.counts[span].tolist(), strict=True)),
    }


def _room(width: int) -> int:
    """Count the vectors that fit a packed answer: float32, an index and a count each."""
    return contract.MAX_BODY_BYTES // (4 * width + 8)


def _common(question: Question, digest: str) -> dict[str, Any]:
    """Return the fields of every line; the filters are named only where some were done."""
    steps = {"applied_steps": list(question.steps)} if question.steps else {}
    return {"input_row": question.input_row, "model_digest": digest, **steps}


def _rounded(embeddings: NDArray[Any]) -> list[list[float]]:
    """Round for JSON: eight decimals, half as long as a float32 written out, within 5e-9 of it."""
    return np.round(embeddings.astype(np.float64), 8).tolist()  # type: ignore[no-any-return]
