"""What a damaged file does to the process that reads it, one of its own learns first."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells import trial
from scgpt_databricks.model.cells.files import open_cells
from scgpt_databricks.model.cells.h5ad import read_cells
from scgpt_databricks.model.errors import InvalidRequest, LimitExceeded
from tests.unit.model.reference import GENES, make_counts

COUNTS = make_counts(30, 12, seed=6)
TEXT_TYPE = b"\x19\x01\x01\x00\x10\x00\x00\x00"  # text of variable length, in an attribute
NO_TYPE = b"\x19\x05\x01\x00\x10\x00\x00\x00"


def written(path: Path, *, dense: bool = False, packed: bool = False, new: bool = False) -> Path:
    cells = anndata.AnnData(COUNTS if dense else sparse.csr_matrix(COUNTS))
    cells.var_names, cells.obs_names = GENES[:12], [f"c{i}" for i in range(30)]
    cells.obs["type"] = pd.Categorical(["B", "T", None] * 10)
    old = path.with_suffix(".old") if new else path
    cells.write_h5ad(old, compression="gzip" if packed else None)
    if new:  # HDF5's later way to write groups
        with h5py.File(old) as source, h5py.File(path, "w", libver="latest") as target:
            for name in source:
                source.copy(name, target)
            target.attrs.update(dict(source.attrs))
    return path


def crashing(path: Path) -> Path:
    """One byte is wrong: HDF5 takes text for something else, and follows a pointer."""
    whole = written(path).read_bytes()
    at = whole.rindex(TEXT_TYPE)
    path.write_bytes(whole[:at] + NO_TYPE + whole[at + len(NO_TYPE) :])
    return path


def endless(path: Path) -> Path:
    """A hole of zeros where names are: HDF5 takes steps of length 0."""
    whole = bytearray(written(path).read_bytes())
    at = whole.index(b"c12\0") + 4
    whole[at : at + 64] = bytes(64)
    path.write_bytes(whole)
    return path


def index_of_cells(path: Path, **dataset: Any) -> Path:
    with h5py.File(written(path), "a") as file:
        attributes = dict(file["obs/_index"].attrs)
        del file["obs/_index"]
        file["obs"].create_dataset("_index", **dataset).attrs.update(attributes)
    return path


def large(path: Path) -> Path:
    """Names of 2 MB."""
    return index_of_cells(path, data=["n" * 2_000_000] * 30, dtype=h5py.string_dtype())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Walks end after a second of the processor."""
    monkeypatch.setattr(trial, "SECONDS", 1)
    monkeypatch.setattr(trial, "MEMORY", 32 << 20)
    monkeypatch.setattr(trial, "_walker", trial._Walker())
    yield
    trial._walker.close()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (crashing, r"ends the process that does it \(SIG(SEGV|BUS|ABRT)\)"),
        (endless, "takes more than 1 seconds"),
        (large, "takes more than 32 MiB of memory"),
    ],
)
def test_each_end_of_a_walk_is_told(
    damage: Callable[[Path], Path], why: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match=why):
        trial.try_file(damage(tmp_path / "cells.h5ad"))
    trial.try_file(written(tmp_path / "whole.h5ad"))


def test_names_in_a_large_chunk_are_refused(tmp_path: Path) -> None:
    names = {"shape": (30,), "maxshape": (None,), "dtype": "S2", "compression": "gzip"}
    path = index_of_cells(tmp_path / "cells.h5ad", chunks=(1 << 29,), **names)
    with pytest.raises(LimitExceeded, match="chunks of more than") as caught, open_cells(path):
        pass
    assert caught.value.code == "file_too_large"


def test_a_damaged_file_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    path = crashing(tmp_path / "cells.h5ad")
    for _ in range(2):
        with pytest.raises(InvalidRequest, match=r"cells.h5ad .* ends the process") as caught:
            read_cells(path, {"type"})
        assert caught.value.code == "invalid_file"
        with pytest.raises(InvalidRequest, match="Fetch it again") as caught, open_cells(path):
            pass
        assert caught.value.code == "not_anndata"
    assert read_cells(written(path)).genes == GENES[:12]  # the same name, written anew


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_where_no_process_can_be_had_files_are_read_without(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trial, "_walker", trial._Walker())
    monkeypatch.setattr("sys.executable", program)
    assert read_cells(written(tmp_path / "cells.h5ad")).genes == GENES[:12]
    assert "without a trial" in caplog.text


def mutated(folder: Path, seed: int) -> Path:
    """A file of some kind with some bytes wrong: single ones, bits, or a run of one value."""
    draw = random.Random(seed)
    kind = {name: draw.random() < 0.5 for name in ("dense", "packed", "new")}
    data = bytearray(written(folder / "cells.h5ad", **kind).read_bytes())
    start = draw.randrange(len(data))
    if draw.random() < 0.4:
        stop = min(len(data), start + draw.choice([1, 4, 16, 64]))
        data[start:stop] = bytes([draw.choice([0, 255])]) * (stop - start)
    for _ in range(draw.choice([1, 3, 10, 30])):
        data[draw.randrange(len(data))] ^= draw.choice([255, 1 << draw.randrange(8)])
    path = folder / f"cells-{seed}.h5ad"
    path.write_bytes(data)
    return path


def by_pieces(path: Path) -> None:
    with open_cells(path) as cells:
        cells.rows(0, cells.n_cells)
        cells.names(0, cells.n_cells)


def said_of(path: Path, read: Callable[[Path], object]) -> str:
    try:
        read(path)
    except InvalidRequest as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    "seeds",
    [range(20), pytest.param(range(20, 320), marks=(pytest.mark.long, pytest.mark.timeout(3000)))],
    ids=len,
)
@pytest.mark.usefixtures("short")
def test_mutated_files_end_in_cells_or_in_a_sentence(seeds: range, tmp_path: Path) -> None:
    served = partial(read_cells, columns={"type"})
    files = (mutated(tmp_path, seed) for seed in seeds)
    said = [said_of(path, read) for path in files for read in (served, by_pieces)]
    assert max(map(len, said)) < 500
    assert not any("\n" in sentence for sentence in said)
    assert 0.1 < np.mean([sentence == "" for sentence in said]) < 0.9
