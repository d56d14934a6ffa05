"""Cells through an endpoint, into AnnData. Needs numpy, scipy and HTTP; no torch.

``embed`` gives ``obsm["X_scGPT"]``: cells travel in chunks of the packed form, several at a time,
and are put together again in order.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cells.find_counts import naming_the_counts
from ..cells.in_memory import AnnDataCells
from ..cells.job_options import (
    CELLS_PER_REQUEST,
    COUNTED,
    OBS_COLUMNS,
    OBSM_KEY,
    STATUS_COLUMN,
)
from ..cells.labels import labels
from ..errors import InvalidRequest
from .about import about, storable
from .answered import Answered
from .cache import cache_at
from .conversation import Report, Speaker, converse
from .endpoint import Endpoint
from .how import How, merged
from .pace import CONCURRENCY
from .progress import Progress, teller
from .questions import REQUEST_BYTES, Questions, check_data

if TYPE_CHECKING:
    from anndata import AnnData


def embed(
    adata: AnnData,
    endpoint: Endpoint | str | None = None,
    *,
    checkpoint: str | Path | None = None,
    key: str = OBSM_KEY,
    chunk: int = CELLS_PER_REQUEST,
    request_bytes: int = REQUEST_BYTES,
    concurrency: int = CONCURRENCY,
    patience: float | None = None,
    layer: str | None = None,
    raw: bool = False,
    gene_names: str | None = None,
    sum_duplicates: bool = False,
    genes: Sequence[str] | None = None,
    n_top_genes: int = 0,
    hvg_flavor: str | None = None,
    batch_key: str | None = None,
    cell_names: bool = False,
    cache: str | Path | None = None,
    params: Mapping[str, Any] | None = None,
    request_prefix: str | None = None,
    progress: Progress | bool | None = None,
    **options: Any,
) -> Report:
    """Embed all cells; nothing is written to `adata` before the last answer is in.

    Only counts, gene names and row numbers are sent: no column of ``obs``, no name of a cell.

    Parameters
    ----------
    adata
        Cells x genes, counts or normalised values, gene symbols in ``.var_names``.
        Receives float32 ``obsm[key]``, ``uns["scgpt"]``, and of each cell's genes the numbers
        that were matched, unknown and truncated: ``obs["scgpt_matched_genes"]`` and so on.
        ``obs["scgpt_status"]`` is ``ok``, ``no_known_gene``, or ``failed: <code>``; the row of a
        cell that failed is NaN.
    endpoint
        Where to send them: an ``Endpoint``, its name, or the URL of its invocations (then with the
        credentials that the Databricks SDK finds).
    checkpoint
        Folder of a checkpoint, instead of an endpoint: it answers in this process, which needs
        the extra ``engine``.
    key, chunk, request_bytes, concurrency, patience, layer, raw, gene_names, sum_duplicates
        As ``How`` says, and ``docs/parameters.md``.
    genes, n_top_genes, hvg_flavor, batch_key, cell_names, cache, params
        As ``How`` says, and ``docs/parameters.md``.
    **options
        Params by their own names, such as ``min_known_fraction=0``.
    request_prefix
        The client request ids are ``<prefix>-<first cell>``; by default a random prefix.
    progress
        Called with (cells done, cells in all); True shows it in a line on stderr, False does not.
        By default it shows in a terminal and in a notebook.

    Raises
    ------
    InvalidRequest
        Before anything is sent: no cell, no such matrix, duplicate genes, NaN, infinite or negative
        values, values that look imputed (``imputed_values``; judged of the first 2,048 cells that
        have counts), and as ``How``. Then what the model itself refuses; whether the genes are
        known is asked once, of the first chunk that has counts.
    EndpointError
        No access, no such endpoint, not ready, not reachable, or two models in one result.

    Warns
    -----
    UserWarning
        Some cells failed; or some have more genes than the model reads (``max_length``).
    """
    _check_anndata(adata)
    tell = teller(progress, "cells embedded")
    answerer = _answerer(endpoint, checkpoint)
    if adata.n_obs == 0:
        raise InvalidRequest("no_cells", "the AnnData holds no cell; send at least one.")
    how = How(
        key=key,
        chunk=chunk,
        request_bytes=request_bytes,
        concurrency=concurrency,
        patience=patience,
        layer=layer,
        raw=raw,
        gene_names=gene_names,
        sum_duplicates=sum_duplicates,
        genes=genes,
        n_top_genes=n_top_genes,
        hvg_flavor=hvg_flavor,
        batch_key=batch_key,
        cell_names=cell_names,
        cache=cache,
        params=merged(params, options),
    )
    return _embed(adata, answerer, how, request_prefix, tell)


def _embed(
    adata: AnnData,
    answerer: Endpoint | str | Path,
    how: How,
    request_prefix: str | None,
    tell: Progress,
) -> Report:
    source = AnnDataCells(adata, how.place)
    with naming_the_counts(source):
        check_data(source, how.sent)
    chosen, kept = how.choice.of(source, _batches(adata, how.batch_key)), cache_at(how.cache)
    questions = Questions(chosen, how.sent, how.limits, request_prefix, how.cell_names, kept)
    _check_takes(adata)

    def ask_all(speaker: Speaker) -> tuple[Answered, Report]:
        parts: list[Answered] = []
        for done, rows in questions.ask(speaker):
            parts.append(rows)
            tell(done, adata.n_obs)
        return Answered.joined(parts), speaker.report()

    place = answerer if isinstance(answerer, Endpoint) else None
    if place is None:
        rows, report = ask_all(_in_process(answerer))
    else:
        rows, report = converse(place, ask_all, concurrency=how.concurrency, patience=how.patience)
    _write(adata, how.key, rows, {**report.origin(place), **about(source, chosen, how.sent)})
    kept.done()
    source.gene_columns.warn()
    rows.warn()
    return report


def _answerer(
    endpoint: Endpoint | str | None, checkpoint: str | Path | None
) -> Endpoint | str | Path:
    if checkpoint is None:
        return Endpoint.given(endpoint)
    if endpoint is not None:
        raise InvalidRequest(
            "invalid_endpoint", "both an endpoint and a checkpoint are given; give one of them."
        )
    return checkpoint


def _in_process(checkpoint: Any) -> Speaker:
    try:
        from ..batch.in_process import InProcess
    except ImportError as error:
        raise InvalidRequest(
            "missing_package",
            f"a checkpoint in this process needs {error.name}: "
            "pip install 'scgpt-databricks[engine]'. Or ask an endpoint.",
        ) from error
    return InProcess(checkpoint)


def _batches(adata: AnnData, column: str | None) -> list[str | None] | None:
    if column is None:
        return None
    if column not in adata.obs:
        there = ", ".join(map(str, adata.obs)) or "none"
        raise InvalidRequest(
            "no_batches", f"obs has no column {column!r} (batch_key); its columns: {there}."
        )
    return labels(adata.obs[column].astype(object))


def _check_anndata(adata: Any) -> None:
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise InvalidRequest(
            "invalid_anndata",
            f"adata is of type {type(adata).__name__}; give an AnnData. A file is read by "
            "anndata.read_h5ad(path); a matrix becomes one by AnnData(X), with var_names.",
        )


def _check_takes(adata: AnnData) -> None:
    """Refuse an AnnData that takes no results (``not_writable``); try it, and leave no trace."""
    trial = "trial_of_scgpt"
    try:
        with warnings.catch_warnings(action="ignore"):  # of a view that becomes a copy
            adata.obsm[trial] = np.zeros((adata.n_obs, 1))
            del adata.obsm[trial]
            adata.obs[trial] = 0
            del adata.obs[trial]
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError, OSError) as error:
        raise InvalidRequest(
            "not_writable",
            f"the AnnData takes no results ({error}). Pass a copy: adata.to_memory().",
        ) from error


def _write(adata: AnnData, key: str, rows: Answered, record: Mapping[str, Any]) -> None:
    from pandas import Categorical  # late: to import the client stays light

    adata.obsm[key] = rows.embeddings
    for column, name in zip(OBS_COLUMNS, COUNTED, strict=True):
        adata.obs[column] = getattr(rows, name)
    adata.obs[STATUS_COLUMN] = Categorical(rows.status)
    adata.uns["scgpt"] = storable(record)
