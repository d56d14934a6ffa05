"""Embed an ``.h5ad`` that may be larger than memory, chunk by chunk, resumable.

Only the matrix is read, one chunk ahead of the network; finished chunks lie in a folder beside the
target until all are there. Then the source is copied, the embeddings are written into
the copy, and it takes its name. A run that was stopped goes on after its last finished chunk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from anndata.io import write_elem
from numpy.typing import NDArray

from model.batch.source import CellsFile
from model.checks import check_cells
from model.codec import Cells
from model.contract import Options, read_params
from model.embedder import Embedder
from model.errors import InvalidRequest
from model.imputed import check_data_set
from model.job import CELLS_PER_READ, COUNTED, OBS_COLUMNS, OBSM_KEY, check_chunk, check_key
from model.known_genes import check_known_fraction
from model.measured import Measured
from model.read_ahead import read_ahead
from model.tokenizer import Tokens

_PROGRESS, _EMBEDDINGS, _COUNTS = "progress.json", "embeddings.npy", "counts.npy"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FileReport:
    """What a run did.

    Parameters
    ----------
    cells
        In the file.
    resumed_at
        Cells that an earlier run had finished.
    digest
        The model's digest.
    """

    cells: int
    resumed_at: int
    digest: str


def embed_file(
    source: Path,
    target: Path,
    embedder: Embedder,
    *,
    key: str = OBSM_KEY,
    chunk: int = CELLS_PER_READ,
    layer: str | None = None,
    raw: bool = False,
    min_known_fraction: float = Options.min_known_fraction,
    allow_imputed: bool = Options.allow_imputed,
    progress: Progress | None = None,
) -> FileReport:
    """Write a copy of `source` with ``obsm[key]``; memory does not grow with the file.

    Parameters
    ----------
    source
        ``.h5ad`` with raw, normalised or log1p counts (CSR or dense) and gene symbols as the index
        of ``var``.
    target
        ``.h5ad`` to write; appears when it is complete. Its neighbour ``<target>.unfinished`` holds
        what is done until then.
    embedder
        The engine.
    key
        Of ``obsm``: float32 ``[cells, d_model]``. Also written: ``uns["scgpt"]`` with the model's
        digest, and of each cell's genes the numbers that were matched, unknown and truncated:
        ``obs["scgpt_matched_genes"]`` and so on. All as `model.client.embed` names them.
    chunk
        Cells of which a file is read at a time; two such pieces are in memory.
    layer, raw
        Where the counts lie: in this layer, or in ``raw``; by default in ``X``.
    min_known_fraction, allow_imputed
        As in a request (``contract.Options``): the one judged of the first chunk that has counts,
        the other of the first 2,048 cells that have some.
    progress
        Called with (cells done, cells in all).

    Raises
    ------
    InvalidRequest
        ``invalid_chunk``, ``invalid_key``, ``two_matrices``; what the engine or a judgement
        refuses; a file that is no AnnData, has no such matrix (``no_matrix``), or whose matrix
        cannot be read in rows.
    """
    check_chunk(chunk)
    check_key(key)
    measured = Measured(layer, raw)
    options = read_params(
        {"min_known_fraction": min_known_fraction, "allow_imputed": allow_imputed}
    )
    work = target.with_name(target.name + ".unfinished")
    with CellsFile(source, measured) as cells:
        if not cells.n_cells:
            raise InvalidRequest("no_cells", f"{source} holds no cell.")
        _judge(cells, embedder, options, chunk)
        state = {
            "source": [str(source.resolve()), source.stat().st_size, source.stat().st_mtime_ns],
            "matrix": measured.path,
            "digest": embedder.digest,
            "dtype": str(embedder.network.dtype),  # rows of two precisions are no one embedding
            "shape": [cells.n_cells, embedder.config.d_model],
        }
        done = resumed_at = _open(work, state)
        read = partial(_tokens, cells, embedder, chunk)
        starts = range(done, cells.n_cells, chunk)
        for found in read_ahead(read, embedder.embed_tokens, starts):
            stop = done + len(found.matched)
            _write(work / _EMBEDDINGS, done, found.embeddings)
            judged = np.stack([getattr(found, name) for name in COUNTED], axis=1)
            _write(work / _COUNTS, done, judged)
            done = stop
            _write_json(work / _PROGRESS, {**state, "done": done})
            if progress:
                progress(done, cells.n_cells)
    _finish(source, target, work, key, embedder.digest)
    return FileReport(done, resumed_at, embedder.digest)


def _judge(cells: CellsFile, embedder: Embedder, options: Options, chunk: int) -> None:
    """Refuse genes and values as a request would be; a later chunk has no say, as in the client.

    A resumed run judges the same cells again, so that its answer does not depend on the stop.
    """
    for start in range(0, cells.n_cells, chunk):
        names = cells.names(start, start + chunk)  # by these a transposed file is known
        sent = Cells(cells.rows(start, start + chunk), cells.genes, names)
        check_cells(sent.counts, sent.genes)
        check_known_fraction(embedder.vocab, [sent], options.min_known_fraction)
        if sent.counts.nnz:
            break
    if not options.allow_imputed:  # of a fixed number of cells, so that `chunk` has no say
        check_data_set(cells.rows(at, at + chunk) for at in range(0, cells.n_cells, chunk))


def _tokens(cells: CellsFile, embedder: Embedder, chunk: int, start: int) -> Tokens:
    rows = cells.rows(start, start + chunk)
    return embedder.tokenize(rows, cells.genes, require_known=False)


def _open(work: Path, state: dict[str, Any]) -> int:
    """Cells that an unfinished run of this very job has done, or 0 and new arrays on disk."""
    found = _read_json(work / _PROGRESS)
    done = int(found.pop("done", 0))
    if found == state:
        return done
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    cells, width = state["shape"]
    np.lib.format.open_memmap(work / _EMBEDDINGS, "w+", np.float32, (cells, width))
    np.lib.format.open_memmap(work / _COUNTS, "w+", np.int32, (cells, len(OBS_COLUMNS)))
    return 0


def _write(path: Path, start: int, rows: NDArray[Any]) -> None:
    """Mapped for this piece only: pages of a file that stays mapped count as memory in use."""
    array = np.load(path, mmap_mode="r+")
    array[start : start + len(rows)] = rows
    array.flush()


def _finish(source: Path, target: Path, work: Path, key: str, digest: str) -> None:
    copy = work / "copy.h5ad"
    shutil.copyfile(source, copy)
    with h5py.File(copy, "r+") as file:
        for group in ("obsm", "uns"):  # anndata reads files without them
            if group not in file:
                write_elem(file, group, {})
        _put(file["obsm"], key, work / _EMBEDDINGS)
        counts = np.load(work / _COUNTS)
        for column, name in enumerate(OBS_COLUMNS):
            write_elem(file["obs"], name, counts[:, column])
            order = [entry for entry in file["obs"].attrs["column-order"] if entry != name]
            file["obs"].attrs["column-order"] = np.array([*order, name], dtype=object)
        no_endpoint = {"endpoint": "", "served_entities": np.array([], dtype=object)}
        write_elem(file["uns"], "scgpt", {**no_endpoint, "model_digest": digest})
    copy.replace(target)
    shutil.rmtree(work)


def _put(group: h5py.Group, key: str, source: Path) -> None:
    """An array on disk as anndata's format has it, copied in pieces."""
    if key in group:
        del group[key]
    array = np.load(source, mmap_mode="r")
    stored = group.create_dataset(key, array.shape, array.dtype)
    for start in range(0, len(array), CELLS_PER_READ):
        piece = slice(start, start + CELLS_PER_READ)
        stored[piece] = np.load(source, mmap_mode="r")[piece]
    stored.attrs["encoding-type"], stored.attrs["encoding-version"] = "array", "0.2.0"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _write_json(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content))
    draft.replace(path)
