"""Filters that would filter nothing are refused, so that nobody believes that they were done."""

from __future__ import annotations

from ..contract import Options
from ..errors import InvalidRequest

_FILTERS = (
    "filter_gene_by_counts",
    "filter_cell_by_counts",
    "min_counts_per_cell",
    "subset_hvg",
)


def check_filters(options: Options, *, reads_cells: bool) -> None:
    """Refuse filters of a request that filters nothing (``invalid_param``).

    Parameters
    ----------
    reads_cells
        Whether the request's cells have a part in its answer.
    """
    of_cells = () if reads_cells else (*_FILTERS, "min_known_fraction")
    of_pipeline = () if options.need_preprocess else _FILTERS
    for name in (*of_cells, *of_pipeline):
        if name in options.changed():
            why = (
                "the answer does not depend on cells here (genes named by genes or without a "
                "matrix, or the whole table)"
                if name in of_cells
                else "need_preprocess is false, which turns all filters off"
            )
            raise InvalidRequest(
                "invalid_param",
                f"{name} is {getattr(options, name)!r}, but {why}. Leave {name} out.",
            )
