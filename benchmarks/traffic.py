"""Real requests to the endpoint of a local workspace, whose clock they move.

Cells are the 700 PBMC cells that scanpy ships. A data set has a mixture of its own around the usual
one, as donors have. ``python -m benchmarks.traffic local --out report.svg`` sends two days of them,
good, slow, refused and failing, to an environment that has been deployed, and draws the report.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import anndata
import numpy as np
import requests
from scipy import sparse

from scgpt_databricks.model.client import Endpoint, embed
from scgpt_databricks.model.scgpt.demo import pbmc_cells

SCGPT = Path(sys.executable).parent / "scgpt"
MYELOID = ("CD14+ Monocyte", "Dendritic")
CELLS = 40
_ALIKE = 60.0  # the larger, the more alike are the mixtures of two data sets
_TOO_DEEP = b'{"dataframe_records": ' + b"[" * 100_000


@dataclass
class Sent:
    """The caller's own count."""

    requests: int = 0
    cells: int = 0
    refused: int = 0
    failed: int = 0


class Traffic:
    """A caller of one endpoint.

    Parameters
    ----------
    url, token
        Of a local workspace, as admin.
    folder
        Of the workspace: its scoring processes are known by it.
    """

    def __init__(self, url: str, token: str, endpoint: str, folder: Path, *, seed: int = 5) -> None:
        self._url, self._name, self._folder = url, endpoint, folder
        self._headers = {"Authorization": f"Bearer {token}"}
        self._endpoint = Endpoint(endpoint, url, lambda: self._headers)
        self._rng = np.random.default_rng(seed)
        self._cells = counted(pbmc_cells())
        self._myeloid = self._cells.obs["bulk_labels"].isin(MYELOID).to_numpy()
        self._data_sets = 0
        self.sent, self.since = Sent(), timedelta()

    def at(self, since: timedelta) -> None:
        """Put the workspace's clock to so much from now, and begin a new count."""
        offset = int(since.total_seconds() * 1000)
        self._call("PUT", "/_local/clock", json={"offset_ms": offset}).raise_for_status()
        self.sent, self.since = Sent(), since

    @property
    def now(self) -> datetime:
        """The workspace's time."""
        return datetime.now(UTC) + self.since

    def good(
        self,
        data_sets: int = 1,
        *,
        cells: int = CELLS,
        myeloid: float = 0.0,
        lost: float = 0.0,
        normalised: bool = False,
    ) -> None:
        """Embed data sets.

        Parameters
        ----------
        myeloid
            Share of the other cells that myeloid ones take the place of.
        lost
            Share of the genes that are not sent.
        normalised
            Send normalised values, not counts.
        """
        for _ in range(data_sets):
            self._data_sets += 1
            adata = self._drawn(cells, myeloid)
            adata = adata[:, : adata.n_vars - int(lost * adata.n_vars)].copy()
            if normalised:
                sizes = np.asarray(adata.X.sum(axis=1)).ravel()
                adata.X = sparse.csr_matrix(sparse.diags_array(1e4 / sizes) @ adata.X).log1p()
            name = f"donor{self._data_sets:04d}"
            embed(adata, self._endpoint, request_prefix=name, response_format="float16")
            self.sent.requests += 1
            self.sent.cells += cells

    def _drawn(self, cells: int, myeloid: float) -> anndata.AnnData:
        usual = self._myeloid.mean() * (1 - myeloid) + myeloid
        share = self._rng.beta(_ALIKE * usual, _ALIKE * (1 - usual))
        odds = np.where(
            self._myeloid,
            share / self._myeloid.sum(),
            (1 - share) / (~self._myeloid).sum(),
        )
        return self._cells[self._rng.choice(len(odds), cells, replace=False, p=odds)]

    def slow(self, seconds: float, *, cells: int = CELLS) -> None:
        """Embed a data set while the scoring process stands still for a while."""
        with stopped(self._folder, seconds):
            self.good(cells=cells)

    def refused(self) -> None:
        """Send what is no request of scGPT's."""
        rows = {"dataframe_records": [{"packed": "no cells"}]}
        self._expect(self._call("POST", self._path, json=rows), 400)
        self.sent.refused += 1

    def failing(self) -> None:
        """Send what the scoring server itself cannot stand: JSON that is nested too deep."""
        kind = {"Content-Type": "application/json"}
        self._expect(self._call("POST", self._path, data=_TOO_DEEP, headers=kind), 500)
        self.sent.failed += 1

    def _expect(self, answer: requests.Response, status: int) -> None:
        if answer.status_code != status:
            raise RuntimeError(f"status {answer.status_code}, not {status}: {answer.text[:300]}")
        self.sent.requests += 1

    @property
    def _path(self) -> str:
        return f"/serving-endpoints/{self._name}/invocations"

    def _call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {**self._headers, **more.pop("headers", {})}
        return requests.request(method, self._url + path, headers=headers, timeout=120, **more)


def counted(cells: anndata.AnnData) -> anndata.AnnData:
    """Return cells with counts: they come normalised, with 1 as the smallest count of a cell."""
    counts = sparse.csr_matrix(cells.X).expm1()
    for row in range(counts.shape[0]):
        values = counts.data[counts.indptr[row] : counts.indptr[row + 1]]
        values[:] = np.rint(values / values.min())
    found = cells.copy()
    found.X = counts
    return found


@contextmanager
def stopped(folder: Path, seconds: float) -> Iterator[None]:
    """Stop the scoring processes of a workspace; they go on after some seconds."""
    groups = {os.getpgid(pid) for pid in _scoring(folder)}
    if not groups:
        raise RuntimeError(f"no process scores for {folder}")

    def resume() -> None:
        for group in groups:
            os.killpg(group, signal.SIGCONT)

    timer = Timer(seconds, resume)
    for group in groups:
        os.killpg(group, signal.SIGSTOP)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        resume()


def _scoring(folder: Path) -> list[int]:
    """Return the processes that serve a model of a workspace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--model-uri" in words and any(word.startswith(str(folder)) for word in words):
            found.append(int(path.parent.name))
    return found


def two_days(traffic: Traffic) -> None:
    """Send more by day than by night; an hour is slow, some requests are refused, some fail."""
    rng = np.random.default_rng(7)
    for hour in range(-47, 1):
        traffic.at(timedelta(hours=hour))
        by_day = np.sin(np.pi * max((hour % 24) - 6, 0) / 18)
        for _ in range(1 + rng.poisson(5 * by_day)):
            traffic.good(cells=int(rng.integers(20, 80)))
        if hour % 7 == 0:
            traffic.refused()
        if hour in (-20, -19):
            traffic.failing()
        if hour == -30:
            traffic.slow(3.0)
    traffic.at(timedelta())


def main() -> None:
    from scgpt_databricks.infra.layout import runtime_folder
    from scgpt_databricks.infra.settings import load
    from scgpt_databricks.scripts.connection import workspace_client

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", help="one on a local workspace, deployed")
    parser.add_argument("--out", type=Path, required=True, help="picture of the report, .svg")
    given = parser.parse_args()
    settings = load(given.environment)
    config = workspace_client(settings).config
    folder = runtime_folder(settings.folder) / "workspace"
    name = settings.names.endpoint
    two_days(Traffic(str(config.host), str(config.token), name, folder))
    for words in (
        ("monitor", "init", given.environment),
        ("monitor", "unpack", given.environment),
        ("report", given.environment, "--since", "48h", "--out", str(given.out)),
    ):
        subprocess.run([SCGPT, *words], check=True)


if __name__ == "__main__":
    main()
