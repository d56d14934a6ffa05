"""An endpoint on loopback that answers so many requests at a time, each after a fixed time.

``python -m benchmarks.slow_endpoint AT_A_TIME SECONDS CELLS`` prints its port. Every answer holds
the same 512 numbers for each of so many cells: what is measured is the way to it.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Semaphore

import numpy as np

from scgpt_databricks.model.wire.codec import PackedEmbeddings, encode_embeddings

DIGEST = "a" * 64


def answer_for(n_cells: int) -> bytes:
    """Return the body of an answer."""
    ones = np.ones(n_cells, np.int64)
    vectors = np.random.default_rng(0).normal(size=(n_cells, 512)).astype(np.float32)
    names = [str(i) for i in range(n_cells)]
    packed = encode_embeddings(
        PackedEmbeddings(names, vectors, ones, 0 * ones, 0 * ones, [], DIGEST), "float32"
    )
    return json.dumps({"predictions": [{"packed": packed, "model_digest": DIGEST}]}).encode()


def main() -> None:
    at_a_time, seconds, n_cells = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    body, free = answer_for(n_cells), Semaphore(at_a_time)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, as a real endpoint's do
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with free:
                time.sleep(seconds)
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
