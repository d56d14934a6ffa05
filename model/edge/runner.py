"""Embed cells with onnxruntime, numpy and h5py; the part of the product that an edge package holds.

The exported networks take tokens. Here the very tokeniser and the checks of the product turn cells
into them, so that every way in gives the same rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..cells.cells import Cells, RowArrays
from ..cells.imputed import check_data_set
from ..cells.known_genes import UNKNOWN, CheckedCells, check_known_fraction
from ..contract import Options, read_params
from ..errors import InvalidRequest, ScgptError
from ..scgpt.checkpoint_files import ALIASES_FILE, IDS_FILE, VOCAB_FILE
from ..scgpt.config import ModelConfig
from ..scgpt.params import ScgptOptions, check_options
from ..scgpt.tokenizer import TIES, Tokens, merge_columns, tokenize
from ..scgpt.vocab import GeneVocab, read_vocab
from ..wire.embeddings import CellEmbeddings, GeneEmbeddings
from .cells_file import CellsAtEdge, read_cells_at_edge

DESCRIPTION = "edge.json"
CELLS_MODEL = {"float32": "cells.onnx", "int8": "cells.int8.onnx"}
GENES_MODEL = "genes.onnx"
TOKENS_PER_BATCH = 256
"""Usual cells go one at a time: what is computed of them stays in a core's cache, unpadded."""
_CELLS_PER_READ = 1024
_OBSM_KEY = "X_scGPT"


@dataclass(frozen=True)
class EdgeModel:
    """An exported model, ready to answer.

    Parameters
    ----------
    cells, genes
        Sessions of onnxruntime, of one thread each.
    vocab, config, digest
        Of the checkpoint.
    threads
        Batches that are computed at the same time.
    """

    cells: Any
    genes: Any
    vocab: GeneVocab
    config: ModelConfig
    digest: str
    threads: int

    @classmethod
    def load(cls, folder: Path, *, precision: str = "float32", threads: int = 0) -> EdgeModel:
        """Load a package.

        Parameters
        ----------
        folder
            As ``scgpt export-onnx`` wrote it.
        precision
            ``float32`` or ``int8``.
        threads
            Of the processor; 0: all.
        """
        described = json.loads((folder / DESCRIPTION).read_text())
        settings = onnxruntime.SessionOptions()
        # A thread for each batch: within a batch all would wait for the slowest at each product.
        settings.intra_op_num_threads = 1

        def session(name: str) -> Any:
            return onnxruntime.InferenceSession(
                folder / name, settings, providers=["CPUExecutionProvider"]
            )

        ids, aliases = (
            file if (file := folder / name).exists() else None for name in (IDS_FILE, ALIASES_FILE)
        )
        return cls(
            session(CELLS_MODEL[precision]),
            session(GENES_MODEL),
            read_vocab(folder / VOCAB_FILE, ids, aliases),
            ModelConfig(**described["config"]),
            described["checkpoint_sha256"],
            threads or os.cpu_count() or 1,
        )

    def embed_cells(
        self,
        counts: RowArrays,
        genes: Sequence[str],
        *,
        min_known_fraction: float = Options.min_known_fraction,
        **options: Any,
    ) -> CellEmbeddings:
        """Embed cells as the engine does; options are ``ties``, ``max_length`` and ``seed``.

        Raises
        ------
        InvalidRequest
            As ``scgpt.embedder.Embedder.embed_cells``.
        """
        asked = read_params(options, ScgptOptions)
        check_options(asked, self.config, len(self.vocab))
        cells = Cells(counts, list(genes))  # type: ignore[arg-type]  # no scipy here
        sent = CheckedCells.of(cells, self.vocab)
        check_known_fraction(self.vocab, [sent], min_known_fraction)
        merged, places = merge_columns(counts, sent.places)
        tokens = tokenize(
            merged,
            places,
            cls_id=self.vocab.cls_id,
            n_bins=self.config.n_bins,
            pad_value=self.config.pad_value,
            max_length=asked.max_length or self.config.max_length,
            ties=asked.ties,
            seed=asked.seed,
        )
        rows = self.embed_tokens(tokens)
        rows[tokens.matched == 0] = 0
        return CellEmbeddings(rows, tokens.matched, tokens.unknown, tokens.truncated, self.digest)

    def embed_tokens(self, tokens: Tokens) -> NDArray[np.float32]:
        """Embed cells of like length together: float32 ``[cells, d_model]``."""
        lengths = tokens.lengths()
        out = np.empty((len(lengths), self.config.d_model), np.float32)

        def embed(some: NDArray[np.int64]) -> None:
            (out[some],) = self.cells.run(None, padded(tokens, some))

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(embed, batches(lengths)))
        return out

    def embed_genes(self, genes: Sequence[str]) -> GeneEmbeddings:
        """Static vectors of the genes that the vocabulary knows."""
        ids = self.vocab.lookup(genes)
        there = (ids != UNKNOWN).tolist()
        (vectors,) = self.genes.run(None, {"genes": ids[there]})
        known = list(compress(genes, there))
        unknown = [gene for gene, found in zip(genes, there, strict=True) if not found]
        return GeneEmbeddings(known, vectors, unknown, self.digest, len(known))


def batches(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut cells into batches, the longest first: int64 places ``[n]``."""
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        size = max(1, TOKENS_PER_BATCH // int(lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def padded(tokens: Tokens, some: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of the network for some cells: ``[B, L]``, ``[B, L]``, ``[B]``."""
    places, lengths = tokens.places(some)
    sizes = np.array(lengths, np.int64)
    filled = np.arange(sizes.max()) < sizes[:, None]
    genes, values = np.zeros((2, *filled.shape), np.int64)
    genes[filled], values[filled] = tokens.genes[places], tokens.values[places]
    return {"genes": genes, "values": values, "lengths": sizes}


def embed_file(
    model: EdgeModel, cells: CellsAtEdge, *, allow_imputed: bool = False, **options: Any
) -> NDArray[np.float32]:
    """Embed all cells of a file, some at a time: float32 ``[cells, d_model]``.

    The values are judged once, as those of one data set, before any cell is embedded.
    """
    n_cells = len(cells.names)
    starts = range(0, n_cells, _CELLS_PER_READ)
    if not allow_imputed:
        check_data_set(cells.rows(start, start + _CELLS_PER_READ) for start in starts)
    out = np.empty((n_cells, model.config.d_model), np.float32)
    for start in starts:
        stop = start + _CELLS_PER_READ
        found = model.embed_cells(cells.rows(start, stop), cells.genes, **options)
        out[start:stop] = found.embeddings
        print(f"{min(stop, n_cells):,} of {n_cells:,} cells", file=sys.stderr)  # noqa: T201
    return out


def write_rows(source: Path, cells: CellsAtEdge, rows: NDArray[np.float32], out: Path) -> None:
    """Write embeddings: into a copy of an ``.h5ad``, or alone as ``.npy`` or ``.csv``."""
    draft = out.with_name(f".{out.name}.draft")
    try:
        if out.suffix == ".h5ad":
            shutil.copyfile(source, draft)
            with h5py.File(draft, "r+", locking=False) as file:
                group = file.require_group("obsm")
                group.pop(_OBSM_KEY, None)
                stored = group.create_dataset(_OBSM_KEY, data=rows)
                stored.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
                for name, text in (("encoding-type", "dict"), ("encoding-version", "0.1.0")):
                    group.attrs.setdefault(name, text)
        elif out.suffix == ".npy":
            with draft.open("wb") as binary:
                np.save(binary, rows)
        else:
            with draft.open("w", newline="", encoding="utf-8") as text_file:
                table = csv.writer(text_file, lineterminator="\n")
                columns = (f"{_OBSM_KEY}_{number}" for number in range(rows.shape[1]))
                table.writerow(["cell", *columns])
                for name, row in zip(cells.names, rows, strict=True):
                    table.writerow([name, *row.tolist()])
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def main(folder: Path) -> int:
    """Run the command line of a package; return the exit code."""
    asked = _arguments()
    out, source = asked.out, asked.cells
    try:
        if out.suffix not in (".h5ad", ".npy", ".csv"):
            raise InvalidRequest("invalid_target", f"{out.name} must end in .h5ad, .npy or .csv.")
        if out.suffix == ".h5ad" != source.suffix:
            raise InvalidRequest(
                "invalid_target", f"{source.name} is no .h5ad; write a .npy or a .csv."
            )
        cells = read_cells_at_edge(
            source, layer=asked.layer, raw=asked.raw, gene_names=asked.gene_names
        )
        model = EdgeModel.load(folder, precision=asked.precision, threads=asked.threads)
        rows = embed_file(
            model,
            cells,
            ties=asked.ties,
            max_length=asked.max_length,
            seed=asked.seed,
            min_known_fraction=asked.min_known_fraction,
            allow_imputed=asked.allow_imputed,
        )
        write_rows(source, cells, rows, out)
    except (ScgptError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{len(rows)} cells in {out}; model {model.digest[:12]}")  # noqa: T201
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Embed cells with scGPT, without torch.",
        epilog="Example: python embed.py pbmc.h5ad --out pbmc_scgpt.h5ad",
    )
    parser.add_argument("cells", type=Path, help=".h5ad, or .csv / .tsv of cells x genes")
    parser.add_argument("--out", type=Path, required=True, help=".h5ad (a copy), .npy or .csv")
    parser.add_argument("--layer", help="the counts are in this layer")
    parser.add_argument("--raw", action="store_true", help="the counts are in raw")
    parser.add_argument("--gene-names", help="column of var that names the genes")
    parser.add_argument("--precision", choices=sorted(CELLS_MODEL), default="float32")
    parser.add_argument("--threads", type=int, default=0, help="of the processor; 0: all")
    parser.add_argument("--ties", choices=TIES, default=ScgptOptions.ties)
    parser.add_argument("--max-length", type=int, help="tokens per cell")
    parser.add_argument("--seed", type=int, default=ScgptOptions.seed)
    parser.add_argument("--min-known-fraction", type=float, default=Options.min_known_fraction)
    parser.add_argument("--allow-imputed", action="store_true")
    return parser.parse_args()
