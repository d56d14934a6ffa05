"""The guide's notebook helper ``preprocess``: cells in, the cells that the filters leave out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData, read_h5ad

from ..cells.cells import BATCH
from ..cells.checks import check_cells
from ..cells.in_memory import cells_of_anndata
from ..cells.trial import try_file
from ..contract import OBS, VAR, Options
from ..errors import InvalidRequest
from ..wire.rows import read_frame, read_rows
from .preprocess import preprocess


def preprocessed(path: str | None, frame: pd.DataFrame | None, options: Options) -> AnnData:
    """Filter cells in a notebook (see ``ScgptModel.preprocess``)."""
    path = path or options.input_data_path or None
    if (path is None) == (frame is None):
        raise InvalidRequest(
            "two_forms" if path else "no_form",
            "give input_data_path or input_dataframe, exactly one of them.",
        )
    if path is not None:
        try_file(Path(path))
    adata = read_h5ad(path) if path is not None else _of_frame(frame)
    sent = cells_of_anndata(adata, {BATCH})
    check_cells(sent.counts, sent.genes)
    # Cells by position: their names may repeat.
    numbered = replace(sent, ids=[str(i) for i in range(adata.n_obs)])
    cells, steps = preprocess(numbered, options)
    kept = adata[[int(i) for i in cells.ids or ()], cells.genes].copy()
    kept.uns["applied_steps"] = steps
    return kept


def _of_frame(frame: pd.DataFrame | None) -> AnnData:
    """The one row of a frame in the contract's form, with all columns of its tables."""
    assert frame is not None
    records: Any = frame.to_dict("records")
    if len(records) != 1:
        raise InvalidRequest(
            "one_row", f"{len(records)} rows of input; one AnnData is preprocessed at a time."
        )
    sent = read_rows(records, {BATCH})[0].required_cells()
    check_cells(sent.counts, sent.genes)
    tables = [read_frame(name, records[0].get(name)) for name in (OBS, VAR)]
    ids = sent.ids or [str(i) for i in range(sent.counts.shape[0])]
    obs = pd.DataFrame(dict(sent.obs), ids) if tables[0] is None else tables[0]
    var = pd.DataFrame(index=sent.genes) if tables[1] is None else tables[1]
    return AnnData(sent.counts, obs, var)
