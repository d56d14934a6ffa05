"""Bins that a checkpoint needs: ``python -m benchmarks.bins_of_checkpoints``.

Trains two checkpoints by the demo's recipe, one on 51 bins and one on 101, and reads each with
either number. Prints the table of ADR 29 and writes ``benchmarks/bins_of_checkpoints.json``; a few
minutes on two cores. Needs ``make reference``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.fidelity import Row, markdown, raw_pbmc
from benchmarks.likeness import accuracy
from scgpt_databricks.model.evidence.ties import MEASURES
from scgpt_databricks.model.evidence.upstream.pipe import Upstream
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder

RESULTS = Path(__file__).with_name("bins_of_checkpoints.json")
NUMBERS = 51, 101


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(Path(folder)))
    print(markdown(rows))
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def measure(folder: Path) -> Iterator[Row]:
    """Each reading of 200 cells that training did not see, beside that with the bins of training.

    Upstream's own embedding bins with 51 whatever ``args.json`` says.
    """
    cells, genes, labels = raw_pbmc()
    order = np.random.default_rng(0).permutation(cells.shape[0])
    seen, unseen = np.split(order, [demo.Recipe().training_cells])
    with Upstream() as upstream:
        for trained in NUMBERS:
            checkpoint = trained_on(folder / str(trained), genes, seen, trained)
            readings = {}
            for read in NUMBERS:
                say_bins(checkpoint, read)
                engine = Embedder.load(checkpoint, device="cpu", precision="float32")
                readings[f"ours, {read} bins"] = engine.embed_cells(cells[unseen], genes).embeddings
            upstream.load(checkpoint)
            readings["upstream"] = upstream.embed(cells[unseen], genes, seed=0)
            own = readings[f"ours, {trained} bins"]
            for reader, x in readings.items():
                alike = {name: measure(x, own) for name, measure in MEASURES.items()}
                yield {"trained on": trained, "read by": reader, **accuracy(x, labels[unseen]),
                       **alike}  # fmt: skip


def trained_on(folder: Path, genes: list[str], cells: np.ndarray, n_bins: int) -> Path:
    """Train by the demo's recipe on some of the PBMC cells and another number of bins."""
    recipe = demo.Recipe()
    binned = demo.bins_of(demo.pbmc_cells(), n_bins)[cells]
    return demo.write_checkpoint(folder, genes, demo.optimise(binned, recipe, None), recipe)


def say_bins(checkpoint: Path, n_bins: int) -> None:
    """Write a number of bins into ``args.json``."""
    path = checkpoint / "args.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "n_bins": n_bins}))


if __name__ == "__main__":
    main()
