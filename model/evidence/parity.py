"""Compare the embeddings of a checkpoint with those of unmodified upstream scGPT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from .. import pyfunc, registry
from ..errors import BuildError
from ..scgpt.embedder import Embedder
from .labelled import Labelled
from .upstream.pipe import PYTHON, Upstream, UpstreamError

LARGEST = 1e-5
"""Largest difference of any number of an L2-normalised embedding; 3e-7 is usual."""
_CELLS = 20


@dataclass(frozen=True)
class Parity:
    """How far a checkpoint's embeddings are from upstream's.

    Parameters
    ----------
    difference
        The largest of any number, on the same tokens in float32; None where nothing was compared.
    note
        Why nothing was compared.
    """

    cells: int = 0
    difference: float | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.difference is None:
            return f"not compared with upstream scGPT: {self.note}"
        return (
            f"no number of an embedding of {self.cells} cells is further than "
            f"{self.difference:.1e} from unmodified upstream scGPT"
        )

    @property
    def tags(self) -> dict[str, str]:
        """Tag of the version."""
        return {} if self.difference is None else {registry.PARITY: f"{self.difference:.1e}"}

    @property
    def metrics(self) -> dict[str, float]:
        """The figure as MLflow takes it."""
        return {} if self.difference is None else {registry.PARITY: self.difference}


def compare(checkpoint: Path, embedder: Embedder, data: Labelled | None) -> Parity:
    """Embed some cells with both, on the same tokens.

    Parameters
    ----------
    embedder
        Of that checkpoint.
    data
        Cells to take a few of; without them, made-up ones over the vocabulary's first genes.

    Raises
    ------
    BuildError
        The embeddings differ.
    """
    if not PYTHON.exists():
        return Parity(note="the reference environment is not there, `make reference` makes it")
    cells, genes = _some(embedder, data)
    exact = _exact(checkpoint, embedder)
    ours = exact.embed_cells(cells, genes).embeddings
    pad_id = exact.vocab.tokens.index("<pad>")
    try:
        with Upstream() as upstream:
            upstream.load(checkpoint)
            tokens = exact.tokenize(cells, genes)
            theirs = upstream.encode(tokens, pad_id, exact.config.pad_value)
    except UpstreamError as error:
        return Parity(note=f"it failed: {str(error).strip().splitlines()[-1]}")
    found = Parity(len(ours), float(np.abs(ours - theirs).max()))
    if not found.difference <= LARGEST:  # type: ignore[operator]  # NaN is no parity either
        raise BuildError(
            f"{found}; at most {LARGEST:g} is allowed, so nothing was logged. The engine or the "
            f"reading of {checkpoint} is wrong: run `make parity` and see which"
        )
    return found


def _some(embedder: Embedder, data: Labelled | None) -> tuple[sparse.csr_matrix, list[str]]:
    if data is None:
        return pyfunc.validation_cells(embedder.vocab)
    chosen = np.linspace(0, len(data.types) - 1, _CELLS).astype(int)
    return data.cells.counts[np.unique(chosen)], list(data.cells.genes)


def _exact(checkpoint: Path, embedder: Embedder) -> Embedder:
    """Return the embedder in float32 on the processor, as upstream computes here."""
    network = embedder.network
    if network.device.type == "cpu" and network.dtype == torch.float32:
        return embedder
    return Embedder.load(checkpoint, device="cpu", precision="float32")
