"""What the client makes of busy, broken, foreign and refusing endpoints."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest

from scgpt_databricks.model.client import Endpoint, conversation, embed, gene_table
from scgpt_databricks.model.client.batch_inference import batch_inference
from scgpt_databricks.model.contract import PACKED
from scgpt_databricks.model.errors import EndpointError, InvalidRequest
from scgpt_databricks.model.wire.codec import PackedEmbeddings, encode_embeddings
from tests.unit.model.served import (
    CUT_OFF,
    DIGEST,
    Answer,
    Server,
    cells,
    embeddings,
    one_by_one,
    untouched,
)

NONE = np.zeros(0, np.int64)
LINE = {"model_digest": DIGEST}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_endpoint_is_asked_again(server: Server, status: int) -> None:
    server.answer = one_by_one((status, {}), (status, {}))
    adata = cells()
    report = embed(adata, server.endpoint)
    assert len(server.requests) == 3
    assert report.requests == 1
    assert len({json.dumps(request, sort_keys=True) for request in server.requests}) == 1
    assert adata.obsm["X_scGPT"].shape == (7, 2)


def test_an_endpoint_that_stays_busy_is_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(conversation, "pause", lambda stopped, seconds: pauses.append(seconds))
    server.answer = lambda body: (503, {"message": "no capacity"})
    adata = cells()
    with pytest.raises(EndpointError, match="e answered 503: no capacity") as caught:
        embed(adata, server.endpoint, patience=60)
    assert caught.value.http_status == 503
    assert 50 < sum(pauses) <= 60
    assert len(server.requests) == len(pauses) + 1
    assert untouched(adata)


def test_two_models_are_never_mixed(server: Server) -> None:
    digests = iter(["a" * 64, "b" * 64, "a" * 64])
    server.answer = lambda body: embeddings(body, next(digests))
    adata = cells()
    with pytest.raises(EndpointError, match="aaaaaaaaaaaa and bbbbbbbbbbbb"):
        embed(adata, server.endpoint, chunk=3, concurrency=1)
    assert len(server.requests) == 2
    assert untouched(adata)


def test_a_data_set_stays_on_the_served_entity_that_answered_first(server: Server) -> None:
    """Each request to the endpoint's own address would be dealt to another one."""
    one, other = cells(), cells()
    assert embed(one, server.endpoint, chunk=3).served == ("model-1",)
    assert embed(other, server.endpoint, chunk=3).served == ("model-2",)
    split = ["/serving-endpoints/e/invocations"]
    assert [request["path"] for request in server.requests] == [
        path
        for name in ("model-1", "model-2")
        for path in (*split, *[f"/serving-endpoints/e/served-models/{name}/invocations"] * 2)
    ]


def test_a_data_set_begins_again_when_its_served_entity_is_taken_away(server: Server) -> None:
    gone = (404, {"message": "Endpoint 'e' has no served entity 'model-1'."})
    answers = iter(["a", "a", gone, "b", "b", "b"])

    def answer(body: dict[str, Any]) -> Any:
        now = next(answers)
        return embeddings(body, now * 64) if isinstance(now, str) else now

    server.answer = answer
    adata, seen = cells(), []
    told = {"progress": lambda *done: seen.append(done)}
    report = embed(adata, server.endpoint, chunk=3, concurrency=1, **told)
    assert (report.model_digest, report.served) == ("b" * 64, ("model-2",))
    assert report.requests == 3
    assert seen == [(3, 7), (6, 7), (3, 7), (6, 7), (7, 7)]
    assert list(adata.obsm["X_scGPT"][:, 0]) == [1, 2, 3, 4, 5, 6, 7]


def test_a_data_set_does_not_begin_again_for_ever(server: Server) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        followed = "served-models" in server.requests[-1]["path"]
        return (404, {}) if followed else embeddings(body)

    server.answer = answer
    adata = cells()
    with pytest.raises(EndpointError, match=r"model-[12] is no longer served by e") as caught:
        embed(adata, server.endpoint, chunk=3, concurrency=1)
    assert caught.value.code == "version_gone"
    assert len(server.requests) == 2 * conversation.BEGINNINGS
    assert untouched(adata)


@pytest.mark.parametrize("status", [401, 403])
def test_nothing_is_written_when_access_is_lost_on_the_way(server: Server, status: int) -> None:
    server.answer = one_by_one(None, None, (status, {"message": "no longer"}))
    adata = cells()
    with pytest.raises(EndpointError, match=f"{status}: no longer"):
        embed(adata, server.endpoint, chunk=3, concurrency=1)
    assert len(server.requests) == 3
    assert untouched(adata)


def test_the_models_refusal_keeps_its_code(server: Server) -> None:
    message = "Failed to predict. Error '[no_known_gene] none of the 8 genes is known.'"
    server.answer = one_by_one((400, {"error_code": "BAD_REQUEST", "message": message}))
    with pytest.raises(InvalidRequest, match="none of the 8 genes is known") as caught:
        embed(cells(), server.endpoint)
    assert caught.value.code == "no_known_gene"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "profile or DATABRICKS_TOKEN"), (403, "needs CAN_QUERY"), (404, "deployed and ready")],
)
def test_a_refusal_says_what_to_do_and_is_not_repeated(
    server: Server, status: int, advice: str
) -> None:
    server.answer = one_by_one((status, {"message": "no"}))
    adata = cells()
    with pytest.raises(EndpointError, match=advice) as caught:
        embed(adata, server.endpoint)
    assert caught.value.http_status == status
    assert "secret" not in str(caught.value)
    assert len(server.requests) == 1
    assert untouched(adata)


@pytest.mark.parametrize("page", ["<html>too large</html>", ["too large"]])
def test_a_foreign_answer_is_quoted(server: Server, page: str | list[str]) -> None:
    """A proxy's page, for example."""
    server.answer = lambda body: (413, page)
    with pytest.raises(EndpointError, match=r"413: .*too large"):
        embed(cells(), server.endpoint)


def test_an_answer_that_is_cut_off_is_asked_for_again(server: Server) -> None:
    server.answer = one_by_one((CUT_OFF, {"predictions": []}), None)
    adata = cells()
    embed(adata, server.endpoint)
    assert len(server.requests) == 2
    assert not untouched(adata)


@pytest.mark.parametrize(
    "page",
    [
        "<html>Sign in</html>",
        "{}",
        [],
        {"predictions": [[1.0]]},
        {"predictions": [{}]},
        {"predictions": []},
        {"predictions": {}},
        {"predictions": [LINE]},
        {"predictions": [LINE | {PACKED: 5}]},
        {"predictions": [LINE | {PACKED: "AAAA"}]},
        {"predictions": [{"model_digest": None, PACKED: "AAAA"}]},
    ],
)
def test_an_answer_of_something_else_is_refused(server: Server, page: Any) -> None:
    """Of a proxy that wants a login, or of an endpoint of another model."""
    server.answer = lambda body: (200, page)
    adata = cells()
    with pytest.raises(EndpointError) as caught:
        embed(adata, server.endpoint)
    assert caught.value.code == "foreign_answer"
    assert untouched(adata)


def test_an_answer_of_several_lines_is_refused(server: Server) -> None:
    def twice(body: dict[str, Any]) -> Answer:
        status, answer = embeddings(body)
        return status, {"predictions": [answer["predictions"][0]] * 2}  # type: ignore[call-overload,index]

    server.answer = twice
    with pytest.raises(EndpointError, match="2 lines, not one"):
        embed(cells(), server.endpoint)


def test_an_answer_for_other_cells_is_refused(server: Server) -> None:
    """Of a gateway that keeps answers, say: the rows would belong to other cells."""
    first: list[Answer] = []

    def repeated(body: dict[str, Any]) -> Answer:
        first.append(embeddings(body))
        return first[0]

    server.answer, adata = repeated, cells(6)
    with pytest.raises(EndpointError, match=r"for 3 cells \(3 to 5\) and answered for 3 cells"):
        embed(adata, server.endpoint, chunk=3)
    assert untouched(adata)


@pytest.mark.parametrize("total", [None, 9])
def test_a_gene_table_ends_where_no_gene_comes(server: Server, total: int | None) -> None:
    """Pages without genes would be asked for until the end of time."""
    none = PackedEmbeddings([], np.zeros((0, 2), np.float32), *[NONE] * 3, [], DIGEST)
    line = LINE | {PACKED: encode_embeddings(none, "float32"), "genes_total": total}
    server.answer = lambda body: (200, {"predictions": [line]})
    with pytest.raises(EndpointError, match=r"0 of (None|9) genes"):
        gene_table(server.endpoint)


@pytest.mark.parametrize("row", [None, 7, [0]])
def test_an_answer_for_another_row_is_refused(server: Server, row: Any) -> None:
    server.answer = lambda body: (200, {"predictions": [LINE | {"input_row": row}]})
    with pytest.raises(EndpointError, match="other rows than the 1 that"):
        batch_inference(server.endpoint, [cells()])


def test_nobody_listens(server: Server) -> None:
    adata = cells()
    nowhere = Endpoint("e", "http://127.0.0.1:9", dict)
    with pytest.raises(EndpointError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        embed(adata, nowhere)
    assert untouched(adata)


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("http://127.0.0.1:9", "scgpt workspace status"),
        ("http://localhost:9/", "scgpt workspace status"),
        ("http://[::1]:9", "scgpt workspace status"),
        ("https://nowhere.invalid", "Check the host, the network, and the proxy"),
    ],
)
def test_the_advice_is_for_the_kind_of_host(
    host: str, advice: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise conversation.requests.ConnectionError

    monkeypatch.setattr(conversation.requests.Session, "post", refuse)
    with pytest.raises(EndpointError, match="cannot be reached") as refusal:
        embed(cells(), Endpoint("e", host, dict))
    assert advice in str(refusal.value)


def test_an_answer_that_does_not_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(conversation, "TIMEOUT_S", 0.2)
    server.answer = lambda body: (gone.wait(10), embeddings(body))[1]
    adata = cells()
    with pytest.raises(EndpointError, match=r"no answer within 0\.2 s"):
        embed(adata, server.endpoint)
    gone.set()
    assert len(server.requests) == 1, "an answer that takes too long would take too long again"
    assert untouched(adata)
