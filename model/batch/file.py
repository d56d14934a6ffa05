"""Embed an ``.h5ad`` that may be larger than memory, chunk by chunk, resumable.

Only the matrix is read, one chunk ahead of the network; finished chunks lie in a folder beside the
target until all are there. Then the source is copied, the embeddings are written into
the copy, and it takes its name. A run that was stopped goes on after its last finished chunk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from anndata.io import write_elem

from ..cells.cells import Cells
from ..cells.counts_place import CountsPlace
from ..cells.h5ad import CellsFile, state_of
from ..cells.imputed import check_data_set
from ..cells.job_options import (
    CELLS_PER_READ,
    COUNTED,
    OBS_COLUMNS,
    OBSM_KEY,
    check_chunk,
    check_key,
)
from ..cells.known_genes import CheckedCells, check_known_fraction
from ..contract import Options, read_params
from ..errors import InvalidRequest
from ..scgpt.embedder import Embedder
from ..scgpt.read_ahead import read_ahead
from ..scgpt.tokenizer import Tokens
from .unfinished import Unfinished

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FileReport:
    """The result of a run.

    Parameters
    ----------
    cells
        In the file.
    resumed_at
        Cells that an earlier run had finished.
    model_digest
        The model's digest.
    """

    cells: int
    resumed_at: int
    model_digest: str


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
        ``invalid_chunk``, ``invalid_key``, ``two_matrices``, ``invalid_target``; what the engine or
        a judgement refuses; a file that is no AnnData, has no such matrix (``no_matrix``), whose
        matrix cannot be read in rows, or that was written to meanwhile (``source_changed``).
    """
    check_chunk(chunk)
    check_key(key)
    place = CountsPlace(layer, raw)
    options = read_params(
        {"min_known_fraction": min_known_fraction, "allow_imputed": allow_imputed}, Options
    )
    if target.is_dir():
        raise InvalidRequest("invalid_target", f"{target} is a folder; name a file to write.")
    with CellsFile(source, place) as cells:
        if not cells.n_cells:
            raise InvalidRequest("no_cells", f"{source} holds no cell.")
        _judge(cells, embedder, options, chunk)
        job = {
            "source": cells.state,
            "matrix": place.path,
            "digest": embedder.digest,
            "dtype": str(embedder.network.dtype),  # rows of two precisions are no one embedding
        }
        folder, width = target.with_name(target.name + ".unfinished"), embedder.config.d_model
        work = Unfinished(folder, job, cells.n_cells, width, len(OBS_COLUMNS))
        resumed_at = work.open()
        _compute(cells, embedder, chunk, work, resumed_at, progress)
    copy = _copy(source, cells.state, work.folder)
    _put_into(copy, work, key, embedder.digest)
    copy.replace(target)
    shutil.rmtree(work.folder)
    return FileReport(cells.n_cells, resumed_at, embedder.digest)


def _judge(cells: CellsFile, embedder: Embedder, options: Options, chunk: int) -> None:
    """Refuse genes and values as a request would be; a later chunk has no say, as in the client.

    A resumed run judges the same cells again, so that its answer does not depend on the stop.
    """
    for start in range(0, cells.n_cells, chunk):
        names = cells.names(start, start + chunk)  # by these a transposed file is known
        sent = Cells(cells.rows(start, start + chunk), cells.genes, names)
        judged = CheckedCells.of(sent, embedder.vocab)
        check_known_fraction(embedder.vocab, [judged], options.min_known_fraction)
        if sent.counts.nnz:
            break
    if not options.allow_imputed:  # of a fixed number of cells, so that `chunk` has no say
        check_data_set(cells.rows(at, at + chunk) for at in range(0, cells.n_cells, chunk))


def _compute(
    cells: CellsFile,
    embedder: Embedder,
    chunk: int,
    work: Unfinished,
    done: int,
    progress: Progress | None,
) -> None:
    """The rows that are not done yet."""
    read = partial(_tokens, cells, embedder, chunk)
    for found in read_ahead(read, embedder.embed_tokens, range(done, cells.n_cells, chunk)):
        counts = np.stack([getattr(found, name) for name in COUNTED], axis=1)
        work.add(done, found.embeddings, counts)
        done += len(counts)
        if progress:
            progress(done, cells.n_cells)


def _tokens(cells: CellsFile, embedder: Embedder, chunk: int, start: int) -> Tokens:
    rows = cells.rows(start, start + chunk)
    return embedder.tokenize(rows, cells.genes, require_known=False)


def _copy(source: Path, opened: list[str | int], folder: Path) -> Path:
    """Copy the file into the folder; refuse it when it is no longer the one that was opened."""
    copy = folder / "copy.h5ad"
    shutil.copyfile(source, copy)
    if state_of(source) != opened:
        shutil.rmtree(folder)
        raise InvalidRequest(
            "source_changed",
            f"{source} was written to while it was being embedded; start again when it is whole.",
        )
    return copy


def _put_into(copy: Path, work: Unfinished, key: str, digest: str) -> None:
    with h5py.File(copy, "r+") as file:
        for group in ("obsm", "uns"):  # anndata reads files without them
            if group not in file:
                write_elem(file, group, {})
        _put(file["obsm"], key, work.embeddings)
        counts = np.load(work.counts)
        for column, name in enumerate(OBS_COLUMNS):
            write_elem(file["obs"], name, counts[:, column])
            order = [entry for entry in file["obs"].attrs["column-order"] if entry != name]
            file["obs"].attrs["column-order"] = np.array([*order, name], dtype=object)
        no_endpoint = {"endpoint": "", "served_entities": np.array([], dtype=object)}
        write_elem(file["uns"], "scgpt", {**no_endpoint, "model_digest": digest})


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
