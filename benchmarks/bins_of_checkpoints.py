"""Bins that a checkpoint needs: ``python -m benchmarks.bins_of_checkpoints``.

Reads the demo checkpoint, which was trained on 51 bins, and one that is trained here on 101, each
with either number. Prints the table of ADR 33 and writes ``benchmarks/bins_of_checkpoints.json``;
a minute on two cores. Needs ``make reference``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fidelity import Row, markdown, raw_pbmc
from benchmarks.likeness import accuracy
from scgpt_databricks.model.evidence.ties import MEASURES
from scgpt_databricks.model.evidence.upstream.pipe import Upstream
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder

RESULTS = Path(__file__).with_name("bins_of_checkpoints.json")
NUMBERS = 51, 101
SHORT = demo.Recipe(steps=300)
"""The demo's recipe with a quarter of its steps, which is enough to tell the readings apart."""


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder)):
            print(row, flush=True)
            rows.append(row)
    print(markdown(rows))
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def measure(folder: Path) -> Iterator[Row]:
    """Each reading of the 700 cells, beside that with the bins of training.

    Upstream's own embedding bins with 51 whatever ``args.json`` says.
    """
    cells, genes, labels = raw_pbmc()
    with Upstream() as upstream:
        for trained in NUMBERS:
            checkpoint = trained_on(folder / str(trained), genes, trained)
            readings = {}
            for read in NUMBERS:
                say_bins(checkpoint, read)
                engine = Embedder.load(checkpoint, device="cpu", precision="float32")
                readings[f"ours, {read} bins"] = engine.embed_cells(cells, genes).embeddings
            upstream.load(checkpoint)
            readings["upstream"] = upstream.embed(cells, genes, seed=0)
            own = readings[f"ours, {trained} bins"]
            for reader, x in readings.items():
                alike = {name: alike_by(x, own) for name, alike_by in MEASURES.items()}
                yield {"trained on": trained, "read by": reader, **accuracy(x, labels), **alike}


def trained_on(folder: Path, genes: list[str], n_bins: int) -> Path:
    """Copy the demo checkpoint, or train one on another number of bins."""
    if n_bins == demo.N_BINS:
        return Path(shutil.copytree(demo.SHIPPED, folder))
    binned = demo.bins_of(demo.pbmc_cells(), n_bins)
    return demo.write_checkpoint(folder, genes, demo.optimise(binned, SHORT, None), SHORT)


def say_bins(checkpoint: Path, n_bins: int) -> None:
    """Write a number of bins into ``args.json``."""
    path = checkpoint / "args.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "n_bins": n_bins}))


if __name__ == "__main__":
    main()
