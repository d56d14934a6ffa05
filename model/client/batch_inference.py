"""The guide's ``batch_inference``: several AnnData to an endpoint, a few in each request.

Here every AnnData is answered (not the first of a request alone), what is sent is packed (dense
JSON reaches the platform's 16 MB after a few cells), and the answers of two models are never mixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from ..cells.cells import BATCH, Cells
from ..cells.checks import check_cells, check_size
from ..cells.in_memory import cells_of_anndata
from ..contract import GENE_EMBEDDINGS, GUIDE_COLUMNS, MAX_PACKED_CHARS, PACKED, params_to_send
from ..errors import EndpointError, InvalidRequest, LimitExceeded
from ..scgpt.params import ScgptOptions
from ..wire.codec import encode_cells
from ..wire.envelope import check_total
from ..wire.rows import read_rows
from .conversation import Conversation, converse
from .endpoint import Endpoint

if TYPE_CHECKING:
    from anndata import AnnData

    Item: TypeAlias = AnnData | pd.DataFrame | Mapping[str, Any] | str | Path

_ITEM = "an AnnData of data_list"
_ROOM = MAX_PACKED_CHARS - 64 * 1024  # for the JSON around the packed rows; params come on top


def batch_inference(
    model_endpoint: Endpoint | str,
    data_list: Sequence[Item] | Item,
    params: Mapping[str, Any] | None = None,
    batch_size: int = 10,
    *,
    into: str | Path | None = None,
    again: bool = False,
) -> list[dict[str, Any]]:
    """Ask an endpoint about a list of AnnData, or of files.

    Parameters
    ----------
    model_endpoint
        An ``Endpoint``; or its name, or the URL of its invocations (then with the credentials that
        the Databricks SDK finds).
    data_list
        One or several, each an ``AnnData`` (``X``, ``var_names``, ``obs``; in memory or backed), or
        the guide's input in either form: a DataFrame of one row, or a mapping, with
        ``adata_sparsematrix``, ``adata_obs``, ``adata_var``. Or the path of a file: ``.h5ad``,
        a zarr store, and with `into` whatever ``scgpt embed`` reads.
    params
        Of the contract (``docs/wire-format.md``). ``task`` is ``gene_embeddings`` unless named, as
        for everybody who comes with the guide's code.
    batch_size
        AnnData per request; fewer where a request would exceed the platform's 16 MB.
    into
        Where cell embeddings are written instead of being returned: a folder, which gets an
        ``.h5ad`` for each of ``data_list``, or ``NAME.delta``, a Delta table of all cells. Requests
        are then cut by size, and a run that was stopped goes on.
    again
        With `into`: embed what an earlier run has done, too.

    Returns
    -------
    list of dict
        The lines of all answers, in order: one per AnnData for ``gene_embeddings``, one per cell
        for ``cell_embeddings``. ``input_row`` counts through ``data_list``. With `into` the status
        of each: ``source``, ``target``, ``status``, ``cells``, ``failed``, ``model_digest``,
        ``code`` and ``message`` of its failure (``batch.many.FileStatus``).

    Raises
    ------
    InvalidRequest
        ``invalid_batch_size``, ``no_rows``; before anything is sent, params that are none and
        cells that cannot be tokenised (``gene_count_mismatch``, ``negative_values``, ...); then
        what the model refuses. With `into` these are the status of one file, and the others are
        done.
    LimitExceeded
        Before anything is sent: an AnnData that fits no request, by its cells or genes
        (``too_many_cells``, ``too_many_genes``) or its size (``packed_too_large``). Send it in
        parts.
    EndpointError
        No credentials, no access, not ready, not reachable, or two models in one result.
    """
    if batch_size < 1:
        raise InvalidRequest(
            "invalid_batch_size", f"batch_size is {batch_size}; it must be at least 1."
        )
    items = _items(data_list)
    if into is not None:
        from ..batch.data_list import embed_data_list

        if not isinstance(into, str | Path) or not str(into):
            raise InvalidRequest(
                "invalid_target", f"into is {into!r}; it must name a folder, or NAME.delta."
            )
        endpoint = Endpoint.given(model_endpoint)
        return embed_data_list(items, Path(into), endpoint, params, again=again)
    items = [_read(item) if isinstance(item, Path) else item for item in items]
    options, sent = params_to_send(params, ScgptOptions, task=GENE_EMBEDDINGS)
    rows = [_packed(item, options.group_by) for item in items]
    batches = list(_batches(rows, batch_size, _ROOM - len(json.dumps(sent, default=str))))
    endpoint = Endpoint.given(model_endpoint)

    def ask_all(conversation: Conversation) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for start, batch in batches:
            body = {
                "dataframe_split": {"columns": [PACKED], "data": [[row] for row in batch]},
                "params": sent,
            }
            found = conversation.ask(body)
            if not all(line.get("input_row") in range(len(batch)) for line in found):
                raise EndpointError(
                    "foreign_answer",
                    f"{endpoint.name} answered for other rows than the {len(batch)} that it was "
                    "asked about. Check that it serves this model.",
                )
            lines += ({**line, "input_row": line["input_row"] + start} for line in found)
        return lines

    return converse(endpoint, ask_all)


def _read(path: Path) -> AnnData:
    import anndata

    try:
        return anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InvalidRequest(
            "not_anndata",
            f"data_list holds the path {path}, which cannot be read as AnnData: {error}.",
        ) from error


def _items(data_list: Any) -> list[Any]:
    from anndata import AnnData

    kinds = (AnnData, pd.DataFrame, Mapping, Path)
    found = [data_list] if isinstance(data_list, (*kinds, str)) else data_list
    if not isinstance(found, Iterable):
        found = [data_list]
    items = [Path(item) if isinstance(item, str) else item for item in found]
    for item in items:
        if not isinstance(item, kinds):
            raise InvalidRequest(
                "invalid_anndata",
                f"data_list holds a {type(item).__name__}; give AnnData, paths of files, or the "
                f"guide's columns: {', '.join(GUIDE_COLUMNS)}.",
            )
    if not items:
        raise InvalidRequest("no_rows", "data_list holds nothing; give it at least one AnnData.")
    return items


def _packed(item: Any, group_by: str) -> str:
    labels = [name for name in (BATCH, group_by) if name]
    if isinstance(item, pd.DataFrame | Mapping):
        cells = _guide_cells(item, labels)
        check_size(*cells.counts.shape, _ITEM)
    else:
        check_size(item.n_obs, item.n_vars, _ITEM)  # it may lie in a file
        cells = cells_of_anndata(item, labels)
    check_cells(cells.counts, cells.genes)
    return encode_cells(cells.counts, cells.genes, cells.ids, cells.obs)


def _guide_cells(item: Any, labels: Sequence[str]) -> Cells:
    is_frame = isinstance(item, pd.DataFrame)
    records: list[Any] = item.to_dict("records") if is_frame else [dict(item)]
    if len(records) != 1:
        raise InvalidRequest(
            "one_row",
            f"a DataFrame of data_list has {len(records)} rows; each holds one AnnData "
            f"({', '.join(GUIDE_COLUMNS)}).",
        )
    return read_rows(records, labels)[0].required_cells()


def _batches(rows: Sequence[str], size: int, room: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the first row's number and the rows of each request: at most `size` that fit."""
    batch: list[str] = []
    for i, row in enumerate(rows):
        if len(row) > room:
            raise LimitExceeded(
                "packed_too_large",
                f"AnnData {i} of data_list is {len(row):,} characters when packed; a request has "
                f"room for {room:,}. Send its cells in parts, or see scgpt_databricks.embed.",
            )
        if batch and (len(batch) == size or not _fits([*batch, row], room)):
            yield i - len(batch), batch
            batch = []
        batch.append(row)
    yield len(rows) - len(batch), batch


def _fits(rows: Sequence[str], room: int) -> bool:
    """Return True when one request may hold these rows, packed and opened."""
    try:
        check_total(rows)
    except LimitExceeded:
        return False
    return sum(map(len, rows)) <= room
