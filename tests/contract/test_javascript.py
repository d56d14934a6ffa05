"""The JavaScript client: the shared vectors, what it writes, and a real scoring server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.genes_in_context import embed_genes_in_context
from scgpt_databricks.model.wire.codec import decode_cells, encode_cells
from tests.contract.conftest import Server
from tests.contract.test_vectors import FOLDER, check_cells
from tests.unit.model.reference import GENES, make_counts

CLIENT = Path(__file__).parents[2] / "examples" / "javascript" / "scgpt.mjs"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js 20 or later")


def node(script: str, given: Any) -> Any:
    """Return a script's output, read as JSON; it knows ``client`` and the input, ``given``."""
    program = f"""
        import * as client from {json.dumps(CLIENT.as_uri())};
        import {{ readFileSync }} from "node:fs";
        const given = JSON.parse(readFileSync(0, "utf8"));
        console.log(JSON.stringify(await (async () => {{ {script} }})()));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", program],
        input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def vectors(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return cases


def test_cells_are_read_as_written() -> None:
    read = node(
        """return given.map((c) => client.decodeCells(c.packed)).map(
               ({ genes, ids, cells }) => ({ genes, ids, stored: cells.map((c) => [...c]) }));""",
        vectors("cells"),
    )
    assert read == [
        {name: case[name] for name in ("genes", "ids", "stored")} for case in vectors("cells")
    ]


def test_python_reads_the_cells_that_javascript_writes() -> None:
    written = node(
        """return given.map(({ genes, ids, stored }) => client.encodeCells(
               { genes, ids, cells: stored.map((pairs) => new Map(pairs.reverse())) }));""",
        vectors("cells"),
    )
    assert len(written) == len(vectors("cells"))
    for text, case in zip(written, vectors("cells"), strict=True):
        check_cells(decode_cells(text), case)


def test_answers_are_read_as_written() -> None:
    read = node(
        """return given.map((c) => client.decodeEmbeddings(c.packed)).map((a) => ({
               ...a, embeddings: a.names.map((_, i) => a.row(i)) }));""",
        vectors("answers"),
    )
    for answer, case in zip(read, vectors("answers"), strict=True):
        for name in ("names", "embeddings", "matched", "unknown", "truncated", "digest"):
            assert answer[name] == case[name]
        assert answer["notFound"] == case["not_found"]


def test_genes_in_context_are_read_as_written() -> None:
    read = node(
        """return given.map((c) => client.decodeGenesInContext(c.packed));""",
        vectors("genes_in_context"),
    )
    for answer, case in zip(read, vectors("genes_in_context"), strict=True):
        for name in ("symbols", "grouped", "digest"):
            assert answer[name] == case[name]
        assert answer["notFound"] == case["not_found"]
        for row, wanted in zip(answer["rows"], case["rows"], strict=True):
            for name in ("name", "cells", "matched", "unknown", "truncated"):
                assert row[name] == wanted[name]
            assert [[v["gene"], v["count"], v["sum"]] for v in row["vectors"]] == [
                [case["symbols"][gene], count, total] for gene, count, total in wanted["vectors"]
            ]


def test_what_is_refused_of_genes_in_context() -> None:
    names = node(
        """return given.map(({ packed }) => {
               try { client.decodeGenesInContext(packed); return "accepted"; }
               catch (error) { return error.constructor.name; } });""",
        vectors("refused_genes_in_context"),
    )
    assert names == ["PackingError"] * len(vectors("refused_genes_in_context"))


def test_a_server_answers_it_about_genes_in_context(server: Server, embedder: Embedder) -> None:
    counts = sparse.csr_matrix(make_counts(4, 12, seed=6))
    answer = node(
        """const [answer] = await client.embed({ url: given.url }, given.packed,
               { task: "contextual_gene_embeddings" });
           return answer;""",
        {"url": server.url + "/invocations", "packed": encode_cells(counts, GENES[:12])},
    )
    expected = embed_genes_in_context(embedder, Cells(counts, GENES[:12]))
    assert [row["name"] for row in answer["rows"]] == expected.names
    for i, row in enumerate(answer["rows"]):
        symbols, span = expected.row(i)
        assert [v["gene"] for v in row["vectors"]] == symbols
        np.testing.assert_allclose([v["sum"] for v in row["vectors"]], expected.sums[span],
                                   atol=1e-5)  # fmt: skip


def test_what_is_refused() -> None:
    names = node(
        """return given.map(({ packed }) => {
               try { client.decodeCells(packed); return "accepted"; }
               catch (error) { return error.constructor.name; } });""",
        vectors("refused"),
    )
    assert dict(zip((c["name"] for c in vectors("refused")), names, strict=True)) == {
        case["name"]: "PackingError" for case in vectors("refused")
    }


@pytest.mark.parametrize(
    "cell", [[[0, -1]], [[0, "NaN"]], [[0, 1e39]], [[3, 1]], [[-1, 1]], [[0.5, 1]]]
)
def test_impossible_cells_are_not_written(cell: list[list[Any]]) -> None:
    assert node(
        """const cells = [new Map(given.map(([c, v]) => [c, Number(v)]))];
           try { return client.encodeCells({ genes: ["A", "B", "C"], cells }); }
           catch (error) { return error.constructor.name; }""",
        cell,
    ) == "PackingError"  # fmt: skip


def test_a_server_answers_it_as_the_engine_does(server: Server, embedder: Embedder) -> None:
    counts = make_counts(7, 40, seed=5)
    genes = GENES[:40]
    answers = node(
        """const cells = given.counts.map((row) => new Map(row.entries()));
           const packed = client.encodeCells({ genes: given.genes, cells });
           return (await client.embed({ url: given.url }, [packed, packed], { ties: "spread" }))
               .map((a) => ({ ...a, embeddings: a.names.map((_, i) => a.row(i)) }));""",
        {"url": server.url + "/invocations", "counts": counts.tolist(), "genes": genes},
    )
    expected = embedder.embed_cells(sparse.csr_matrix(counts), genes, ties="spread")
    assert len(answers) == 2
    for answer in answers:
        np.testing.assert_allclose(answer["embeddings"], expected.embeddings, atol=1e-6)
        assert answer["matched"] == expected.matched.tolist()
        assert answer["digest"] == embedder.digest


def test_an_answer_that_is_not_packed_is_not_asked_for() -> None:
    said = node(
        """const nowhere = { url: "http://127.0.0.1:9" };
           try { await client.embed(nowhere, "", { response_format: "json" }); }
           catch (error) { return [error.constructor.name, error.message]; }""",
        None,
    )
    assert said[0] == "PackingError"
    assert "float32 or float16" in said[1]


def test_a_refusal_keeps_its_code(server: Server) -> None:
    refusal = node(
        """const packed = client.encodeCells({ genes: ["not a gene"], cells: [new Map([[0, 1]])] });
           try { await client.embed({ url: given }, packed); }
           catch ({ status, code, message }) { return { status, code, message }; }""",
        server.url + "/invocations",
    )
    assert (refusal["status"], refusal["code"]) == (400, "no_known_gene")
    assert "vocab.json" in refusal["message"]


@pytest.fixture
def host(server: Server) -> Iterator[str]:
    """A host whose ``/serving-endpoints/e/invocations`` is MLflow's server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/serving-endpoints/e/invocations"
            assert self.headers["Authorization"] == "Bearer a-token"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = server.post("/invocations", data=body)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def command(host: str, cells: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "a-token"}
    return subprocess.run(
        ["node", str(CLIENT.with_name("embed.mjs")), "e", str(cells)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_answers_every_cell_of_a_file(
    host: str, embedder: Embedder, tmp_path: Path
) -> None:
    """Also a last chunk whose cells have unknown genes alone."""
    counts = np.zeros((300, 11), np.float32)
    counts[:256, :10] = make_counts(256, 10, seed=2) + np.eye(256, 10)
    counts[256:, 10] = 1
    genes = [*GENES[:10], "nowhere"]
    lines = [",".join(["cell", *genes])]
    lines += [",".join([f"c{i}", *map(str, row.tolist())]) for i, row in enumerate(counts)]
    (tmp_path / "cells.csv").write_text("\n".join(lines))
    done = command(host, tmp_path / "cells.csv")
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    wanted = embedder.embed_cells(sparse.csr_matrix(counts), genes)
    assert [row[0] for row in rows] == [f"c{i}" for i in range(300)]
    assert [int(row[1]) for row in rows] == wanted.matched.tolist()
    got = np.array([row[2:] for row in rows], dtype=np.float64)
    np.testing.assert_allclose(got, wanted.embeddings, atol=1e-6)


def test_the_command_says_why_it_was_refused(host: str, tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("cell,Cd3d\na,1\n")
    done = command(host, tmp_path / "cells.csv")
    assert done.returncode == 1
    assert done.stderr.startswith("no_known_gene: ")
