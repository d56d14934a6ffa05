"""The record that goes with embeddings: how they were made, so that they can be made again."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cells.cells import CellRows
from ..cells.gene_choice import ChosenCells, genes_digest
from ..cells.in_memory import AnnDataCells

if TYPE_CHECKING:
    from ..cells.h5ad import CellsFile

_PACKAGES = ("scgpt-databricks", "anndata", "numpy")


def about(
    source: AnnDataCells | CellsFile, chosen: CellRows, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what ``uns["scgpt"]`` keeps of a run beside who answered, as JSON has it.

    Parameters
    ----------
    source
        The data set: which matrix was read, and which column named its genes.
    chosen
        The same with the genes that were embedded.
    params
        Of the requests.
    """
    columns = source.gene_columns
    found: dict[str, Any] = {
        "matrix": source.path_used,
        "gene_names": columns.column,
        "genes_sha256": genes_digest(chosen.genes),
        "params": dict(params),
        "dtype": str(params.get("response_format", "float32")),
        "versions": {"python": platform.python_version(), **_versions()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if columns.rule:
        found |= {"duplicate_genes": columns.duplicates, "duplicate_genes_rule": columns.rule}
    if isinstance(chosen, ChosenCells):
        found |= {"genes": chosen.genes, "genes_missing": list(chosen.missing)}
    return found


def storable(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as ``uns`` can be written to ``.h5ad`` and zarr: no list, nothing missing."""
    return {
        name: np.array(value, dtype=object)
        if isinstance(value, list)
        else storable(value)
        if isinstance(value, Mapping)
        else value
        for name, value in record.items()
        if value is not None
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # its code travels without it
            continue
    return found
