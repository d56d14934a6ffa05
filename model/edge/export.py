"""From a checkpoint to a package for the edge: ONNX, vocabulary, tokeniser, runner.

An export is kept only if it answers as the engine does. Both precisions are asked for the same real
cells before the package gets its name.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from ..build import copy_modules
from ..cells.cells import Cells
from ..errors import BuildError
from ..judge.likeness import NEIGHBOURS, overlap
from ..scgpt.checkpoint_files import ALIASES_FILE, IDS_FILE, VOCAB_FILE
from ..scgpt.embedder import Embedder
from ..scgpt.tokenizer import Tokens
from . import runner
from .padded import GeneTable, PaddedNetwork
from .runner import CELLS_MODEL, DESCRIPTION, GENES_MODEL, EdgeModel

LARGEST_DIFFERENCE = 1e-5
"""Between a float32 row of the export and of the engine. Rows have length 1."""
OPSET = 20  # later ones have an Attention that onnxruntime refuses with a mask of one query
_PACKAGE = "scgpt_edge"
_PRODUCTS_PER_LAYER = 6  # query, key, value, out, and two of the feed-forward part
_NEEDED = ("onnxruntime", "numpy", "h5py")
_ENTRY = '''"""Embed cells: python embed.py CELLS.h5ad --out OUT.h5ad"""

import sys
from pathlib import Path

from scgpt_edge.edge.runner import main

sys.exit(main(Path(__file__).resolve().parent))
'''


@dataclass(frozen=True)
class ExportReport:
    """A package and how its answers differ from the engine's, on real cells.

    Parameters
    ----------
    folder, checkpoint_sha256
        The package, and the checkpoint that it holds.
    cells
        Number of cells that both were asked for.
    difference
        Largest difference of a number of a float32 row.
    int8_overlap
        Share of the 15 nearest cells that int8 keeps.
    int8_cosine
        Of the int8 row that differs most from the engine's.
    bytes
        Size of each file of ONNX.
    """

    folder: str
    checkpoint_sha256: str
    cells: int
    difference: float
    int8_overlap: float
    int8_cosine: float
    bytes: dict[str, int]


def export(
    checkpoint: Path, folder: Path, cells: Cells, notify: Callable[[str], None] = lambda text: None
) -> ExportReport:
    """Export a checkpoint as a package that needs onnxruntime, numpy and h5py.

    Parameters
    ----------
    checkpoint
        Directory with ``best_model.pt``, ``args.json``, ``vocab.json``.
    folder
        Of the package; made. An earlier export there is replaced, anything else refused.
    cells
        Real cells, more than 15, on which the export is held against the engine.
    notify
        Called with a sentence as each step begins.

    Raises
    ------
    BuildError
        The folder holds something; the export differs from the engine; int8 left products in
        float32. Nothing is left behind.
    CheckpointError
        It is no complete scGPT checkpoint.
    """
    check_folder(folder)
    if cells.counts.shape[0] <= NEIGHBOURS:
        raise BuildError(
            f"{cells.counts.shape[0]} cells cannot show what int8 loses; give more than "
            f"{NEIGHBOURS} (--cells FILE)."
        )
    notify("reading the checkpoint")
    embedder = Embedder.load(checkpoint, device="cpu", precision="float32")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch) / folder.name
        draft.mkdir()
        notify("exporting the network of cells and the table of genes")
        _write_networks(embedder, draft)
        _write_around(embedder, draft)
        notify(f"asking both for {cells.counts.shape[0]} cells")
        report = _compared(embedder, draft, cells, folder)
        _describe(
            embedder,
            draft,
            cells=report.cells,
            difference=report.difference,
            int8_overlap=report.int8_overlap,
            int8_cosine=report.int8_cosine,
        )
        if folder.exists():
            folder.rename(Path(scratch) / "earlier")
        draft.rename(folder)
    return report


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export (``BuildError``)."""
    if folder.is_dir() and ((folder / DESCRIPTION).exists() or not any(folder.iterdir())):
        return
    if folder.exists():
        raise BuildError(
            f"{folder} holds something else already; name a folder that is not there yet, or that "
            "an earlier export made."
        )


def _write_networks(embedder: Embedder, folder: Path) -> None:
    full, small = (folder / name for name in CELLS_MODEL.values())
    n_cells, n_tokens, n_genes = (torch.export.Dim(name) for name in ("cells", "tokens", "genes"))
    # Two cells of three tokens: an example with a length of 1 would fix that length for good. One
    # tensor given twice would become one input.
    tokens, values = torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.int64)
    _write_network(
        PaddedNetwork(embedder.network),
        {"genes": tokens, "values": values, "lengths": torch.tensor([3, 2])},
        ({0: n_cells, 1: n_tokens}, {0: n_cells, 1: n_tokens}, {0: n_cells}),
        "cell_embedding",
        full,
    )
    _write_network(
        GeneTable(embedder.network),
        {"genes": torch.zeros(2, dtype=torch.int64)},
        ({0: n_genes},),
        "gene_embedding",
        folder / GENES_MODEL,
    )
    with _quiet():
        quantize_dynamic(
            full,
            small,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
    check_quantised(small, embedder.config.n_layers)


def _write_network(
    module: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    shapes: tuple[dict[int, Any], ...],
    output: str,
    path: Path,
) -> None:
    with _quiet():
        exported = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(inputs),
            output_names=[output],
            opset_version=OPSET,
            verbose=False,
        )
    if exported is None:
        raise BuildError(f"torch {torch.__version__} exported nothing for {path.name}.")
    exported.save(path)
    onnx.checker.check_model(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice to the authors of exporters from those who use one."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def check_quantised(path: Path, n_layers: int) -> None:
    """Refuse a network whose products are not all int8; a new runtime may leave some as they were.

    Raises
    ------
    BuildError
        Says how many there are.
    """
    kinds = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    found, wanted = kinds.count("MatMulInteger"), _PRODUCTS_PER_LAYER * n_layers
    if found < wanted:
        raise BuildError(
            f"{path.name} has {found} products in int8 of {wanted}: onnxruntime "
            f"{installed('onnxruntime')} left the others in float32. Use another version of it."
        )


def _write_around(embedder: Embedder, folder: Path) -> None:
    """Write what is not ONNX: vocabulary, settings, code, and what to install."""
    files = embedder.checkpoint.files
    for source, name in (
        (files.vocab, VOCAB_FILE),
        (files.ids, IDS_FILE),
        (files.aliases, ALIASES_FILE),
    ):
        if source is not None:
            shutil.copyfile(source, folder / name)
    copy_modules(Path(runner.__file__), folder / _PACKAGE)
    (folder / "embed.py").write_text(_ENTRY)
    pins = [f"{name}=={installed(name)}" for name in _NEEDED]
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n")
    _describe(embedder, folder)


def _compared(embedder: Embedder, draft: Path, cells: Cells, folder: Path) -> ExportReport:
    tokens = embedder.tokenize(cells.counts, cells.genes)
    ours = embedder.embed_tokens(tokens).embeddings
    theirs, small = (_asked(draft, precision, tokens) for precision in CELLS_MODEL)
    difference = float(np.abs(ours - theirs).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise BuildError(
            f"the export differs from the engine by {difference:.1e} in one of {len(ours)} cells; "
            f"{LARGEST_DIFFERENCE:.0e} is allowed. Nothing was kept."
        )
    return ExportReport(
        str(folder),
        embedder.digest,
        len(ours),
        difference,
        overlap(ours, small),
        float((ours * small).sum(axis=1).min()),
        {path.name: path.stat().st_size for path in sorted(draft.glob("*.onnx*"))},
    )


def _asked(folder: Path, precision: str, tokens: Tokens) -> Any:
    rows = EdgeModel.load(folder, precision=precision).embed_tokens(tokens)
    rows[tokens.matched == 0] = 0
    return rows


def _describe(embedder: Embedder, folder: Path, **measured: float) -> None:
    described = {
        "checkpoint_sha256": embedder.digest,
        "config": asdict(embedder.config),
        "measured": measured,
        "made_with": {name: installed(name) for name in ("torch", "onnx", "onnxruntime")},
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
