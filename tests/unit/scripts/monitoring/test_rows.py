"""Rows of tables that are not quite inference tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow
import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.monitoring.rows import Rows, usable

pa: Any = pyarrow

MICROS = pa.timestamp("us", tz="UTC")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


def batch(**columns: Any) -> Any:
    """Return one row, whose payloads were not logged."""
    row = {
        "databricks_request_id": pa.array(["r"]),
        "request_time": pa.array([NOON], MICROS),
        "status_code": pa.array([200], pa.int32()),
        "request": pa.array([None], pa.string()),
        "response": pa.array([None], pa.string()),
    }
    return pa.RecordBatch.from_pydict({**row, **columns})


@pytest.mark.parametrize(
    "times",
    [
        pa.array([SECONDS * 1_000]),
        pa.array([SECONDS * 10**9 + 1], pa.timestamp("ns", tz="UTC")),
        pa.array([SECONDS * 10**6], pa.timestamp("us")),
        pa.array(["2026-01-01T12:00:00Z"]),
    ],
    ids=["milliseconds", "nanoseconds", "no zone", "text"],
)
def test_a_moment_is_read_however_it_is_written(times: Any) -> None:
    fine, broken = usable(batch(request_time=times))
    assert fine["request_time"].to_pylist() == [NOON]
    assert not broken.num_rows


@pytest.mark.parametrize(
    "times",
    [
        pa.array([SECONDS * 10**6]),  # where milliseconds are expected
        pa.array([SECONDS * 10**9]),
        pa.array([2**63 - 1]),
        pa.array([2**63 - 1], MICROS),
        pa.array([-(2**62)], MICROS),
        pa.array([None], MICROS),
    ],
)
def test_a_moment_of_no_year_is_set_aside(times: Any) -> None:
    fine, broken = usable(batch(request_time=times))
    assert not fine.num_rows
    assert broken["reason"].to_pylist() == ["it has no request_time in the years 1 to 9999"]
    assert broken["databricks_request_id"].to_pylist() == ["r"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("request_time", pa.array([1.5])),
        ("request_time", pa.array(["yesterday"])),
        ("status_code", pa.array(["OK"])),
        ("status_code", pa.array([2**40])),
        ("request", pa.array([{"packed": "x"}])),
        ("execution_duration_ms", pa.array([float("nan")])),
        ("request_metadata", pa.array(["model_version=3"])),
    ],
)
def test_a_column_of_another_type_is_named(column: str, values: Any) -> None:
    with pytest.raises(DeployError, match=f"no inference table: column {column} is "):
        usable(batch(**{column: values}))


def test_numbers_may_be_names_and_text_numbers() -> None:
    odd = {"databricks_request_id": pa.array([7]), "status_code": pa.array(["400"])}
    fine, _ = usable(batch(**odd, requester=pa.array([8]), client_request_id=pa.array([9])))
    (row,) = Rows({}).unpack(fine)["requests"].to_pylist()
    assert [row[name] for name in ("databricks_request_id", "status_code", "requester")] == [
        *("7", 400, "8"),
    ]


def test_a_version_that_no_table_holds_is_not_known() -> None:
    legacy = pa.array([[("model_version", "9" * 12)]], pa.map_(pa.string(), pa.string()))
    named = pa.array([f"scgpt-{9 * 10**9}"])
    fine, _ = usable(batch(request_metadata=legacy, served_entity_id=named))
    (row,) = Rows({}).unpack(fine)["requests"].to_pylist()
    assert row["version"] is None
