"""Many files, one after the other: a status for each, and a run that goes on."""

from __future__ import annotations

import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, write_deltalake

from scgpt_databricks.model.batch.many import (
    EMBEDDED,
    FAILED,
    KEPT,
    NOT_STARTED,
    RECORD,
    FileStatus,
    two_models,
)
from scgpt_databricks.model.batch.through_endpoint import embed_files_through
from scgpt_databricks.model.client.batch_inference import batch_inference
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import Recipe, pbmc_cells, random_checkpoint
from scgpt_databricks.scripts.cli.main import cli
from tests.unit.model.served import Server, cells, embeddings


def written(folder: Path, name: str, n_cells: int) -> Path:
    adata = cells(n_cells)
    path = folder / name
    adata.write_zarr(path) if path.suffix == ".zarr" else adata.write_h5ad(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files of cells, and between them one that is none."""
    (tmp_path / "broken.h5ad").write_text("no cells")
    return [
        written(tmp_path, "a.h5ad", 3),
        tmp_path / "broken.h5ad",
        written(tmp_path, "b.zarr", 4),
    ]


def statuses(found: list[FileStatus]) -> list[str]:
    return [each.status for each in found]


def test_a_file_that_fails_leaves_the_others_and_a_run_goes_on(
    server: Server, files: list[Path], tmp_path: Path
) -> None:
    into = tmp_path / "out"
    told: list[FileStatus] = []
    found = embed_files_through(files, into, server.endpoint, tell=told.append)
    assert statuses(found) == [EMBEDDED, FAILED, EMBEDDED]
    assert told == found
    assert found[1].code == "not_anndata"
    assert [each.cells for each in found] == [3, 0, 4]
    assert sorted(path.name for path in into.iterdir()) == ["a.h5ad", "b.h5ad", RECORD]
    assert anndata.read_h5ad(into / "b.h5ad").obsm["X_scGPT"].shape[0] == 4
    lines = [json.loads(line) for line in (into / RECORD).read_text().splitlines()]
    assert [line["status"]["status"] for line in lines] == statuses(found)

    asked = len(server.requests)
    shutil.copy(files[0], files[1])
    again = embed_files_through(files, into, server.endpoint)
    assert statuses(again) == [KEPT, EMBEDDED, KEPT]
    assert [each.model_digest for each in again] == [again[0].model_digest] * 3
    assert len(server.requests) == asked + 1


def test_what_changed_is_embedded_again(server: Server, files: list[Path], tmp_path: Path) -> None:
    into, good = tmp_path / "out", [files[0], files[2]]
    embed_files_through(good, into, server.endpoint)
    os.utime(good[0])
    assert statuses(embed_files_through(good, into, server.endpoint)) == [EMBEDDED, KEPT]
    (into / "b.h5ad").unlink()
    assert statuses(embed_files_through(good, into, server.endpoint)) == [KEPT, EMBEDDED]
    other: dict[str, Any] = {"params": {"seed": 3}}
    assert statuses(embed_files_through(good, into, server.endpoint, **other)) == [EMBEDDED] * 2
    found = embed_files_through(good, into, server.endpoint, again=True, **other)
    assert statuses(found) == [EMBEDDED] * 2
    with (into / RECORD).open("a") as record:
        record.write('{"source": "cut o')  # by a kill
    assert statuses(embed_files_through(good, into, server.endpoint, **other)) == [KEPT] * 2


def test_a_token_that_is_refused_stops_the_run(
    server: Server, files: list[Path], tmp_path: Path
) -> None:
    good = [files[0], files[2], written(tmp_path, "c.h5ad", 2)]
    server.answer = lambda body: (
        embeddings(body) if len(server.requests) < 2 else (401, {"message": "expired"})
    )
    found = embed_files_through(good, tmp_path / "out", server.endpoint)
    assert statuses(found) == [EMBEDDED, FAILED, NOT_STARTED]
    assert found[2].code == "refused"
    assert len(server.requests) == 2
    server.answer = embeddings
    found = embed_files_through(good, tmp_path / "out", server.endpoint)
    assert statuses(found) == [KEPT, EMBEDDED, EMBEDDED]


def test_a_delta_table_takes_all_cells_once(
    server: Server, files: list[Path], tmp_path: Path
) -> None:
    table, good = tmp_path / "all.delta", [files[0], files[2]]
    for states in ([EMBEDDED] * 2, [KEPT] * 2):
        assert statuses(embed_files_through(good, table, server.endpoint)) == states
    embed_files_through(good, table, server.endpoint, again=True)
    rows = (
        DeltaTable(table)
        .to_pyarrow_table()
        .sort_by([("source", "ascending"), ("source_row", "ascending")])
    )
    assert rows.column("source_row").to_pylist() == [0, 1, 2, 0, 1, 2, 3]
    assert rows.column("cell_id").to_pylist()[:3] == list(cells(3).obs_names)
    assert {*rows.column("status").to_pylist()} == {"ok"}
    first = np.array(rows.column("embedding").to_pylist()[:3])
    embed_files_through(good[:1], tmp_path / "out", server.endpoint)
    np.testing.assert_array_equal(
        first, anndata.read_h5ad(tmp_path / "out" / "a.h5ad").obsm["X_scGPT"]
    )
    (tmp_path / "none.delta").mkdir()
    write_deltalake(tmp_path / "other.delta", rows.select(["cell_id"]))
    for name in ("none.delta", "other.delta"):
        (found,) = embed_files_through(good[:1], tmp_path / name, server.endpoint)
        assert (found.status, found.code) == (FAILED, "invalid_target")


def test_places_that_cannot_be(server: Server, files: list[Path], tmp_path: Path) -> None:
    same = tmp_path / "other" / "a.h5ad"
    same.parent.mkdir()
    shutil.copy(files[0], same)
    for sources, into, words in [
        ([], tmp_path / "out", "no file is named"),
        ([files[0], same], tmp_path / "out", "two files would be written"),
        ([files[0], files[0]], tmp_path / "out", "named twice"),
        ([files[0]], files[0], "is a file"),
        ([files[0]], tmp_path, "is one of the files"),
    ]:
        with pytest.raises(InvalidRequest, match=words):
            embed_files_through(sources, into, server.endpoint)
    with pytest.raises(InvalidRequest, match="chunk"):
        embed_files_through(files, tmp_path / "out", server.endpoint, chunk=0)
    assert server.requests == []


def test_a_record_that_cannot_be_written_costs_no_request(
    server: Server, files: list[Path], tmp_path: Path
) -> None:
    for into in (files[0] / "out", files[0] / "all.delta"):
        with pytest.raises(InvalidRequest, match=r"cannot be written|which is a file"):
            embed_files_through(files[2:], into, server.endpoint)
    for odd in ("", 3):
        with pytest.raises(InvalidRequest, match="must name a folder"):
            batch_inference(server.endpoint, files[2:], into=odd)  # type: ignore[arg-type]
    assert server.requests == []


def test_a_full_disk_is_told_and_nothing_is_asked_again(
    server: Server, files: list[Path], tmp_path: Path
) -> None:
    """A limit of the process stands for the disk: files above it cannot be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        (found,) = embed_files_through(files[:1], tmp_path / "out", server.endpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (found.status, found.code) == (FAILED, "invalid_target")
    assert not (tmp_path / "out" / "a.h5ad").exists()
    asked = len(server.requests)
    (found,) = embed_files_through(files[:1], tmp_path / "out", server.endpoint)
    assert (found.status, len(server.requests)) == (EMBEDDED, asked)


def test_results_of_two_models_are_told() -> None:
    one = FileStatus("a", "a", EMBEDDED, model_digest="a" * 64)
    other = FileStatus("b", "b", KEPT, model_digest="b" * 64)
    assert two_models([one, one]) == ""
    assert "never mix" in two_models([one, other])


def test_batch_inference_writes_files_of_anndata_and_paths(
    server: Server, files: list[Path], tmp_path: Path
) -> None:
    data: list[Any] = [cells(3), str(files[2]), cells(2)]
    into = tmp_path / "out"
    server.answer = lambda body: (
        embeddings(body) if len(server.requests) < 3 else (403, {"message": "no"})
    )
    found = batch_inference(server.endpoint, data, into=into)
    assert [each["status"] for each in found] == [EMBEDDED, EMBEDDED, FAILED]
    server.answer = embeddings
    found = batch_inference(server.endpoint, data, into=into)
    assert [each["status"] for each in found] == [KEPT, KEPT, EMBEDDED]
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out"]
    assert anndata.read_h5ad(into / "data_list_2.h5ad").n_obs == 2
    with pytest.raises(InvalidRequest, match="cannot take"):
        batch_inference(server.endpoint, [{"adata_var": "{}"}], into=into)


def test_batch_inference_reads_files(server: Server, files: list[Path]) -> None:
    for path in (files[1], files[1].with_name("nowhere.h5ad")):
        with pytest.raises(InvalidRequest, match="cannot be read"):
            batch_inference(server.endpoint, [path])
    assert server.requests == []


def test_the_command_takes_several_files(files: list[Path], tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "ck", Recipe(steps=0))
    good = [tmp_path / "one.h5ad", tmp_path / "two.h5ad"]
    for path in good:
        pbmc_cells()[:3].copy().write_h5ad(path)
    command = ["embed-file", str(checkpoint), *map(str, good), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, [*command, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["embedded"] == 2
    done = CliRunner().invoke(cli, [*command, str(files[1]), "--json"])
    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert (result["already_embedded"], result["failed"]) == (2, 1)
