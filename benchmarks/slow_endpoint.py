"""An endpoint on loopback that answers so many requests at a time, each after a fixed time.

``python -m benchmarks.slow_endpoint AT_A_TIME SECONDS`` prints its port. Every answer holds made-up
numbers, 512 for each cell that was asked for: what is measured is the way to it.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Semaphore

import numpy as np

from scgpt_databricks.model.wire.codec import PackedEmbeddings, decode_cells, encode_embeddings

DIGEST = "a" * 64


def answer_to(body: bytes) -> bytes:
    """Return the body of an answer about the cells of a request."""
    cells = decode_cells(json.loads(body)["dataframe_split"]["data"][0][0])
    n_cells = cells.counts.shape[0]
    ones = np.ones(n_cells, np.int64)
    vectors = np.random.default_rng(0).normal(size=(n_cells, 512)).astype(np.float32)
    names = cells.ids or [str(i) for i in range(n_cells)]
    packed = encode_embeddings(
        PackedEmbeddings(names, vectors, ones, 0 * ones, 0 * ones, [], DIGEST), "float32"
    )
    return json.dumps({"predictions": [{"packed": packed, "model_digest": DIGEST}]}).encode()


def main() -> None:
    at_a_time, seconds = int(sys.argv[1]), float(sys.argv[2])
    free = Semaphore(at_a_time)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, as a real endpoint's do
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            with free:
                ready = time.monotonic() + seconds
                body = answer_to(asked)
                time.sleep(max(0, ready - time.monotonic()))
            self.send_response(200)
            self.send_header("served-model-name", "model-1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
