"""Small parts: names of versions, the split of traffic, rows of a batch, the inference log."""

from __future__ import annotations

import asyncio
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable

from scgpt_databricks.local_workspace.serving.inference import FIELD_LIMIT, SCHEMA
from scgpt_databricks.model.judge.verdict import Arm
from scgpt_databricks.model.pyfunc import guide_frame
from scgpt_databricks.model.ray import Split, log
from scgpt_databricks.model.ray.handle import size_of
from scgpt_databricks.model.ray.problems import Fault, Refusal
from scgpt_databricks.model.ray.process import digest_of, joined, split, split_by_input_row
from scgpt_databricks.model.ray.rows import Question
from scgpt_databricks.model.ray.split import Pending, Tally, counted, falls_on_second
from scgpt_databricks.model.ray.versions import checked
from scgpt_databricks.model.wire.codec import encode_cells
from tests.unit.model.reference import GENES, make_counts


@pytest.mark.parametrize(
    ("name", "text"),
    [("3", "3"), ("champion", "champion"), ("@champion", "champion"), ("a-b", "a-b")],
)
def test_names_of_versions(name: str, text: str) -> None:
    assert checked(name) == text


@pytest.mark.parametrize(
    "name", ["../x", "0", "007", "v3", "latest", "@3", "a b", "1.0", "ä", "", "@", "3\n", "9" * 11]
)
def test_malformed_names_of_versions(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        checked(name)
    assert (caught.value.status, caught.value.code) == (400, "malformed_version")


def test_a_refusal_survives_its_way_between_processes() -> None:
    sent = Refusal(
        422, "code", "sentence", faults=[Fault(path="/a", message="b")], headers={"A": "b"}
    )
    got = pickle.loads(pickle.dumps(sent))
    assert got.body("id") == sent.body("id")
    assert (got.status, got.headers) == (422, {"A": "b"})


def test_the_split_keeps_its_weight_and_is_sticky() -> None:
    drawn = Split(version="2", weight=0.25, sticky_header="x-user")
    users = [f"user-{i}" for i in range(4000)]
    first = [falls_on_second(drawn, user) for user in users]
    assert first == [falls_on_second(drawn, user) for user in users]
    assert 0.22 < np.mean(first) < 0.28
    assert 0.22 < np.mean([falls_on_second(drawn, None) for _ in range(4000)]) < 0.28


def test_the_split_is_judged_as_a_canary_is() -> None:
    tally = Tally(Split(version="2", weight=0.5).model_dump())
    pending = Pending()
    for _ in range(100):
        pending.add(second=True, arm=counted(500, "model_failed"))
        pending.add(second=False, arm=counted(200, ""))
    counts = pending.take()
    assert counts is not None
    assert tally.add(*counts)["decision"] == "roll back"  # type: ignore[arg-type]
    assert pending.take() is None


def test_a_version_that_does_not_load_is_at_fault_and_the_registry_is_not() -> None:
    assert counted(503, "load_failed") == Arm(requests=1, errors=1)
    assert counted(503, "registry_unavailable") == Arm(infrastructure=1)
    assert counted(422, "refused_by_model") == Arm(requests=1)


def test_answers_go_back_to_their_requests() -> None:
    assert split([1, 2, 3], [1, 2]) == [[1], [2, 3]]
    with pytest.raises(ValueError, match="2 rows of output"):
        split([1, 2], [3])
    rows = [{"input_row": 2, "id": "c"}, {"input_row": 0, "id": "a"}, {"input_row": 2, "id": "d"}]
    assert split_by_input_row(rows, [1, 2]) == [
        [{"input_row": 0, "id": "a"}],
        [{"input_row": 1, "id": "c"}, {"input_row": 1, "id": "d"}],
    ]
    frames = [pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2, 3]})]
    assert joined(frames)["a"].tolist() == [1, 2, 3]
    assert joined([np.ones((1, 2)), np.ones((2, 2))]).shape == (3, 2)
    assert joined([{"x": np.ones(1)}, {"x": np.ones(2)}])["x"].shape == (3,)


def test_tokens_are_what_the_network_sees() -> None:
    counts = make_counts(4, 10, seed=5)
    wanted = (int((counts != 0).sum()) + 4, 4)
    packed = pd.DataFrame({"packed": [encode_cells(_csr(counts), GENES[:10])]})
    for data, rows, found in (
        (packed, 1, wanted),
        (guide_frame(_csr(counts), GENES[:10]), 1, wanted),
        (pd.DataFrame({"packed": ["x", "y"]}), 2, (2, 0)),
        (pd.DataFrame({"prompt": ["x"]}), 1, (1, 0)),
        (np.zeros((3, 2)), 3, (3, 0)),
    ):
        assert asyncio.run(size_of(Question(data, rows, {}))) == found


def _csr(counts: np.ndarray) -> object:
    from scipy import sparse

    return sparse.csr_matrix(counts)


def test_the_digest_is_that_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = digest_of(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest_of(tmp_path) != before


def test_the_log_has_the_gateways_columns(tmp_path: Path) -> None:
    assert log.SCHEMA.equals(SCHEMA)
    assert log.FIELD_LIMIT == FIELD_LIMIT

    async def write() -> None:
        table = log.InferenceLog(str(tmp_path / "log"))
        for response in (b"[1]", b"x" * (FIELD_LIMIT + 1)):
            table.add(log.Entry("r", "c", log.now(), 200, 5, b"{}", response, "m-1", "bearer"))
        await table.close()

    asyncio.run(write())
    rows = DeltaTable(tmp_path / "log").to_pyarrow_table().to_pylist()
    assert [row["response"] for row in rows] == ["[1]", None]
    assert [row["logging_error_codes"] for row in rows] == [[], ["MAX_RESPONSE_SIZE_EXCEEDED"]]
    assert json.loads(rows[0]["request"]) == {}
