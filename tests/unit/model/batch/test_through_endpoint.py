"""Files through an endpoint: answers are kept as they come, and nobody pays for them twice."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from scgpt_databricks.model.batch.through_endpoint import embed_file_through
from scgpt_databricks.model.client import embed
from scgpt_databricks.model.errors import EndpointError, InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import decode_cells
from tests.unit.model.served import Server, embeddings


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    pbmc_cells()[:7].copy().write_h5ad(tmp_path / "in" / "cells.h5ad")
    return tmp_path / "in" / "cells.h5ad"


def failing(after: int) -> Any:
    def answer(body: dict[str, Any]) -> Any:
        nonlocal after
        after -= 1
        return embeddings(body) if after >= 0 else (401, {"message": "no more"})

    return answer


def test_a_file_gets_what_its_anndata_gets(server: Server, source: Path, tmp_path: Path) -> None:
    adata = anndata.read_h5ad(source)
    embed(adata, server.endpoint, chunk=3)
    done, report = embed_file_through(source, tmp_path / "out.h5ad", server.endpoint, chunk=3)
    written = anndata.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_array_equal(written.obsm["X_scGPT"], adata.obsm["X_scGPT"])
    assert written.obs.equals(adata.obs)
    assert written.uns["scgpt"]["model_digest"] == adata.uns["scgpt"]["model_digest"]
    assert (done.cells, report.requests, len(report.served)) == (7, 3, 1)


def test_the_only_copy_survives_everything(server: Server, source: Path) -> None:
    before = source.read_bytes()
    server.answer = failing(2)
    with pytest.raises(EndpointError, match="no more"):
        embed_file_through(source, source, server.endpoint, chunk=3, concurrency=1)
    assert source.read_bytes() == before
    server.answer = embeddings
    done, report = embed_file_through(source, source, server.endpoint, chunk=3)
    assert (done.resumed_at, report.requests) == (6, 1)
    assert anndata.read_h5ad(source).obsm["X_scGPT"].shape == (7, 2)
    assert [path.name for path in source.parent.iterdir()] == ["cells.h5ad"]


def test_a_run_goes_on_with_the_entity_that_answered(server: Server, source: Path) -> None:
    target = source.with_name("out.h5ad")
    server.split = cycle(["model-1"])
    server.answer = failing(1)
    with pytest.raises(EndpointError):
        embed_file_through(source, target, server.endpoint, chunk=3, concurrency=1)
    server.split, server.answer = cycle(["model-2"]), embeddings
    _, report = embed_file_through(source, target, server.endpoint, chunk=3)
    assert report.served == ("model-1",)
    assert "/served-models/model-1/" in server.requests[-1]["path"]


def test_it_begins_again_where_that_one_is_gone(server: Server, source: Path) -> None:
    target = source.with_name("out.h5ad")
    server.split = cycle(["model-1"])
    server.answer = failing(1)
    with pytest.raises(EndpointError):
        embed_file_through(source, target, server.endpoint, chunk=3, concurrency=1)
    server.split = cycle(["model-2"])
    later = "b" * 64

    def newer(body: dict[str, Any]) -> Any:
        if "model-1" in server.requests[-1]["path"]:
            return 404, {"message": "gone"}
        return embeddings(body, later)

    server.answer = newer
    done, report = embed_file_through(source, target, server.endpoint, chunk=3)
    assert (done.resumed_at, done.model_digest, report.served) == (0, later, ("model-2",))


def test_another_digest_begins_again_too(server: Server, source: Path) -> None:
    """An address that is route-optimised has no entities of its own."""
    target = source.with_name("out.h5ad")
    server.answer = failing(1)
    with pytest.raises(EndpointError):
        embed_file_through(source, target, server.endpoint, chunk=3, concurrency=1)
    server.answer = lambda body: embeddings(body, "b" * 64)
    done, _ = embed_file_through(source, target, server.endpoint, chunk=3)
    assert (done.resumed_at, done.model_digest) == (0, "b" * 64)


def test_other_params_begin_again(server: Server, source: Path) -> None:
    target = source.with_name("out.h5ad")
    server.answer = failing(1)
    with pytest.raises(EndpointError):
        embed_file_through(source, target, server.endpoint, chunk=3, concurrency=1)
    server.answer = embeddings
    done, _ = embed_file_through(source, target, server.endpoint, chunk=3, params={"seed": 1})
    assert done.resumed_at == 0


def test_a_cell_that_fails_is_nan_in_the_file_and_counted(server: Server, source: Path) -> None:
    def odd(body: dict[str, Any]) -> Any:
        names = decode_cells(body["dataframe_split"]["data"][0][0]).ids or []
        return (500, {"message": "odd"}) if "4" in names else embeddings(body)

    server.answer = odd
    done, _ = embed_file_through(source, source, server.endpoint, chunk=3)
    written = anndata.read_h5ad(source)
    assert done.failed == 1
    assert list(np.isnan(written.obsm["X_scGPT"][:, 0])) == [at == 4 for at in range(7)]
    assert list(written.obs["scgpt_status"]) == [*["ok"] * 4, "failed: refused", "ok", "ok"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is a folder"),
        ("in/cells.h5ad/out.h5ad", "which is a file"),
        ("out.xlsx", r"\.h5ad, \.csv, \.parquet, \.npy or \.delta"),
        ("out.zarr", r"\.h5ad, \.csv, \.parquet, \.npy or \.delta"),
    ],
)
def test_an_impossible_target_costs_no_request(
    server: Server, source: Path, tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as refusal:
        embed_file_through(source, tmp_path / name, server.endpoint)
    assert refusal.value.code == "invalid_target"
    assert server.requests == []


def test_a_refused_request_leaves_nothing(server: Server, source: Path, tmp_path: Path) -> None:
    server.answer = lambda _: (403, {"message": "no"})
    with pytest.raises(EndpointError, match="CAN_QUERY"):
        embed_file_through(source, tmp_path / "out.h5ad", server.endpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


_HOLD = """
import sys, time
from pathlib import Path
from scgpt_databricks.model.batch.unfinished import Unfinished
with Unfinished(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_job_is_told_who_has_the_target(server: Server, source: Path) -> None:
    target = source.with_name("out.h5ad")
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(target)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InvalidRequest) as refusal:
            embed_file_through(source, target, server.endpoint)
        holder.kill()
    assert refusal.value.code == "target_in_use"
    assert f"@{socket.gethostname()} (process {holder.pid}) since 20" in refusal.value.message
    assert server.requests == []
    # The kernel let its lock go with the process.
    assert embed_file_through(source, target, server.endpoint)[0].cells == 7


@pytest.mark.parametrize(("minutes", "is_held"), [(1, True), (60, False)])
def test_a_run_on_another_machine(
    server: Server, source: Path, minutes: int, is_held: bool
) -> None:
    """A run that keeps nothing new for a quarter of an hour has ended."""
    target = source.with_name("out.h5ad")
    folder = source.with_name("out.h5ad.unfinished")
    folder.mkdir()
    holder = folder / "holder.json"
    who = {"user": "ann", "host": "elsewhere", "pid": 7, "since": "noon"}
    holder.write_text(json.dumps(who))
    before = time.time() - 60 * minutes
    os.utime(holder, (before, before))
    if is_held:
        with pytest.raises(InvalidRequest, match=r"by ann@elsewhere \(process 7\) since noon"):
            embed_file_through(source, target, server.endpoint)
    else:
        assert embed_file_through(source, target, server.endpoint)[0].cells == 7


def test_a_file_that_takes_no_embeddings(server: Server, source: Path) -> None:
    """They are written all the same, and the report says so."""
    target = source.with_name("out.h5ad")
    with h5py.File(source, "r+") as file:
        del file["uns"]
        file["uns"] = 7
    done, _ = embed_file_through(source, target, server.endpoint)
    assert "holds the embeddings alone" in done.note
    written = anndata.read_h5ad(target)
    assert written.obsm["X_scGPT"].shape == (7, 2)
    assert list(written.obs_names) == list(pbmc_cells().obs_names[:7])


def test_columns_are_taken_here(server: Server, source: Path, tmp_path: Path) -> None:
    cells = anndata.read_h5ad(source)
    cells.X = cells.X.tocsc()
    cells.write_h5ad(tmp_path / "columns.h5ad")
    for path in (source, tmp_path / "columns.h5ad"):
        embed_file_through(path, tmp_path / f"{path.stem}.npy", server.endpoint, chunk=3)
    np.testing.assert_array_equal(
        np.load(tmp_path / "cells.npy"), np.load(tmp_path / "columns.npy")
    )


def test_what_anndata_cannot_write_back_stays_in_the_copy(server: Server, source: Path) -> None:
    """Columns of pandas' strings, and a column ``_index`` in raw, as SeuratDisk writes it."""
    cells = pbmc_cells()[:7].copy()
    cells.raw = cells.copy()
    cells.obs["donor"] = pd.array(["a", None, "b", "a", "b", "a", "b"], dtype="string")
    with anndata.settings.override(allow_write_nullable_strings=True):
        cells.write_h5ad(source)
    with h5py.File(source, "r+") as file:
        var = file["raw/var"]
        index = var.attrs["_index"]
        if index != "_index":
            var.move(index, "_index")
            var.attrs["_index"] = "_index"
        var.attrs["column-order"] = np.array(["_index"], dtype=object)
    with pytest.raises((ValueError, RuntimeError)):
        anndata.read_h5ad(source).write_h5ad(source.with_name("by anndata.h5ad"))
    done, _ = embed_file_through(source, source, server.endpoint, chunk=3, raw=True)
    assert done.note == ""
    written = anndata.read_h5ad(source)
    assert written.obsm["X_scGPT"].shape == (7, 2)
    assert list(written.obs["donor"].isna()) == [False, True] + [False] * 5
    assert "_index" in written.raw.var.columns
