"""Many requests at a time: nothing is lost, mixed, or larger than what gets logged."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anndata
import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.client import conversation, embed
from scgpt_databricks.model.client.questions import MOST_BYTES
from scgpt_databricks.model.errors import EndpointError, InvalidRequest, LimitExceeded
from scgpt_databricks.model.wire.codec import decode_cells
from tests.unit.model.served import Answer, Server, cells, embeddings, one_by_one, untouched


def sums(body: dict[str, Any]) -> list[float]:
    (packed,) = body["dataframe_split"]["data"][0]
    return [float(x) for x in np.ravel(decode_cells(packed).counts.sum(axis=1))]


def test_an_endpoint_of_four_is_used_by_four(server: Server) -> None:
    """Once four requests are there, they are answered."""
    active, most, changed = 0, 0, threading.Condition()

    def answer(body: dict[str, Any]) -> Answer:
        nonlocal active, most
        with changed:
            active += 1
            most = max(most, active)
            changed.notify_all()
            changed.wait_for(lambda: most == 4, 0.05)
            active -= 1
        return embeddings(body)

    server.answer = answer
    adata = cells(60)
    embed(adata, server.endpoint, chunk=3, concurrency=4)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][:, 0], np.arange(60) + 1)
    assert (len(server.requests), most) == (20, 4)


def test_the_same_rows_come_whatever_the_concurrency(server: Server) -> None:
    found = []
    for concurrency in (1, 3, 16):
        adata = cells(50)
        embed(adata, server.endpoint, chunk=2, concurrency=concurrency)
        found.append(adata.obsm["X_scGPT"])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_two_models_are_never_mixed_side_by_side(server: Server) -> None:
    """An endpoint without names of entities, whose model changes on the way."""
    server.answer = lambda body: embeddings(body, ("a" if sums(body)[0] < 20 else "b") * 64)
    adata = cells(40)
    with pytest.raises(EndpointError, match="in turn"):
        embed(adata, server.endpoint, chunk=2)
    assert untouched(adata)


def retry_after(seconds: int, kind: str) -> str:
    if kind == "seconds":
        return str(seconds)
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured(
    server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(conversation, "pause", lambda stopped, seconds: pauses.append(seconds))
    server.extra = {"Retry-After": retry_after(37, kind)}
    server.answer = one_by_one((429, {"message": "full"}), None)
    embed(cells(), server.endpoint)
    assert len(pauses) == 1
    assert 35 < pauses[0] <= 37


def test_an_endpoint_that_asks_for_more_patience_than_there_is(server: Server) -> None:
    server.extra = {"Retry-After": "3600"}
    server.answer = lambda body: (429, {"message": "come back in an hour"})
    with pytest.raises(EndpointError, match="come back in an hour"):
        embed(cells(), server.endpoint)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 400, 413])
def test_one_cell_that_fails_is_one_row_of_nan(server: Server, status: int) -> None:
    server.answer = lambda body: (
        (status, {"message": "[odd_cell] no"}) if 33.0 in sums(body) else embeddings(body)
    )
    adata = cells(60)
    with pytest.warns(UserWarning, match=r"1 of 60 cells failed .*rows are NaN"):
        embed(adata, server.endpoint, chunk=10)
    vectors, expected = adata.obsm["X_scGPT"][:, 0], np.arange(60) + 1.0
    assert np.isnan(adata.obsm["X_scGPT"][32]).all()
    np.testing.assert_array_equal(np.delete(vectors, 32), np.delete(expected, 32))
    status_of = adata.obs["scgpt_status"]
    assert status_of.iloc[32].startswith("failed: ")
    assert set(np.delete(status_of.to_numpy(), 32)) == {"ok"}


def test_the_first_request_may_hold_the_cell_that_fails(server: Server) -> None:
    server.answer = lambda body: (
        (500, {"message": "odd"}) if 3.0 in sums(body) else embeddings(body)
    )
    adata = cells(20)
    with pytest.warns(UserWarning, match="1 of 20 cells failed"):
        embed(adata, server.endpoint, chunk=10)
    assert list(np.flatnonzero(np.isnan(adata.obsm["X_scGPT"][:, 0]))) == [2]


def test_an_endpoint_that_always_fails_is_told_after_few_requests(server: Server) -> None:
    server.answer = lambda body: (500, {"message": "out of order"})
    adata = cells(60)
    with pytest.raises(EndpointError, match="500: out of order"):
        embed(adata, server.endpoint, chunk=30)
    assert len(server.requests) < 20
    assert untouched(adata)


def test_one_chunk_among_a_hundred_does_not_cost_the_others(server: Server) -> None:
    """All its cells fail; not each of them is asked for by itself."""
    bad = {float(i) for i in range(501, 601)}
    server.answer = lambda body: (
        (500, {"message": "odd"}) if bad & {*sums(body)} else embeddings(body)
    )
    adata = cells(1000)
    adata.X = sparse.csr_matrix(adata.X)
    with pytest.warns(UserWarning, match="100 of 1,000 cells failed"):
        embed(adata, server.endpoint, chunk=100)
    assert np.isnan(adata.obsm["X_scGPT"][:, 0]).sum() == 100
    assert len(server.requests) <= 10 + 2 * 64


def test_cells_that_lose_genes_are_told(server: Server) -> None:
    def truncated(body: dict[str, Any]) -> Answer:
        return embeddings(body, truncated=sum(x > 5 for x in sums(body)))

    server.answer = truncated
    with pytest.warns(UserWarning, match=r"2 of 7 cells \(28\.6%\) have more known genes"):
        embed(cells(7), server.endpoint, chunk=1)


def wide(n_cells: int, n_genes: int) -> anndata.AnnData:
    """Counts as of a deep data set, which hardly compress."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 60_000, (n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < 0.6)
    found = anndata.AnnData(sparse.csr_matrix(values.astype(np.float32)))
    found.var_names = [f"ENSG{i:011}" for i in range(n_genes)]
    return found


def test_requests_stay_below_what_gets_logged(server: Server) -> None:
    adata = wide(300, 4000)
    embed(adata, server.endpoint, chunk=300)
    sizes = [len(server.raw[i]) for i in range(len(server.requests))]
    assert max(sizes) < 1024 * 1024
    assert len(sizes) < 2 * sum(sizes) / (1024 * 1024)
    np.testing.assert_allclose(adata.obsm["X_scGPT"][:, 0], adata.X.sum(axis=1).A1, rtol=1e-6)


def test_a_larger_request_may_be_asked_for(server: Server) -> None:
    embed(wide(300, 4000), server.endpoint, chunk=300, request_bytes=8_000_000)
    assert len(server.requests) == 1


def test_a_cell_that_fits_no_request(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgpt_databricks.model.client.questions.MOST_BYTES", 5000)
    with pytest.raises(LimitExceeded, match=r"cell 0 alone is .* room for 5,000"):
        embed(wide(3, 4000), server.endpoint, request_bytes=1000)
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"request_bytes": 0}, "invalid_request_bytes"),
        ({"request_bytes": MOST_BYTES + 1}, "invalid_request_bytes"),
        ({"concurrency": 0}, "invalid_concurrency"),
        ({"concurrency": True}, "invalid_concurrency"),
        ({"concurrency": 2.5}, "invalid_concurrency"),
        ({"patience": -1}, "invalid_patience"),
        ({"patience": float("nan")}, "invalid_patience"),
        ({"patience": "1"}, "invalid_patience"),
        ({"layer": "X", "raw": True}, "two_matrices"),
    ],
)
def test_bounds_that_are_none(server: Server, options: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        embed(cells(), server.endpoint, **options)
    assert refusal.value.code == code
    assert server.requests == []


def test_numbers_of_numpy_are_numbers(server: Server) -> None:
    numbers: dict[str, Any] = {"concurrency": np.int64(2), "request_bytes": np.int32(10_000)}
    embed(cells(), server.endpoint, **numbers)
    assert server.requests
