"""Payloads in real Delta tables, unpacked once, whatever happens in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from databricks.sdk.errors import PermissionDenied
from deltalake import DeltaTable, write_deltalake
from scipy import sparse

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.local_workspace.serving.inference import SCHEMA
from scgpt_databricks.model.wire.codec import PackedEmbeddings, encode_cells, encode_embeddings
from scgpt_databricks.scripts.monitoring import delta, spark, unpack
from tests.unit.scripts.monitoring.place import ENTITIES, TABLE, Place

pa: Any = pyarrow

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
GENES = [f"G{i}" for i in range(30)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path).make()


def logged(number: int, **other: Any) -> dict[str, Any]:
    """Return a row about three cells."""
    rng = np.random.default_rng(number)
    counts = sparse.csr_matrix(rng.poisson(1.0, (3, len(GENES))).astype(np.float32))
    packed = encode_cells(counts, GENES, [f"c{i}" for i in range(3)])
    vectors = rng.normal(size=(3, 8)).astype(np.float32)
    few, none = np.full(3, 5), np.zeros(3, np.int64)
    answer = PackedEmbeddings([f"c{i}" for i in range(3)], vectors, few, none, none, [], "d" * 64)
    line = {"packed": encode_embeddings(answer, "float32"), "input_row": 0}
    body = {
        "dataframe_split": {"columns": ["packed"], "data": [[packed]]},
        "params": {"response_format": "float32"},
    }
    time = NOON + timedelta(minutes=number)
    return {
        "databricks_request_id": f"r{number}",
        "request_date": time.date(),
        "client_request_id": f"donor-{number // 2}-{number}",
        "request_time": time,
        "status_code": 200,
        "sampling_fraction": 1.0,
        "execution_duration_ms": 5,
        "request": json.dumps(body),
        "response": json.dumps({"predictions": [{**line, "model_digest": "d" * 64}]}),
        "logging_error_codes": [],
        "served_entity_id": "e" * 32,
        "requester": "ada@example.com",
        **other,
    }


def test_rows_of_requests_and_cells(place: Place) -> None:
    place.log([logged(1), logged(2, status_code=400, response='{"message": "[no_cells] none"}')])
    done = place.unpack()
    assert (done.requests, done.cells, done.set_aside) == (2, 3, 0)
    good, refused = sorted(place.rows("requests"), key=lambda row: row["databricks_request_id"])
    assert good["version"] == 3
    assert good["served_entity"] == "scgpt-3"
    assert good["data_set"] == "donor-0"
    assert (good["cells"], good["matched_genes"], good["tokens"], good["coverage"]) == (
        3,
        15,
        18,
        1,
    )
    assert good["reason"] is None
    assert good["request_bytes"] > 100
    assert (refused["reason"], refused["cells"]) == ("no_cells", None)
    cells = place.rows("cells")
    assert [row["cell_id"] for row in cells] == ["c0", "c1", "c2"]
    assert all(row["requester"] == "ada@example.com" for row in cells)
    assert all(len(row["embedding"]) == 8 and row["library_size"] > 0 for row in cells)
    (genes,) = place.rows("detection")
    assert len(genes["genes"]) == len(genes["detected"]) > 20


def test_rows_that_a_server_on_ray_logged(place: Place) -> None:
    problem = json.dumps({"code": "no_cells", "detail": "none", "status": 422})
    by_name = {"served_entity_id": "scgpt-embeddings-7"}
    refused = logged(2, status_code=422, response=problem, **by_name)
    place.log([logged(1, **by_name), refused, logged(3, served_entity_id=f"{'1' * 8}-{'2' * 12}")])
    assert place.unpack().requests == 3
    found = sorted(place.rows("requests"), key=lambda row: row["databricks_request_id"])
    assert [row["version"] for row in found] == [7, 7, None]  # the last one has an id of no version
    assert [row["reason"] for row in found] == [None, "no_cells", None]
    assert found[0]["served_entity"] == "scgpt-embeddings-7"


def test_the_distance_to_the_baseline_is_known_where_there_is_one(place: Place) -> None:
    place.log([logged(1)])
    client: Any = place
    means = {3: np.full(8, 0.5, np.float32)}
    unpack.unpack(client, TABLE, entities=ENTITIES, means=means)
    (row,) = place.rows("requests")
    vectors = np.array([cell["embedding"] for cell in place.rows("cells")])
    assert row["reference_distance"] == pytest.approx(
        np.linalg.norm(vectors - 0.5, axis=1).mean(), rel=1e-5
    )


def test_a_second_run_takes_only_what_is_new(place: Place) -> None:
    place.log([logged(1), logged(2)])
    assert place.unpack().requests == 2
    assert place.unpack().read == 0
    place.log([logged(3)])
    done = place.unpack()
    assert (done.requests, done.read) == (1, 1)
    assert place.counted() == (3, 9)


def test_duplicates_count_once_in_one_delivery_and_in_later_ones(place: Place) -> None:
    place.log([logged(1), logged(1), logged(2)])
    assert place.unpack().duplicates == 1
    place.log([logged(2), logged(3)])
    assert place.unpack().requests == 1
    assert place.counted() == (3, 9)


def test_files_that_were_rewritten_bring_nothing_twice(place: Place) -> None:
    for number in range(4):
        place.log([logged(number)])
    place.unpack()
    table = DeltaTable(str(place.folder / TABLE))
    table.delete("databricks_request_id = 'r0'")
    table.optimize.compact()
    place.log([logged(4)])
    assert place.unpack().requests == 1
    assert place.counted() == (5, 15)


def test_payloads_that_were_not_logged_are_counted_and_not_guessed(place: Place) -> None:
    codes = ["MAX_RESPONSE_SIZE_EXCEEDED"]
    place.log([logged(1, response=None, logging_error_codes=codes), logged(2, request=None)])
    place.log([logged(3, request=None, response=None)])
    done = place.unpack()
    assert (done.requests, done.not_logged, done.cells) == (3, 3, 6)
    rows = {row["databricks_request_id"]: row for row in place.rows("requests")}
    assert [rows[f"r{i}"]["cells"] for i in (1, 2, 3)] == [3, 3, None]
    assert rows["r1"]["matched_genes"] is None
    assert rows["r1"]["response_bytes"] is None
    assert rows["r2"]["library_size_median"] is None
    assert [row["embedding"] for row in place.rows("cells")].count(None) == 3


def test_what_is_malformed_is_set_aside_and_the_rest_goes_on(place: Place) -> None:
    place.log([logged(1, request='{"half'), logged(2), logged(3, response='{"choices": []}')])
    place.log([logged(4, databricks_request_id=None), logged(5, request_time=None)])
    done = place.unpack()
    assert (done.requests, done.cells, done.set_aside) == (3, 3, 4)
    found = {row["databricks_request_id"]: row for row in place.rows("set_aside")}
    assert {key: row["part"] for key, row in found.items()} == {
        "r1": "request",
        "r3": "response",
        None: "row",
        "r5": "row",
    }
    assert found["r1"]["reason"].startswith("it is no JSON")
    assert place.unpack().read == 0


def test_an_unknown_served_entity_has_no_version(place: Place) -> None:
    place.log([logged(1, served_entity_id="f" * 32)])
    place.unpack()
    (row,) = place.rows("requests")
    assert row["version"] is None
    assert row["served_entity_id"] == "f" * 32


def test_a_clock_that_is_wrong_loses_nothing(place: Place) -> None:
    place.log([logged(1, request_time=NOON + timedelta(days=400))])
    place.unpack()
    place.log([logged(2, request_time=NOON - timedelta(days=4000)), logged(3)])
    place.unpack()
    assert place.counted() == (3, 9)


def test_a_legacy_table_and_columns_that_nobody_knows(place: Place) -> None:
    row = logged(1)
    old = {
        "databricks_request_id": ["r1"],
        "date": [row["request_date"]],
        "timestamp_ms": [int(NOON.timestamp() * 1000)],
        "status_code": pa.array([200], pa.int32()),
        "execution_time_ms": [7],
        "request": [row["request"]],
        "response": [row["response"]],
        "request_metadata": pa.array(
            [[("model_version", "2"), ("endpoint_name", "scgpt")]],
            pa.map_(pa.string(), pa.string()),
        ),
        "something_new": ["?"],
    }
    write_deltalake(str(place.folder / "main.scgpt.old_payload"), pa.table(old))
    place.log([logged(2)])
    assert place.unpack("main.scgpt.old_payload").requests == 1
    assert place.unpack().requests == 1
    rows = {row["databricks_request_id"]: row for row in place.rows("requests")}
    assert (rows["r1"]["version"], rows["r1"]["execution_duration_ms"]) == (2, 7)
    assert rows["r1"]["request_time"] == NOON


def test_a_table_that_is_no_inference_table_is_refused(place: Place) -> None:
    write_deltalake(str(place.folder / "main.scgpt.other"), pa.table({"request": ["x"]}))
    with pytest.raises(DeployError, match="no column databricks_request_id, status_code, response"):
        place.unpack("main.scgpt.other")


def test_an_empty_table_is_no_error_and_a_missing_one_says_what_makes_it(place: Place) -> None:
    assert place.unpack().requests == 0
    with pytest.raises(DeployError, match="appears with the first request"):
        place.unpack("main.scgpt.gone")
    with pytest.raises(DeployError, match="scgpt monitor init"):
        Place(place.folder / "elsewhere").unpack()


def test_no_permission_names_the_grant(place: Place) -> None:
    place.refused = PermissionDenied("ada does not have SELECT on Table 'main.scgpt.x_cells'.")
    with pytest.raises(DeployError, match=r"GRANT SELECT ON TABLE main\.scgpt\.x_"):
        place.unpack()


def test_two_runs_at_a_time_write_nothing_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.log([logged(1), logged(2)])
    real, others = delta.append, []

    def slow(table: DeltaTable, rows: Any, transactions: Any) -> None:
        if not others:
            others.append(True)
            place.unpack()  # the other run is faster
        real(table, rows, transactions)

    monkeypatch.setattr(delta, "append", slow)
    with pytest.raises(DeployError, match="another run"):
        place.unpack()
    assert place.counted() == (2, 6)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from scgpt_databricks.scripts.monitoring import delta, unpack
    from tests.unit.scripts.monitoring.place import Place

    unpack._REQUESTS_A_COMMIT = 4
    left, real = int(sys.argv[2]), delta.append

    def append(table, rows, transactions):
        global left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        real(table, rows, transactions)

    delta.append = append
    Place(Path(sys.argv[1])).unpack()
"""


@pytest.mark.long
def test_a_killed_run_is_finished_by_the_next_one(place: Place) -> None:
    place.log([logged(number) for number in range(20)])
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(place.folder), "3"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert place.rows("cells"), "something was written before"
    place.unpack()
    assert place.counted() == (20, 60)


@pytest.mark.parametrize("commits", range(6))
def test_a_run_that_ends_between_two_commits_is_finished_by_the_next_one(
    place: Place, commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a run is left but what is in the tables."""
    monkeypatch.setattr(unpack, "_REQUESTS_A_COMMIT", 4)
    for start in (0, 20):
        place.log([logged(number) for number in range(start, start + 20)])
    real, left = delta.append, iter(range(commits))

    def append(table: DeltaTable, rows: Any, transactions: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(table, rows, transactions)

    with monkeypatch.context() as context:
        context.setattr(delta, "append", append)
        with pytest.raises(KeyboardInterrupt):
            place.unpack()
    place.unpack()
    assert place.counted() == (40, 120)


def test_payloads_are_read_a_few_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.log([logged(number) for number in range(40)])
    sizes: list[int] = []
    real: Callable[..., Any] = unpack.Rows.unpack

    def seen(self: Any, batch: Any) -> Any:
        sizes.append(batch.num_rows)
        return real(self, batch)

    monkeypatch.setattr(unpack.Rows, "unpack", seen)
    place.unpack()
    assert sum(sizes) == 40
    assert max(sizes) <= 16


def test_on_spark_the_same_rows_are_made(place: Place) -> None:
    rows = [logged(1), logged(2, databricks_request_id=None), logged(3, request="{")]
    batch = pa.Table.from_pylist(rows, SCHEMA).to_batches()[0]
    made = {kind: list(spark.rows_of(kind, ENTITIES, {})(iter([batch]))) for kind in unpack.KINDS}
    place.log(rows)
    place.unpack()
    for kind, parts in made.items():
        found = [row for part in parts for row in part.to_pylist()]
        expected = place.rows(kind)
        for row in [*found, *expected]:
            row.pop("unpacked_at", None)
        by = str
        assert sorted(found, key=by) == sorted(expected, key=by)
