"""The client against a real HTTP server that answers as the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anndata
import numpy as np
import pytest

from model import endpoint
from model.client import Endpoint, embed
from model.codec import PackedEmbeddings, decode_cells, encode_embeddings
from model.contract import PACKED
from model.errors import EndpointError, InvalidRequest

GENES = [f"GENE{i}" for i in range(8)]
DIGEST = "a" * 64
CUT_OFF = 299  # stands for 200 and half of the answer

Answer = tuple[int, dict[str, Any] | list[str] | str]
"""Status, and JSON or a text that is none."""


class Server:
    """Answers `/serving-endpoints/e/invocations`; keeps what it was sent."""

    def __init__(self, port: int) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], Answer] = embeddings
        self.endpoint = Endpoint(
            "e", f"http://127.0.0.1:{port}/", lambda: {"Authorization": "Bearer secret"}
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pauses: list[float] = []
    monkeypatch.setattr(endpoint.time, "sleep", pauses.append)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.requests.append({"path": self.path, **body})
            found.headers.append(dict(self.headers))
            status, answer = found.answer(body)
            payload = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            whole = len(payload)
            if status == CUT_OFF:
                status, payload = 200, payload[: whole // 2]
            self.send_response(status)
            self.send_header("served-model-name", f"model-{len(found.requests) % 2}")
            self.send_header("Content-Length", str(whole))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found = Server(http.server_port)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        http.shutdown()
        thread.join()


def embeddings(body: dict[str, Any], digest: str = DIGEST) -> Answer:
    """Each cell's vector begins with the sum of its values, so that order can be seen."""
    cells = decode_cells(body["dataframe_split"]["data"][0][0])
    sums = np.asarray(cells.counts.sum(axis=1)).ravel()
    vectors = np.stack([sums, np.ones_like(sums)], axis=1).astype(np.float32)
    packed = encode_embeddings(
        PackedEmbeddings(
            names=list(cells.ids or []),
            embeddings=vectors,
            matched=np.full(len(sums), len(cells.genes)),
            unknown=np.full(len(sums), 2),
            truncated=np.zeros(len(sums), np.int64),
            not_found=[],
            digest=digest,
        ),
        "float32",
    )
    return 200, {"predictions": [{PACKED: packed, "model_digest": digest}]}


def one_by_one(*answers: Answer | None) -> Callable[[dict[str, Any]], Answer]:
    """These answers in turn, then (and for None) the right one."""
    waiting = list(answers)

    def answer(body: dict[str, Any]) -> Answer:
        return (waiting.pop(0) if waiting else None) or embeddings(body)

    return answer


def cells(n: int = 7) -> anndata.AnnData:
    """Cell `i` has one gene with the value `i + 1`."""
    values = np.zeros((n, len(GENES)), np.float32)
    values[np.arange(n), np.arange(n) % len(GENES)] = np.arange(n) + 1
    found = anndata.AnnData(values)
    found.var_names, found.obs_names = GENES, [f"cell{i}" for i in range(n)]
    return found


def untouched(adata: anndata.AnnData) -> bool:
    return not adata.obsm and not adata.uns and adata.obs.shape[1] == 0


def test_chunks_are_put_together_in_order(server: Server) -> None:
    adata, seen = cells(7), []
    report = embed(
        adata,
        server.endpoint,
        chunk=3,
        request_prefix="job",
        progress=lambda done, total: seen.append((done, total)),
    )
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][:, 0], np.arange(7) + 1)
    assert adata.obsm["X_scGPT"].dtype == np.float32
    assert [r["client_request_id"] for r in server.requests] == ["job-0", "job-3", "job-6"]
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert (report.requests, report.digest) == (3, DIGEST)
    assert report.served == ("model-0", "model-1")
    assert adata.uns["scgpt"]["model_digest"] == DIGEST
    # Only the genes that a chunk expresses travel.
    assert list(adata.obs["scgpt_matched_genes"]) == [3, 3, 3, 3, 3, 3, 1]
    assert list(adata.obs["scgpt_unknown_genes"]) == [2] * 7
    assert list(adata.obs["scgpt_truncated_genes"]) == [0] * 7


def test_each_request_is_authenticated_and_packed(server: Server) -> None:
    embed(cells(), server.endpoint, params={"seed": 3})
    (request,) = server.requests
    assert request["path"] == "/serving-endpoints/e/invocations"
    judged = {"response_format": "float32", "allow_imputed": True}
    assert request["params"] == {**judged, "seed": 3}
    assert request["dataframe_split"]["columns"] == [PACKED]
    assert server.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_endpoint_is_asked_again(server: Server, status: int) -> None:
    server.answer = one_by_one((status, {}), (status, {}))
    adata = cells()
    report = embed(adata, server.endpoint)
    assert len(server.requests) == 3
    assert report.requests == 1
    assert len({json.dumps(request, sort_keys=True) for request in server.requests}) == 1
    assert adata.obsm["X_scGPT"].shape == (7, 2)


def test_an_endpoint_that_stays_busy_is_given_up(server: Server) -> None:
    server.answer = lambda body: (503, {"message": "no capacity"})
    adata = cells()
    with pytest.raises(EndpointError, match="e answered 503: no capacity") as caught:
        embed(adata, server.endpoint)
    assert caught.value.http_status == 503
    assert len(server.requests) == endpoint.ATTEMPTS
    assert untouched(adata)


def test_two_models_are_never_mixed(server: Server) -> None:
    digests = iter(["a" * 64, "b" * 64, "a" * 64])
    server.answer = lambda body: embeddings(body, next(digests))
    adata = cells()
    with pytest.raises(EndpointError, match="aaaaaaaaaaaa and bbbbbbbbbbbb"):
        embed(adata, server.endpoint, chunk=3)
    assert len(server.requests) == 2
    assert untouched(adata)


def test_nothing_is_written_when_a_later_chunk_fails(server: Server) -> None:
    server.answer = one_by_one(None, None, (500, {"message": "out of order"}))
    adata = cells()
    with pytest.raises(EndpointError, match="500: out of order"):
        embed(adata, server.endpoint, chunk=3)
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
    "page", ["<html>Sign in</html>", "{}", [], {"predictions": [[1.0]]}, {"predictions": [{}]}]
)
def test_an_answer_of_something_else_is_refused(server: Server, page: Any) -> None:
    """Of a proxy that wants a login, or of an endpoint of another model."""
    server.answer = lambda body: (200, page)
    adata = cells()
    with pytest.raises(EndpointError) as caught:
        embed(adata, server.endpoint)
    assert caught.value.code == "foreign_answer"
    assert untouched(adata)


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
        raise endpoint.requests.ConnectionError

    monkeypatch.setattr(endpoint.requests.Session, "post", refuse)
    with pytest.raises(EndpointError, match="cannot be reached") as refusal:
        embed(cells(), Endpoint("e", host, dict))
    assert advice in str(refusal.value)


def test_values_of_a_layer_and_of_raw_are_sent(server: Server) -> None:
    adata = cells(7)
    adata.layers["doubled"] = adata.X * 2
    adata.raw = adata.copy()
    adata.X = adata.X - 1
    embed(adata, server.endpoint, layer="doubled", key="doubled", chunk=3)
    embed(adata, server.endpoint, raw=True, key="raw", chunk=3)
    np.testing.assert_array_equal(adata.obsm["doubled"][:, 0], (np.arange(7) + 1) * 2)
    np.testing.assert_array_equal(adata.obsm["raw"][:, 0], np.arange(7) + 1)
    assert list(adata.obs["scgpt_matched_genes"]) == [3, 3, 3, 3, 3, 3, 1]
    with pytest.raises(InvalidRequest, match="has no layer 'other'; its layers: doubled"):
        embed(adata, server.endpoint, layer="other")


def test_an_answer_that_does_not_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(endpoint, "TIMEOUT_S", 0.2)
    server.answer = lambda body: (gone.wait(10), embeddings(body))[1]
    adata = cells()
    with pytest.raises(EndpointError, match=r"no answer within 0\.2 s"):
        embed(adata, server.endpoint)
    gone.set()
    assert len(server.requests) == 1, "an answer that takes too long would take too long again"
    assert untouched(adata)


def with_value(value: float) -> anndata.AnnData:
    adata = cells()
    adata.X[5, 2] = value
    return adata


@pytest.mark.parametrize(
    ("adata", "words"),
    [
        (cells(0), "no cell"),
        (with_value(np.nan), "NaN"),
        (with_value(np.inf), "infinity"),
        (with_value(-1.0), "go down to -1"),
    ],
)
def test_bad_cells_are_refused(server: Server, adata: anndata.AnnData, words: str) -> None:
    with pytest.raises(InvalidRequest, match=f"(?i){words}"):
        embed(adata, server.endpoint)
    assert server.requests == []
    assert untouched(adata)


def test_a_chunk_of_nothing_is_refused(server: Server) -> None:
    with pytest.raises(InvalidRequest, match="chunk is 0"):
        embed(cells(), server.endpoint, chunk=0)
    assert server.requests == []


def test_whether_genes_are_known_is_asked_of_the_first_chunk_with_counts(server: Server) -> None:
    """A last chunk of empty drops, or of cells with few known genes, must not undo the rest."""
    adata = cells(8)
    adata.X[:2] = 0
    embed(adata, server.endpoint, chunk=2, params={"min_known_fraction": 0.7})
    asked = [request["params"]["min_known_fraction"] for request in server.requests]
    assert asked == [0.7, 0.7, 0.0, 0.0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"response_format": "json"}, "response_format is 'json'.*float32 or float16"),
        ({"task": "gene_embeddings"}, "task is 'gene_embeddings'.*only cell_embeddings"),
        ({"input_data_path": "/Volumes/a/b/c/d.h5ad"}, "input_data_path"),
        ({"filter_cell_by_counts": True}, "filter_cell_by_counts is True.*beforehand"),
        ({"min_counts_per_cell": 5}, "min_counts_per_cell is 5.*beforehand"),
        ({"filter_gene_by_counts": 3}, "filter_gene_by_counts is 3.*genes of its own"),
        ({"subset_hvg": 200}, "subset_hvg is 200.*genes of its own"),
        ({"group_by": "type"}, "group_by"),
        ({"ties": "none"}, "ties is 'none'"),
    ],
)
def test_params_that_embed_cannot_use_are_refused_before_anything_is_sent(
    server: Server, params: dict[str, Any], words: str
) -> None:
    adata = cells()
    with pytest.raises(InvalidRequest, match=words) as caught:
        embed(adata, server.endpoint, params=params)
    assert caught.value.code == "invalid_param"
    assert server.requests == []
    assert untouched(adata)


def test_params_that_change_nothing_of_this_are_sent(server: Server) -> None:
    params = {"task": "cell_embeddings", "response_format": "float16", "seed": 1}
    embed(cells(), server.endpoint, params=params)
    no_filters = {"need_preprocess": False}
    embed(cells(), server.endpoint, params={"response_format": None, **no_filters})
    judged = {"allow_imputed": True}
    assert server.requests[0]["params"] == {**params, **judged}
    assert server.requests[1]["params"] == {"response_format": "float32", **judged, **no_filters}
