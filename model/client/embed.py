"""Cells through an endpoint, into AnnData. Needs numpy, scipy and HTTP; no torch.

``embed`` gives ``obsm["X_scGPT"]``: cells travel in chunks of the packed form, several at a time,
and are put together again in order.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..cells.counts_place import CountsPlace
from ..cells.find_counts import naming_the_counts
from ..cells.in_memory import AnnDataCells
from ..cells.job_options import (
    CELLS_PER_REQUEST,
    COUNTED,
    OBS_COLUMNS,
    OBSM_KEY,
    STATUS_COLUMN,
    check_key,
)
from ..errors import InvalidRequest
from .answered import Answered
from .conversation import Conversation, Report, converse
from .endpoint import Endpoint
from .pace import CONCURRENCY
from .progress import Progress, teller
from .questions import REQUEST_BYTES, Limits, Questions, checked_params

if TYPE_CHECKING:
    from anndata import AnnData


def embed(
    adata: AnnData,
    endpoint: Endpoint | str,
    *,
    key: str = OBSM_KEY,
    chunk: int = CELLS_PER_REQUEST,
    request_bytes: int = REQUEST_BYTES,
    concurrency: int = CONCURRENCY,
    patience: float | None = None,
    layer: str | None = None,
    raw: bool = False,
    gene_names: str | None = None,
    sum_duplicates: bool = False,
    cell_names: bool = False,
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
    cell_names
        Send the names of the cells, too.
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
    endpoint, tell = Endpoint.given(endpoint), teller(progress, "cells embedded")
    if adata.n_obs == 0:
        raise InvalidRequest("no_cells", "the AnnData holds no cell; send at least one.")
    source = AnnDataCells(adata, CountsPlace.asked(layer, raw, gene_names, sum_duplicates))
    limits = Limits(chunk, request_bytes, concurrency, patience)
    check_key(key)
    sent = checked_params(_merged(params, options))
    questions = Questions(source, sent, limits, request_prefix, cell_names)
    with naming_the_counts(source):
        questions.check()
    _check_takes(adata)

    def ask_all(conversation: Conversation) -> tuple[Answered, Report]:
        parts: list[Answered] = []
        for done, rows in questions.ask(conversation):
            parts.append(rows)
            tell(done, adata.n_obs)
        return Answered.joined(parts), conversation.report()

    rows, report = converse(endpoint, ask_all, concurrency=concurrency, patience=patience)
    _write(adata, key, rows, report.origin(endpoint))
    source.gene_columns.warn()
    rows.warn()
    return report


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


def _write(adata: AnnData, key: str, rows: Answered, about: Mapping[str, Any]) -> None:
    adata.obsm[key] = rows.embeddings
    for column, name in zip(OBS_COLUMNS, COUNTED, strict=True):
        adata.obs[column] = getattr(rows, name)
    adata.obs[STATUS_COLUMN] = pd.Categorical(rows.status)
    adata.uns["scgpt"] = dict(about)
