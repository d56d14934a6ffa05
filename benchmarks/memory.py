"""Peak memory of embedding a file, by the number of its cells: the command itself, measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
from scipy import sparse

from benchmarks.figures import Figure
from scgpt_databricks.model.scgpt.demo import pbmc_cells

SCGPT = Path(sys.executable).parent / "scgpt"
FEW, MANY = 20_000, 200_000


def backed_memory(checkpoint: Path) -> list[Figure]:
    """Measure the memory of ``scgpt embed-file``."""
    note = f"scgpt embed-file, {MANY:,} and {FEW:,} cells"
    return [flat("backed_memory", lambda source: _peak_mib(checkpoint, source), note)]


def flat(name: str, peak_mib: Callable[[Path], float], note: str) -> Figure:
    """Measure the peak of 200,000 cells over that of 20,000; memory is flat when it is 1."""
    peaks = {}
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        for cells in (FEW, MANY):
            source = Path(folder) / f"{cells}.h5ad"
            atlas(cells, source)
            peaks[cells] = peak_mib(source)
            source.unlink()
    ratio = peaks[MANY] / peaks[FEW]
    return Figure(name, peaks[MANY], peaks[FEW], ratio, "MiB", "demo", "<= 1.1", note)


def atlas(cells: int, path: Path) -> None:
    """The 700 PBMC cells over and over, the last time as many as are missing."""
    few = pbmc_cells()
    rows = np.arange(cells) % few.n_obs
    counts = sparse.csr_matrix(few.X)[rows]
    # A layer as most atlases have one: whoever reads the whole file has twice the memory.
    atlas = anndata.AnnData(counts, var=few.var[[]], layers={"counts": counts})
    atlas.obs_names = [f"cell-{i}" for i in range(cells)]
    atlas.write_h5ad(path)


def _peak_mib(checkpoint: Path, source: Path) -> float:
    """Largest resident size of the process that embeds the file."""
    out = source.with_suffix(".out.h5ad")
    process = subprocess.Popen(
        [SCGPT, "embed-file", checkpoint, source, "--out", out, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"`scgpt embed-file` of {source.name} ended with {process.returncode}")
    out.unlink()
    return usage.ru_maxrss / 1024


def peak_mib() -> float:
    """Return the largest resident size of this process; of one it was started by, nothing."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
