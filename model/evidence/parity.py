"""Compare the embeddings of a checkpoint with those of unmodified upstream scGPT."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from .. import pyfunc, registry
from ..errors import BuildError
from ..scgpt.embedder import Embedder
from .labelled import Labelled
from .ties import FEWEST, UPSTREAM, TiesTable, compare_ties
from .upstream.pipe import PYTHON, Upstream, UpstreamError

LARGEST = 1e-5
"""Largest difference of any number of an L2-normalised embedding; 3e-7 is usual."""
_CELLS = 20
_CELLS_FOR_TIES, _DRAWS = 100, 2


@dataclass(frozen=True)
class Parity:
    """How far a checkpoint's embeddings are from upstream's.

    Parameters
    ----------
    difference
        The largest of any number, on the same tokens in float32; None where nothing was compared.
    note
        Why nothing was compared.
    ties
        How near each way with tied values comes to a draw of upstream's, and how near another
        draw does. Empty without cells to measure it on.
    ties_cells
        Cells on which that was measured.
    """

    cells: int = 0
    difference: float | None = None
    note: str = ""
    ties: TiesTable = field(default_factory=dict)
    ties_cells: int = 0

    def __str__(self) -> str:
        if self.difference is None:
            return f"not compared with upstream scGPT: {self.note}"
        text = (
            f"no number of an embedding of {self.cells} cells is further than "
            f"{self.difference:.1e} from unmodified upstream scGPT"
        )
        if not self.ties:
            return text
        return f"{text}. Its own draws of tied values, on {self.ties_cells} cells: " + "; ".join(
            f"{'another draw' if way == UPSTREAM else way}: neighbours shared "
            f"{found['overlap']:.2f}, own row found again {found['found_again']:.0%}, mean row "
            f"moved by {found['shift']:.3f}"
            for way, found in self.ties.items()
        )

    @property
    def tags(self) -> dict[str, str]:
        """Tag of the version."""
        return {} if self.difference is None else {registry.PARITY: f"{self.difference:.1e}"}

    @property
    def metrics(self) -> dict[str, float]:
        """The figures as MLflow takes them."""
        if self.difference is None:
            return {}
        ties = {
            f"ties_{way}_{name}": value
            for way, found in self.ties.items()
            for name, value in found.items()
        }
        return {registry.PARITY: self.difference, **ties}


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
            ties, measured_on = _ties(upstream, exact, data)
    except UpstreamError as error:
        return Parity(note=f"it failed: {str(error).strip().splitlines()[-1]}")
    difference = float(np.abs(ours - theirs).max())
    found = Parity(len(ours), difference, ties=ties, ties_cells=measured_on)
    if not found.difference <= LARGEST:  # type: ignore[operator]  # NaN is no parity either
        raise BuildError(
            f"{found}; at most {LARGEST:g} is allowed, so nothing was logged. The engine or the "
            f"reading of {checkpoint} is wrong: run `make parity` and see which"
        )
    return found


def _some(embedder: Embedder, data: Labelled | None) -> tuple[sparse.csr_matrix, list[str]]:
    if data is None:
        return pyfunc.validation_cells(embedder.vocab)
    return _spread_out(data, _CELLS), list(data.cells.genes)


def _spread_out(data: Labelled, most: int) -> sparse.csr_matrix:
    chosen = np.linspace(0, len(data.types) - 1, most).astype(int)
    return data.cells.counts[np.unique(chosen)]


def _ties(upstream: Upstream, exact: Embedder, data: Labelled | None) -> tuple[TiesTable, int]:
    """Measure tied values on real cells; made-up ones would say nothing."""
    cells = None if data is None else _spread_out(data, _CELLS_FOR_TIES)
    if data is None or cells is None or cells.shape[0] < FEWEST:
        return {}, 0
    found = compare_ties(upstream, exact, cells, list(data.cells.genes), _DRAWS)
    return found, int(cells.shape[0])


def _exact(checkpoint: Path, embedder: Embedder) -> Embedder:
    """Return the embedder in float32 on the processor, as upstream computes here."""
    network = embedder.network
    if network.device.type == "cpu" and network.dtype == torch.float32:
        return embedder
    return Embedder.load(checkpoint, device="cpu", precision="float32")
