"""A checkpoint on this machine that answers the requests of the client, as an endpoint does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..client.conversation import Report
from ..contract import PACKED
from ..scgpt.embedder import Embedder
from ..scgpt.engine import ScgptEngine
from ..serve.answer import answer

HERE = "this process"


class InProcess:
    """The engine behind the wire contract; one request at a time, for it uses all cores.

    Parameters
    ----------
    checkpoint
        As ``Embedder.load`` takes it.
    device, precision
        As there.
    """

    def __init__(
        self, checkpoint: str | Path, device: str | None = None, precision: str | None = None
    ) -> None:
        self._engine = ScgptEngine(Embedder.load(checkpoint, device=device, precision=precision))
        self._requests = 0

    def ask(self, body: Mapping[str, Any], work: int = 0) -> list[dict[str, Any]]:
        """Return the lines of an answer (errors as an endpoint's refusals)."""
        frame = pd.DataFrame({PACKED: [row for (row,) in body["dataframe_split"]["data"]]})
        lines = answer(self._engine, frame, body["params"])
        self._requests += 1
        found: Any = lines.to_dict("records")
        return list(found)

    def stop(self) -> None:
        """Do nothing: no request waits."""

    def report(self) -> Report:
        """Return the facts, after the last answer."""
        return Report(self._requests, self._engine.embedder.digest, (HERE,))
