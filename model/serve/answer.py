"""Decode, run, encode: one request of the wire contract, whatever server it came through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import contract
from ..cells.cells import BATCH, Cells
from ..cells.checks import check_cells
from ..cells.h5ad import read_cells
from ..cells.imputed import check_not_imputed
from ..contract import Options
from ..errors import InvalidRequest, LimitExceeded
from ..scgpt.config import ModelConfig
from ..scgpt.embedder import Embedder
from ..scgpt.known_genes import check_known_fraction
from ..wire.codec import PackedEmbeddings, encode_embeddings
from ..wire.embeddings import GeneEmbeddings
from ..wire.lines import applied, cells_of, rounded
from ..wire.rows import Row, holds_input, read_rows
from .filters import check_filters
from .genes_in_context import answer_genes_in_context
from .preprocess import preprocess
from .volumes import allowed_file

_NO_COUNTS = np.empty(0, np.int64)


def answer(
    embedder: Embedder,
    model_input: pd.DataFrame,
    params: Mapping[str, Any] | None,
    folders: Sequence[Path] = (),
) -> pd.DataFrame:
    """Answer a request of the wire contract.

    Parameters
    ----------
    model_input
        The contract's columns; each row is one AnnData (guide form) or one chunk (packed form).
    params
        As in ``contract.Options``.
    folders
        Where ``input_data_path`` may lie (see ``volumes.check_prefixes``); none: nowhere.

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
    options = contract.read_params(params)
    check_architecture(options, embedder.config, len(embedder.vocab))
    rows = _rows(model_input, options, folders)
    task = options.task or (
        contract.CELL_EMBEDDINGS if rows[0].is_packed else contract.GENE_EMBEDDINGS
    )
    contract.check_params_of(task, options)
    reads_cells = _reads_cells(task, options) and any(row.cells is not None for row in rows)
    check_filters(options, reads_cells=reads_cells)
    if reads_cells:
        sent = _checked_cells(embedder, rows, options.min_known_fraction)
        if task != contract.GENE_EMBEDDINGS and not options.allow_imputed:
            check_not_imputed(sent)
    respond = {
        contract.CELL_EMBEDDINGS: _answer_cells,
        contract.GENE_EMBEDDINGS: _answer_genes,
        contract.GENES_IN_CONTEXT: answer_genes_in_context,
    }[task]
    filtered = _filtered(embedder, rows, options) if reads_cells else [(row, []) for row in rows]
    lines = [
        line
        for i, (row, steps) in enumerate(filtered)
        for line in respond(embedder, row, steps, options, i)
    ]
    if any("applied_steps" in line for line in lines):
        for line in lines:  # pandas would fill a hole with NaN
            line.setdefault("applied_steps", [])
    return pd.DataFrame(lines)


def _rows(model_input: pd.DataFrame, options: Options, folders: Sequence[Path]) -> list[Row]:
    columns = [name for name in (*contract.GUIDE_COLUMNS, contract.PACKED) if name in model_input]
    sent = [
        dict(zip(columns, values, strict=True))
        for values in zip(*(model_input[name] for name in columns), strict=True)
    ]
    labels = {BATCH, options.group_by}
    if not options.input_data_path:
        return read_rows(sent, labels)
    file = allowed_file(options.input_data_path, folders)
    if holds_input(sent):
        raise InvalidRequest(
            "two_forms", "input_data_path came with cells in the columns; send one of them."
        )
    cells = read_cells(file, labels)
    return [Row(is_packed=False, cells=cells, genes=cells.genes)]


def _reads_cells(task: str, options: Options) -> bool:
    """Whether the cells of a request have a part in its answer."""
    return task != contract.GENE_EMBEDDINGS or not (options.genes or _whole_table(options))


def _whole_table(options: Options) -> bool:
    """The guide's first version: no pipeline and no file of data means all genes."""
    return not options.need_preprocess and not options.input_data_path


def _checked_cells(embedder: Embedder, rows: Sequence[Row], least_known: float) -> list[Cells]:
    sent = [row.cells for row in rows if row.cells is not None]
    for cells in sent:
        check_cells(cells.counts, cells.genes)
    if sent:
        check_known_fraction(embedder.vocab, sent, least_known)
    return sent


def _filtered(
    embedder: Embedder, rows: Sequence[Row], options: Options
) -> list[tuple[Row, list[str]]]:
    """Each row after the filters, and what they did; judged again, for known genes may be gone."""
    filtered: list[tuple[Row, list[str]]] = []
    for row in rows:
        if row.cells is None:
            filtered.append((row, []))
        else:
            cells, steps = preprocess(row.cells, options)
            filtered.append((replace(row, cells=cells, genes=cells.genes), steps))
    done = [step for _, steps in filtered for step in steps]
    if done:
        left = [row.cells for row, _ in filtered if row.cells is not None]
        try:
            check_known_fraction(embedder.vocab, left, options.min_known_fraction)
        except InvalidRequest as error:
            said = f"after {done[0]}: {error.message} Without this filter the request is answered."
            raise InvalidRequest(error.code, said) from error
    return filtered


def _answer_cells(
    embedder: Embedder, row: Row, steps: list[str], options: Options, position: int
) -> list[dict[str, Any]]:
    cells = cells_of(row)
    found = embedder.embed_cells(
        cells.counts,
        cells.genes,
        ties=options.ties,  # type: ignore[arg-type]
        max_length=options.max_length,
        seed=options.seed,
        require_known=False,
    )
    ids = cells.ids or [str(i) for i in range(cells.counts.shape[0])]
    common = {"input_row": position, "model_digest": found.digest, **applied(steps)}
    if options.response_format != "json":
        packed = PackedEmbeddings(
            ids,
            found.embeddings,
            found.matched,
            found.unknown,
            found.truncated,
            not_found=[],
            digest=found.digest,
        )
        return [{"packed": encode_embeddings(packed, options.response_format), **common}]
    return [
        {
            "id": name,
            "embedding": vector,
            "matched_genes": int(found.matched[i]),
            "unknown_genes": int(found.unknown[i]),
            "truncated_genes": int(found.truncated[i]),
            **common,
        }
        for i, (name, vector) in enumerate(zip(ids, rounded(found.embeddings), strict=True))
    ]


def _answer_genes(
    embedder: Embedder, row: Row, steps: list[str], options: Options, position: int
) -> list[dict[str, Any]]:
    end = options.gene_offset + options.gene_limit if options.gene_limit else None
    page = slice(options.gene_offset, end)
    found = embedder.embed_genes(_wanted_genes(row, options), page=page)
    if not found.genes:
        raise InvalidRequest(
            "no_genes",
            f"gene_offset {options.gene_offset} lies behind the last of {found.total} genes.",
        )
    common = {
        "genes_total": found.total,
        "input_row": position,
        "model_digest": found.digest,
        **applied(steps),
    }
    if options.response_format != "json":
        return [{"packed": _packed_genes(found, options.response_format), **common}]
    if len(found.genes) > contract.MAX_JSON_GENES:
        raise LimitExceeded(
            "too_many_genes",
            f"{len(found.genes):,} gene vectors do not fit a JSON answer "
            f"({contract.MAX_JSON_GENES:,} do). Ask for response_format float16, or for pages "
            "with gene_offset and gene_limit.",
        )
    vectors = dict(zip(found.genes, rounded(found.embeddings), strict=True))
    return [{"gene_embeddings": vectors, "genes_not_found": found.unknown, **common}]


def _wanted_genes(row: Row, options: Options) -> list[str] | None:
    """Which genes are asked for; None: all, which must be said, for it is a large answer."""
    if options.genes:
        return list(options.genes)
    if _whole_table(options):
        return None
    if row.genes is None:
        raise InvalidRequest(
            "no_gene_names",
            f"no genes are named: send {contract.VAR}, the table whose index names them, or the "
            "param genes; need_preprocess false asks for all genes of the model.",
        )
    return row.genes


def _packed_genes(found: GeneEmbeddings, response_format: str) -> str:
    return encode_embeddings(
        PackedEmbeddings(
            found.genes,
            found.embeddings,
            _NO_COUNTS,
            _NO_COUNTS,
            _NO_COUNTS,
            not_found=found.unknown,
            digest=found.digest,
        ),
        response_format,
    )


def check_architecture(options: Options, config: ModelConfig, vocab_size: int) -> None:
    """Refuse architecture params that differ from the checkpoint's (``other_architecture``)."""
    actual = {
        "embsize": config.d_model,
        "nhead": config.n_heads,
        "d_hid": config.d_hid,
        "nlayers": config.n_layers,
        "n_layers_cls": config.n_layers_cls,
        "ntokens": vocab_size,
        "pad_value": config.pad_value,
        "mask_value": config.mask_value,
        "n_input_bins": config.n_bins,
        "binning": config.n_bins,
    }
    for name, value in options.architecture().items():
        if value != actual[name]:
            raise InvalidRequest(
                "other_architecture",
                f"{name} is {value}, but this checkpoint has {actual[name]}; its architecture "
                "cannot be chosen by a request. Leave the param out.",
            )
