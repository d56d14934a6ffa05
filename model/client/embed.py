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

from ..cells.counts_place import CountsPlace
from ..cells.find_counts import naming_the_counts
from ..cells.gene_choice import GeneChoice
from ..cells.in_memory import AnnDataCells
from ..cells.job_options import (
    CELLS_PER_REQUEST,
    COUNTED,
    OBS_COLUMNS,
    OBSM_KEY,
    STATUS_COLUMN,
    check_key,
)
from ..cells.labels import labels
from ..errors import InvalidRequest
from .about import about, storable
from .answered import Answered
from .cache import cache_at
from .conversation import Report, Speaker, converse
from .endpoint import Endpoint
from .pace import CONCURRENCY
from .progress import Progress, teller
from .questions import REQUEST_BYTES, Limits, Questions, check_data, checked_params

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
    key
        Of ``obsm``.
    chunk
        The most cells per request.
    request_bytes
        The most bytes per request; by default few enough for the inference table, which keeps
        none above 1 MiB. At most 16 MB.
    concurrency
        The most requests that are under way at a time. There are fewer where answers become slow
        or the endpoint is busy.
    patience
        Seconds for which a request is repeated while the endpoint is busy or starts; by default
        20 minutes, as an endpoint that was scaled to zero may need.
    layer, raw
        Where the values lie: in this layer (``"X"`` for ``.X``), or in ``.raw``. By default where
        counts are: ``layers["counts"]``, ``.raw``, ``.X``, the first that holds some; else ``.X``,
        or ``.raw`` where ``.X`` has numbers below 0.
    gene_names
        Column of ``var`` that names the genes, or ``"index"``. By default the index does, unless
        it holds Ensembl ids or numbers and there is a column ``feature_name``, ``gene_symbols`` or
        ``gene_name``. There a name that occurs again gives way to the id.
    sum_duplicates
        Add up the columns of one name; else they are refused.
    genes
        Embed these genes only; the list of another data set, so that both are comparable:
        ``uns["scgpt"]["genes"]``. Those that are not in `adata` are left out, with a warning.
    n_top_genes
        Embed the genes that vary the most. They are chosen once over all cells; the list is kept
        in ``uns["scgpt"]``, with its hash. 0: all genes.
    hvg_flavor
        How these are found: ``seurat_v3``, ``cell_ranger`` or ``seurat``, as scanpy has them. By
        default the first for counts, and the second for other values.
    batch_key
        Column of ``obs`` with the batches within which genes are to vary. It is not sent.
    cell_names
        Send the names of the cells, too.
    cache
        Folder that keeps answers, by the cell's tokens and the model's digest: nobody asks for
        them again. By default the answers of a run that failed are kept in this process, so that
        the next one goes on.
    params
        More params of the contract (``ties``, ``seed``, ...); none that would change which cells
        or genes are answered for, or that the answer is packed cell embeddings.
    **options
        The same params by their own names, such as ``min_known_fraction=0``.
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
        have counts), params as said above (``invalid_param``, ``unknown_param``),
        ``invalid_chunk``, ``invalid_key``, ... Then what the model itself refuses; whether the
        genes are known is asked once, of the first chunk that has counts.
    EndpointError
        No access, no such endpoint, not ready, not reachable, or two models in one result.

    Warns
    -----
    UserWarning
        Some cells failed; or some have more genes than the model reads (``max_length``).
    """
    _check_anndata(adata)
    tell = teller(progress, "cells embedded")
    if endpoint is not None and checkpoint is not None:
        raise InvalidRequest(
            "invalid_endpoint", "both an endpoint and a checkpoint are given; give one of them."
        )
    place = Endpoint.given(endpoint) if checkpoint is None else None
    if adata.n_obs == 0:
        raise InvalidRequest("no_cells", "the AnnData holds no cell; send at least one.")
    choice = GeneChoice(genes, n_top_genes, hvg_flavor, batch_key)
    source = AnnDataCells(adata, CountsPlace.asked(layer, raw, gene_names, sum_duplicates))
    limits = Limits(chunk, request_bytes, concurrency, patience)
    check_key(key)
    sent = checked_params(_merged(params, options))
    with naming_the_counts(source):
        check_data(source, sent)
    chosen, kept = choice.of(source, _batches(adata, batch_key)), cache_at(cache)
    questions = Questions(chosen, sent, limits, request_prefix, cell_names, kept)
    _check_takes(adata)

    def ask_all(speaker: Speaker) -> tuple[Answered, Report]:
        parts: list[Answered] = []
        for done, rows in questions.ask(speaker):
            parts.append(rows)
            tell(done, adata.n_obs)
        return Answered.joined(parts), speaker.report()

    if place is None:
        rows, report = ask_all(_in_process(checkpoint))
    else:
        rows, report = converse(place, ask_all, concurrency=concurrency, patience=patience)
    _write(adata, key, rows, {**report.origin(place), **about(source, chosen, sent)})
    kept.done()
    source.gene_columns.warn()
    rows.warn()
    return report


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


def _merged(params: Mapping[str, Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of both places."""
    if params is not None and not isinstance(params, Mapping):
        raise InvalidRequest(
            "invalid_param", f"params is of type {type(params).__name__}; it must be a dict."
        )
    if twice := sorted({*(params or {})} & {*options}):
        raise InvalidRequest(
            "invalid_param", f"{twice[0]} stands in params and beside it; give it once."
        )
    return {**(params or {}), **options}


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
