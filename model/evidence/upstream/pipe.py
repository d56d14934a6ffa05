"""Our end of the pipe to upstream scGPT, which runs in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...scgpt.tokenizer import Tokens

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".reference" / "bin" / "python"
WORKER = Path(__file__).with_name("worker.py")


class UpstreamError(Exception):
    """Upstream scGPT raised, or its process ended."""


class Upstream:
    """Upstream scGPT with one checkpoint at a time; ends with its ``with`` block.

    Parameters
    ----------
    threads
        For torch, there.
    """

    def __init__(self, threads: int = 2) -> None:
        if not PYTHON.exists():
            raise UpstreamError(f"{PYTHON} does not exist; `make reference` installs it.")
        self._folder = tempfile.TemporaryDirectory(prefix="upstream-")
        self._log = (Path(self._folder.name) / "stderr").open("w+")
        self._process = subprocess.Popen(
            [str(PYTHON), str(WORKER), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # its input ends, so it does
        self._log.close()
        self._folder.cleanup()

    def load(self, checkpoint: Path) -> None:
        """Build upstream's model from a checkpoint directory."""
        self._ask("load", checkpoint=str(checkpoint))

    def embed(
        self, cells: sparse.csr_matrix, genes: list[str], seed: int, batch_size: int = 64
    ) -> NDArray[np.float32]:
        """``get_batch_cell_embeddings``, untouched, its random numbers begun at ``seed``."""
        path = self._save("cells", **_cells(cells, genes))
        return self._answer("embed", cells=path, seed=seed, batch_size=batch_size)

    def seconds_to_load(self, checkpoint: Path) -> float:
        """Time ``torch.load`` and ``load_state_dict`` into a model that stands already."""
        return float(self._ask("load_weights", checkpoint=str(checkpoint))["seconds"])

    def seconds_of_guide(
        self, checkpoint: Path, cells: sparse.csr_matrix, genes: list[str]
    ) -> float:
        """Time the guide's work in each request for gene embeddings."""
        path = self._save("cells", **_cells(cells, genes))
        return float(self._ask("guide", checkpoint=str(checkpoint), cells=path)["seconds"])

    def bins(
        self, cells: sparse.csr_matrix, draws: NDArray[np.float64], n_bins: int = 51
    ) -> NDArray[np.int64]:
        """Upstream's bin of each stored value, its uniform draws replaced: int64 ``[stored]``."""
        names = [str(i) for i in range(cells.shape[1])]
        path = self._save("cells", draws=draws, **_cells(cells, names))
        return self._answer("bins", cells=path, n_bins=n_bins)

    def encode(self, tokens: Tokens, pad_id: int, pad_value: int) -> NDArray[np.float32]:
        """Upstream's network on our tokens, padded as upstream pads: float32 ``[cells, dim]``."""
        lengths = tokens.lengths()
        inside = np.arange(lengths.max()) < lengths[:, None]
        genes, values = np.full(inside.shape, pad_id), np.full(inside.shape, pad_value)
        genes[inside], values[inside] = tokens.genes, tokens.values
        return self._answer("encode", tokens=self._save("tokens", genes=genes, values=values))

    def _save(self, name: str, **arrays: Any) -> str:
        path = Path(self._folder.name) / f"{name}.npz"
        np.savez(path, **arrays)
        return str(path)

    def _answer(self, operation: str, **arguments: Any) -> NDArray[Any]:
        out = Path(self._folder.name) / "out.npy"
        self._ask(operation, out=str(out), **arguments)
        answer: NDArray[Any] = np.load(out)
        return answer

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": operation, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._log.seek(0)
            raise UpstreamError(f"upstream's process ended: {self._log.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UpstreamError(answer["error"])
        return answer


def _cells(cells: sparse.csr_matrix, genes: list[str]) -> dict[str, Any]:
    return {
        "data": cells.data.astype(np.float32),
        "indices": cells.indices,
        "indptr": cells.indptr,
        "names": np.array(genes),
    }
