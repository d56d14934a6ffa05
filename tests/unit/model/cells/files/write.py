"""Write the cells of ``test_versions.py`` with the anndata that is installed, into this folder.

It runs under each version's own Python: ``python write.py``.
"""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse


def cells() -> anndata.AnnData:
    counts = sparse.csr_matrix((np.arange(24).reshape(3, 8) % 5).astype(np.float32))
    obs = pd.DataFrame({"kind": pd.Categorical(list("BTB")), "n": [1, 2, 3]}, index=list("abc"))
    var = pd.DataFrame({"x": range(8)}, index=[f"GENE{i}" for i in range(8)])
    adata = anndata.AnnData(counts, obs=obs, var=var)
    adata.layers["counts"] = counts * 2
    adata.raw = adata.copy()
    adata.uns["note"] = {"text": "t", "list": ["x", "y"]}
    return adata


def main() -> None:
    version, settings = anndata.__version__, getattr(anndata, "settings", None)
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cells().write_h5ad(folder / "cells.h5ad", compression="gzip")
        for number in (2, 3) if hasattr(settings, "zarr_write_format") else (2,):
            if hasattr(settings, "zarr_write_format"):
                settings.zarr_write_format = number
            cells().write_zarr(str(folder / f"v{number}.zarr"))
        with tarfile.open(here / f"anndata-{version}.tar.xz", "w:xz") as archive:
            archive.add(folder, ".")


if __name__ == "__main__":
    main()
