"""Ask logged models the same requests in turn; save their embeddings and the time they take.

Run as a script, in a process of its own. Arguments: the requests (``.json``: lists of bodies,
``first`` to warm up and ``then`` to measure), the file for the embeddings (``.npz``), the models'
folders. It prints a JSON list with an object for each model: ``error``, empty if all requests were
answered, and ``seconds_per_token``. Times are those of the processor, on which other programs have
little effect, and the models take turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server


@dataclass
class Answers:
    """A logged model and what it answered."""

    model: Any
    error: str = ""
    rows: list[list[float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def ask(self, body: dict[str, Any], *, keep: bool) -> None:
        """Ask once; after an error no more."""
        if self.error:
            return
        sent = {key: value for key, value in body.items() if key != "params"}
        began = time.process_time()
        try:
            frame = scoring_server.infer_and_parse_data(sent)
            found = self.model.predict(frame, params=body.get("params"))
        except MlflowException as error:
            self.error = str(error)
            return
        took = time.process_time() - began
        if keep:
            tokens = 1 + found["matched_genes"] - found["truncated_genes"]
            self.rows += found["embedding"].tolist()
            self.seconds.append(took / float(tokens.sum()))


def main(requests: str, out: str, *folders: str) -> None:
    """Ask every model every request."""
    bodies = json.loads(Path(requests).read_text())
    answers = [Answers(mlflow.pyfunc.load_model(folder)) for folder in folders]
    for part in ("first", "then"):
        for body in bodies[part]:
            for each in answers:
                each.ask(body, keep=part == "then")
    np.savez(out, *[np.array(each.rows, np.float32) for each in answers])
    told = [
        {
            "error": each.error,
            "seconds_per_token": statistics.median(each.seconds) if each.seconds else None,
        }
        for each in answers
    ]
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
