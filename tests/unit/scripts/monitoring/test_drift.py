"""Looks at real Delta tables: windows, versions, budgets, and what is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest
from databricks.sdk.errors import PermissionDenied

from benchmarks.donors import donors
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.scripts.monitoring import baselines, drift
from tests.unit.scripts.monitoring.place import TABLE, Place

DIGEST = "d" * 64
FOLDER = "/Volumes/main/scgpt/artifacts/baselines"
START = datetime(2026, 6, 1, tzinfo=UTC)
GENES = [f"G{i}" for i in range(30)]
WEEK = timedelta(days=7)


def fill(place: Place, week: int, many: int, *, version: int = 3, digest: str = DIGEST,
         replayed: bool = False, null: bool = False, **shift: Any) -> None:  # fmt: skip
    """Put a week of data sets into the tables, each of two requests."""
    sample = donors(np.random.default_rng(1_000 * version + week), many, **shift)
    assert sample.embeddings is not None
    lost = int(shift.get("lost", 0) * len(GENES))
    requests, cells, detection = [], [], []
    for number in range(many):
        own = np.flatnonzero(sample.data_set == number)
        name = f"{'scgpt-replay' if replayed else f'w{week}-v{version}'}-{number}"
        for part, of in enumerate(np.array_split(own, 2)):
            whose = {
                "databricks_request_id": f"{name}-{part}-{digest[0]}",
                "request_time": START + week * WEEK + timedelta(minutes=number),
                "request_date": (START + week * WEEK).date(),
                "data_set": name,
                "version": version,
                "model_digest": None if null else digest,
            }
            requests.append(
                whose
                | {"served_entity": f"scgpt-{version}", "client_request_id": f"{name}-{part}"}
                | {"task": "cell_embeddings", "status_code": 200, "cells": len(of)}
                | {"whole_numbers": bool(sample.whole[number])}
            )
            detection.append(
                whose
                | {"cells": len(of), "genes": GENES[lost:]}
                | {"detected": [len(of) // 2] * (30 - lost)}
            )
            cells += [
                whose
                | {"library_size": float(np.expm1(sample.sizes[at])), "cell": int(at)}
                | {"matched_genes": 95, "unknown_genes": 5}
                | {"embedding": None if null else sample.embeddings[at].tolist()}
                for at in of
            ]
    place.put("requests", requests)
    place.put("cells", cells)
    place.put("detection", detection)


@pytest.fixture
def place(tmp_path: Any) -> Place:
    """Sixteen data sets in the first week, frozen."""
    found = Place(tmp_path).make()
    fill(found, 0, 16)
    freeze(found)
    return found


def freeze(place: Place, version: int | None = None) -> dict[str, Any]:
    window = drift.Window(START, START + WEEK)
    client: Any = place
    read = drift.Tables(client, TABLE).reader(window)
    number, baseline = drift.freeze_window(read, version, window)
    baselines.store_baseline(client, FOLDER, number, baseline)
    return baseline


def look(place: Place, week: int, *, days: float = 7, write: bool = True) -> dict[str, Any]:
    client: Any = place
    rows = drift.run(
        client,
        TABLE,
        baselines=FOLDER,
        days=days,
        false_alarms=0.05,
        end=START + (week + 1) * WEEK,
        write=write,
    )
    return {row["cause"]: row for row in rows}


def alarms(rows: dict[str, Any]) -> dict[str, str]:
    return {cause: row["finding"] for cause, row in rows.items() if row["alarm"]}


def test_weeks_of_one_distribution_are_told_from_each_shift(place: Place) -> None:
    shifts: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {}),
        ({"mixture": (0.1, 0.25, 0.15, 0.12, 0.38)}, {"composition": "mixture of cells"}),
        ({"lost": 0.4, "moved": 0.2}, {"input": "genes are lost"}),
        ({"whole": 0.0}, {"input": "counts are already normalised"}),
        ({"moved": 0.3}, {"embedding": "embeddings moved"}),
        ({"digest": "f" * 64}, {"model": "answers of another model"}),
    ]
    for week, (shift, expected) in enumerate(shifts, start=1):
        fill(place, week, 12, **shift)
        assert alarms(look(place, week)) == expected, shift
    rows = sorted(place.rows("drift"), key=lambda row: row["window_end"])
    assert len(rows) == 4 * len(shifts)
    first = next(row for row in rows if row["cause"] == "input")
    assert (first["version"], first["served_entity"]) == (3, "scgpt-3")
    assert (first["data_sets"], first["requests"], first["cells"]) == (12, 24, 1200)
    assert first["threshold"] == pytest.approx(0.05 * 7 / 365 / 3)
    assert first["baseline_digest"] == DIGEST
    last = {row["cause"]: row for row in rows[-4:]}
    assert last["model"]["effect"] == 1
    assert "data sets" in last["embedding"]["note"], "vectors of two models are never compared"


def test_looking_twice_as_often_takes_no_more_of_the_budget(place: Place) -> None:
    fill(place, 1, 12, moved=0.3)
    first = look(place, 1)
    assert first["embedding"]["alarm"]
    again = look(place, 1)
    assert again["embedding"]["threshold"] == 0
    assert not alarms(again)
    assert "look less often" in again["embedding"]["note"]


def test_a_look_that_is_not_written_takes_nothing(place: Place) -> None:
    fill(place, 1, 12)
    look(place, 1, write=False)
    assert not place.rows("drift")
    assert look(place, 1)["input"]["threshold"] > 0


def test_a_version_without_a_baseline_says_so(place: Place) -> None:
    fill(place, 1, 12, version=4)
    rows = look(place, 1)
    assert not alarms(rows)
    assert all("no baseline of version 4" in row["note"] for row in rows.values())
    assert all(row["p_value"] is None for row in rows.values())


def test_an_older_baseline_and_a_damaged_one_say_so(place: Place) -> None:
    fill(place, 1, 12)
    place.stored[f"{FOLDER}/3.json"] = json.dumps({"format": 1, "types": {}}).encode()
    assert "deciles only" in look(place, 1)["input"]["note"]
    place.stored[f"{FOLDER}/3.json"] = b'{"format": 2, "refer'
    assert "no JSON" in look(place, 1)["input"]["note"]


def test_a_baseline_whose_parts_do_not_fit_says_which_and_stops_no_job(place: Place) -> None:
    fill(place, 1, 12)
    file, client = f"{FOLDER}/3.json", cast(Any, place)
    good = json.loads(place.stored[file])
    kept = good["reference"]
    for damaged, said in (
        (7, "no object of JSON"),
        ([], "no object of JSON"),
        ({"sizes": kept["sizes"][1:]}, "sizes has the shape"),
        ({"sizes": None}, "sizes has the shape"),
        ({"data_sets": [*kept["data_sets"], "more"]}, "whole has the shape"),
        ({"data_sets": [], "whole": [], "lost": []}, "of no data set"),
        ({"lost": [0.0]}, "lost has the shape"),
        ({"rates": [[0.5]]}, "rates has the shape"),
        ({"centres": [line[1:] for line in kept["centres"]]}, "centres has the shape"),
        ({"spread": 0}, "not finite"),
        ({"gamma": float("nan")}, "not finite"),
        ({"genes": 5}, "not iterable"),
    ):
        found = {**good, "reference": kept | damaged} if isinstance(damaged, dict) else damaged
        place.stored[file] = json.dumps(found).encode()
        rows = look(place, 1, write=False)
        assert all(said in row["note"] and row["p_value"] is None for row in rows.values()), said
        assert not baselines.means_of(baselines.baselines_in(client, FOLDER), [3])
    place.stored[file] = b"[" * 100_000
    assert "no JSON" in look(place, 1)["input"]["note"]


def test_no_permission_on_the_volume_names_the_grant(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionDenied("ada does not have READ VOLUME on Volume 'main.scgpt.artifacts'.")

    monkeypatch.setattr(Place, "download", refuse)
    grant = r"GRANT READ VOLUME ON VOLUME main\.scgpt\.artifacts, with USE CATALOG"
    with pytest.raises(DeployError, match=grant):
        look(place, 0)


def test_too_few_requests_say_so_and_give_no_number(place: Place) -> None:
    fill(place, 1, 3)
    rows = look(place, 1)
    assert rows["model"]["effect"] == 0
    for cause in ("input", "composition", "embedding"):
        assert "the window has 3 data sets" in rows[cause]["note"]
        assert rows[cause]["p_value"] is None


def test_repeated_requests_of_a_canary_are_none_of_the_users(place: Place) -> None:
    fill(place, 1, 12, replayed=True, moved=0.3)
    assert look(place, 1) == {}


def test_answers_that_were_not_logged_leave_the_input(place: Place) -> None:
    fill(place, 1, 12, null=True, whole=0.0)
    rows = look(place, 1)
    assert alarms(rows) == {"input": "counts are already normalised"}
    assert rows["model"]["note"] == "no answer was logged"
    assert "float16" in rows["embedding"]["note"]


def test_rows_of_another_time_are_left_out(place: Place) -> None:
    fill(place, 1, 12)
    fill(place, 30, 12, moved=0.3)  # a clock that runs ahead
    assert not alarms(look(place, 1))
    assert look(place, 5) == {}


def test_freezing_wants_one_version_and_enough_of_it(place: Place) -> None:
    fill(place, 0, 3, version=5)
    with pytest.raises(InvalidRequest, match="versions 3, 5 answered"):
        freeze(place)
    with pytest.raises(InvalidRequest, match="there are 3 data sets"):
        freeze(place, 5)
    with pytest.raises(InvalidRequest, match="no request"):
        freeze(place, 9)
    assert freeze(place, 3)["model_digest"] == DIGEST


def test_two_versions_have_a_look_each(place: Place) -> None:
    fill(place, 1, 12)
    fill(place, 1, 12, version=4)
    client: Any = place
    rows = drift.run(
        client, TABLE, baselines=FOLDER, days=7, false_alarms=0.05, end=START + 2 * WEEK
    )
    assert [row["version"] for row in rows] == [3] * 4 + [4] * 4


def test_baselines_give_means_and_those_that_cannot_be_read_none(place: Place) -> None:
    client: Any = place
    place.stored[f"{FOLDER}/4.json"] = b"{}"
    found = baselines.means_of(baselines.baselines_in(client, FOLDER), [3, 4, 5])
    assert [*found] == [3]
    assert found[3].shape == (32,)
