"""Cells per second through a local endpoint over the engine's own, at whole-human size.

A workspace of its own is started, the checkpoint built, registered and deployed by the commands
that users have, in a folder that is removed afterwards.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import CELLS, RUNS, Figure, cells, seconds
from scgpt_databricks.infra.layout import ENVIRONMENTS, LOCAL, ROOT
from scgpt_databricks.model.scgpt.embedder import Embedder

SCGPT = Path(sys.executable).parent / "scgpt"
PORT = 8799
GOAL = ">= 0.93"


def http_vs_in_process(human: Path) -> list[Figure]:
    """``scgpt embed``'s way and the engine's, in turns; the same cells, the same checkpoint.

    And what the servers cost: the processors' seconds that each took, of all processes together.
    """
    from anndata import AnnData

    from scgpt_databricks.scripts.embed import embed_through_endpoint

    counts, genes = cells()
    adata = AnnData(counts)
    adata.var_names = genes
    embedder = Embedder.load(human, device="cpu")
    runs = []
    with endpoint(human):
        for run in range(2 * RUNS + 2):  # an odd number counts
            busy = [_busy_seconds()]
            http = seconds(lambda: embed_through_endpoint(LOCAL, adata))
            busy.append(_busy_seconds())
            engine = seconds(lambda: embedder.embed_cells(counts, genes))
            busy.append(_busy_seconds())
            if run:
                runs.append((http, engine, busy[1] - busy[0], busy[2] - busy[1]))
    served, alone, work_served, work_alone = (
        statistics.median(column) for column in zip(*runs, strict=True)
    )
    ratio = statistics.median(engine / http for http, engine, *_ in runs)
    more = statistics.median(there / here for *_, there, here in runs)
    size, note = "whole-human size", f"{CELLS} cells, all processes of the machine"
    return [
        Figure("http_vs_in_process", CELLS / served, CELLS / alone, ratio, "cells/s", size, GOAL),
        Figure("http_work", work_served, work_alone, more, "s", size, "explains", note),
    ]


def _busy_seconds() -> float:
    """Seconds that the processors of this machine have worked, for whomever."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


@contextmanager
def endpoint(checkpoint: Path) -> Iterator[None]:
    """A local workspace that serves the checkpoint, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="bench-served-") as folder:
        environments, before = Path(folder), os.environ.get("SCGPT_ENVIRONMENTS")
        shutil.copy(ENVIRONMENTS / f"{LOCAL}.toml", environments)
        os.environ["SCGPT_ENVIRONMENTS"] = folder
        workspace = ("--folder", str(environments / "workspace"))
        try:
            _scgpt("workspace", "start", *workspace, "--port", str(PORT))
            _scgpt("deploy", LOCAL)
            _scgpt("build", LOCAL, "--checkpoint", str(checkpoint.resolve()))
            _scgpt("deploy", LOCAL)
            yield
        finally:
            _scgpt("workspace", "stop", "--quiet", *workspace)
            os.environ.pop("SCGPT_ENVIRONMENTS")
            if before is not None:
                os.environ["SCGPT_ENVIRONMENTS"] = before


def _scgpt(*arguments: str) -> None:
    done = subprocess.run(
        [SCGPT, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"scgpt {' '.join(arguments)}: {done.stderr[-2000:]}")
