"""Cells and genes through an endpoint, into AnnData. Needs numpy, scipy and HTTP; no torch.

``embed`` gives ``obsm["X_scGPT"]``: cells travel in chunks of the packed form, one request each,
and are put together again in order. ``gene_table`` gives genes x width, page by page.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ..cells.cells import CellRows
from ..cells.checks import check_genes, check_values
from ..cells.counts_place import CountsPlace
from ..cells.imputed import check_data_set
from ..cells.in_memory import AnnDataCells
from ..cells.job_options import (
    CELLS_PER_REQUEST,
    COUNTED,
    OBS_COLUMNS,
    OBSM_KEY,
    check_chunk,
    check_key,
)
from ..contract import (
    CELL_EMBEDDINGS,
    PACKED,
    check_params_of,
    params_to_send,
)
from ..errors import InvalidRequest
from ..scgpt.params import ScgptOptions
from ..wire.codec import PackedEmbeddings, decode_embeddings, encode_cells
from .endpoint import Conversation, Endpoint, Report, converse
from .progress import Progress, teller

if TYPE_CHECKING:
    from anndata import AnnData


def embed(
    adata: AnnData,
    endpoint: Endpoint | str,
    *,
    key: str = OBSM_KEY,
    chunk: int = CELLS_PER_REQUEST,
    layer: str | None = None,
    raw: bool = False,
    gene_names: str | None = None,
    sum_duplicates: bool = False,
    params: Mapping[str, Any] | None = None,
    request_prefix: str | None = None,
    progress: Progress | bool | None = None,
    **options: Any,
) -> Report:
    """Embed all cells; nothing is written to `adata` before the last answer is in.

    Parameters
    ----------
    adata
        Cells x genes, counts or normalised values, gene symbols in ``.var_names``.
        Receives float32 ``obsm[key]``, ``uns["scgpt"]``, and of each cell's genes the numbers
        that were matched, unknown and truncated: ``obs["scgpt_matched_genes"]`` and so on.
    endpoint
        Where to send them: an ``Endpoint``, its name, or the URL of its invocations (then with the
        credentials that the Databricks SDK finds).
    key
        Of ``obsm``.
    chunk
        Cells per request.
    layer, raw
        Where the values lie: in this layer, or in ``.raw``; by default in ``.X``.
    gene_names
        Column of ``var`` that names the genes (``feature_name``); by default the index does.
    sum_duplicates
        Add up the columns of one name; else they are refused.
    params
        More params of the contract (``ties``, ``seed``, ...); none that would change which cells
        or genes are answered for, or that the answer is packed cell embeddings.
    **options
        The same params by their own names, such as ``min_known_fraction=0``.
    request_prefix
        The client request ids are ``<prefix>-<first cell>``; by default a random prefix.
    progress
        Called with (cells done, cells in all); True shows it in a line on stderr.

    Raises
    ------
    InvalidRequest
        Before anything is sent: no cell, no such matrix, duplicate genes, NaN, infinite or negative
        values, values that look imputed (``imputed_values``; judged of the first 2,048 cells that
        have counts), params as said above (``invalid_param``, ``unknown_param``),
        ``invalid_chunk``, ``invalid_key``. Then what the model itself refuses; whether the genes
        are known is asked once, of the first chunk that has counts.
    EndpointError
        No access, no such endpoint, not ready, not reachable, or two models in one result.
    """
    _check_anndata(adata)
    endpoint, tell = Endpoint.given(endpoint), teller(progress, "cells embedded")
    if adata.n_obs == 0:
        raise InvalidRequest("no_cells", "the AnnData holds no cell; send at least one.")
    source = AnnDataCells(adata, CountsPlace(layer, raw, gene_names, sum_duplicates))
    check_chunk(chunk)
    check_key(key)
    sent = checked_params(_merged(params, options))
    questions = Questions(source, chunk, sent, request_prefix)
    questions.check()
    _check_takes(adata)

    def ask_all(conversation: Conversation) -> tuple[list[PackedEmbeddings], Report]:
        answers: list[PackedEmbeddings] = []
        for done, answer in questions.ask(conversation):
            answers.append(answer)
            tell(done, adata.n_obs)
        return answers, conversation.report()

    answers, report = converse(endpoint, ask_all)
    _write(adata, key, answers, endpoint, report)
    return report


@dataclass(frozen=True)
class Questions:
    """The requests for all cells of a data set.

    Parameters
    ----------
    cells
        The data set.
    chunk
        Cells per request.
    params
        As ``checked_params`` returns them.
    prefix
        Of the client request ids; by default a random one.
    """

    cells: CellRows
    chunk: int
    params: Mapping[str, Any]
    prefix: str | None = None

    def check(self) -> None:
        """Look at every cell: none may be paid for before a later one is refused."""
        check_genes(self.cells.genes, self.cells.rows(0, 1).shape[1])
        for _, counts in self._chunks():
            check_values(counts.data)
        if not self.params["allow_imputed"]:
            check_data_set(counts for _, counts in self._chunks())

    def ask(
        self, conversation: Conversation, done: int = 0
    ) -> Iterator[tuple[int, PackedEmbeddings]]:
        """Ask for the cells after the first `done`; yield the cells done by then, and an answer."""
        prefix = self.prefix or uuid.uuid4().hex[:12]
        # The values were judged by all genes: a request holds only those it needs.
        sent = {**self.params, "allow_imputed": True}
        for start, counts in self._chunks(done):
            (line,) = conversation.ask(self._request(counts, start, f"{prefix}-{start}", sent))
            yield start + counts.shape[0], decode_embeddings(line[PACKED])
            if counts.nnz:  # the genes are the right ones; no later chunk may be judged
                sent["min_known_fraction"] = 0.0

    def _chunks(self, done: int = 0) -> Iterator[tuple[int, sparse.csr_matrix]]:
        for start in range(done, self.cells.n_cells, self.chunk):
            yield start, self.cells.rows(start, start + self.chunk)

    def _request(
        self, counts: sparse.csr_matrix, start: int, request_id: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        # Genes that no cell of the chunk expresses say nothing; of none at all, the model must
        # hear.
        used = np.unique(counts.indices) if counts.nnz else np.arange(counts.shape[1])
        genes = [self.cells.genes[column] for column in used]
        ids = self.cells.names(start, start + counts.shape[0])
        return {
            "dataframe_split": {
                "columns": [PACKED],
                "data": [[encode_cells(counts[:, used], genes, ids)]],
            },
            "params": params,
            "client_request_id": request_id,
        }


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


def checked_params(asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params of every request; checked before the first, for all would fail alike."""
    options, sent = params_to_send(
        asked, ScgptOptions, response_format="float32", allow_imputed=False
    )
    if options.task not in (None, CELL_EMBEDDINGS):
        raise _not_here("task", options.task, f"only {CELL_EMBEDDINGS} are written to obsm")
    check_params_of(CELL_EMBEDDINGS, options)
    if options.response_format == "json":
        raise _not_here("response_format", "json", "answers travel packed: float32 or float16")
    if options.input_data_path:
        raise _not_here("input_data_path", options.input_data_path, "the AnnData holds the cells")
    holes = "dropped cells would leave holes in obsm; filter the AnnData beforehand"
    sets = "each request would choose genes of its own; choose them in the AnnData beforehand"
    reasons = {
        "filter_cell_by_counts": holes,
        "min_counts_per_cell": holes,
        "filter_gene_by_counts": sets,
        "subset_hvg": sets,
    }
    for name, reason in reasons.items():
        if getattr(options, name):
            raise _not_here(name, getattr(options, name), reason)
    return sent


def _not_here(name: str, value: Any, reason: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_param", f"{name} is {value!r}, which embed cannot use: {reason}. Leave it out."
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


def _write(
    adata: AnnData,
    key: str,
    answers: list[PackedEmbeddings],
    endpoint: Endpoint,
    report: Report,
) -> None:
    adata.obsm[key] = np.concatenate([answer.embeddings for answer in answers])
    for column, name in zip(OBS_COLUMNS, COUNTED, strict=True):
        adata.obs[column] = np.concatenate([getattr(answer, name) for answer in answers])
    adata.uns["scgpt"] = report.origin(endpoint)
