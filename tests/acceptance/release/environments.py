"""dev, staging and prod on one local workspace, and somebody who sends requests all the time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from scgpt_databricks.model import registry
from scgpt_databricks.model.client import Endpoint, embed
from tests.acceptance.site import Site

MODEL = "scgpt_gene_embeddings"
NAMES = ("dev", "staging", "prod")

_TOML = """
catalog = "{name}"
deletion_protection = false
[workspace]
local = true
[endpoint]
name = "scgpt-{name}"
workload_type = "CPU"
timeout_minutes = 10
[monitoring]
enabled = false
[promotion]
{promotion}
[state]
backend = "local"
"""


def three(folder: Path, **promotion: str) -> Site:
    """A running workspace with the registry of all three; `promotion` adds lines to a file."""
    site = Site(folder)
    sources = {"dev": "", "staging": 'source = "dev"', "prod": 'source = "staging"'}
    try:
        site.start_workspace()
        for name, source in sources.items():
            lines = f"{source}\n{promotion.get(name, '')}"
            (site.folder / f"{name}.toml").write_text(_TOML.format(name=name, promotion=lines))
        for name in sources:
            site.succeed("deploy", name)
    except BaseException:
        site.stop_workspace()
        raise
    return site


def validated(site: Site, model: str, version: int) -> None:
    """Say of a version what its build in a clean environment would have said."""
    tag = {"key": registry.VALIDATED, "value": "true"}
    path = "/api/2.0/mlflow/unity-catalog/model-versions/set-tag"
    site.api("POST", path, name=model, version=str(version), **tag)


def traffic(site: Site, endpoint: str) -> dict[str, int]:
    """Return name of each served entity -> percent of the requests."""
    config = site.api("GET", f"/api/2.0/serving-endpoints/{endpoint}")["config"]
    routes = config["traffic_config"]["routes"]
    return {
        route.get("served_entity_name") or route["served_model_name"]: route["traffic_percentage"]
        for route in routes
    }


@dataclass(frozen=True)
class Result:
    """A data set as a user got it back."""

    chunks: int
    digest: str
    served: tuple[str, ...]
    embeddings: NDArray[np.float32]


@dataclass
class Users:
    """Somebody who embeds one data set after the other, one request for each cell.

    Parameters
    ----------
    chunks
        Requests of the data sets, in turn.
    pause_s
        From an answer to the next data set.
    """

    endpoint: Endpoint
    cells: AnnData
    chunks: Sequence[int]
    pause_s: float = 0.0
    results: list[Result] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Users:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._over.wait(self.pause_s):
            chunks = self.chunks[len(self.results) % len(self.chunks)]
            cells = self.cells[:chunks].copy()
            try:
                report = embed(cells, self.endpoint, chunk=1)
            except Exception as error:  # noqa: BLE001 - whatever it is, a user saw it
                self.errors.append(str(error))
                continue
            found = np.asarray(cells.obsm["X_scGPT"])
            self.errors += sorted({*cells.obs["scgpt_status"]} - {"ok"})
            self.results.append(Result(chunks, report.model_digest, report.served, found))

    def mixed(self, expected: Mapping[str, NDArray[np.float32]]) -> list[Result]:
        """Return the results that are not all of one model.

        Parameters
        ----------
        expected
            Digest -> the embeddings of the cells by that model.
        """
        return [
            each
            for each in self.results
            if len(each.served) != 1
            or not np.allclose(each.embeddings, expected[each.digest][: each.chunks], atol=1e-3)
        ]


def users(site: Site, endpoint: str, cells: AnnData, chunks: Sequence[int]) -> Users:
    """Somebody who sends to an endpoint of a site."""
    token = site.token()
    headers = {"Authorization": f"Bearer {token}"}
    return Users(Endpoint(endpoint, site.url, lambda: headers), cells, chunks, pause_s=0.5)
