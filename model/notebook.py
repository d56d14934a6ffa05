"""The guide's notebook helper ``preprocess``: cells in, the cells that the filters leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData, read_h5ad

from model.checks import check_cells
from model.contract import read_params
from model.errors import InvalidRequest
from model.inputs import read_rows
from model.lines import cells_of
from model.preprocess import BATCH, preprocess
from model.volumes import cells_of_anndata


def preprocessed(
    path: str | None, frame: pd.DataFrame | None, params: Mapping[str, Any]
) -> AnnData:
    """See ``ScgptModel.preprocess``."""
    options = read_params(params)
    path = path or options.input_data_path or None
    if (path is None) == (frame is None):
        raise InvalidRequest(
            "two_forms" if path else "no_form",
            "give input_data_path or input_dataframe, exactly one of them.",
        )
    if path is not None:
        sent = cells_of_anndata(read_h5ad(path))
    else:
        assert frame is not None
        records: Any = frame.to_dict("records")
        if len(records) != 1:
            raise InvalidRequest(
                "one_row", f"{len(records)} rows of input; one AnnData is preprocessed at a time."
            )
        sent = cells_of(read_rows(records, {BATCH})[0])
    check_cells(sent.counts, sent.genes)
    cells, steps = preprocess(sent, options)
    adata = AnnData(cells.counts)
    adata.var_names = cells.genes
    adata.obs_names = cells.ids or [str(i) for i in range(cells.counts.shape[0])]
    for name, labels in cells.obs.items():
        adata.obs[name] = list(labels)
    adata.uns["applied_steps"] = steps
    return adata
