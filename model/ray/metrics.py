"""Figures for Prometheus, through Ray's own metrics: each carries the version."""

from __future__ import annotations

from typing import Any

from ray.serve import metrics

_MS: list[float] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]
_TOKENS: list[float] = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536]


class Metrics:
    """The figures of a replica.

    Parameters
    ----------
    model
        Its full name; a tag of all figures.
    """

    def __init__(self, model: str) -> None:
        version: Any = ("model", "version")  # Ray's annotation allows one tag
        self._requests = metrics.Counter(
            "scgpt_ray_requests", "Requests answered.", (*version, "status")
        )
        self._latency = metrics.Histogram(
            "scgpt_ray_latency_ms", "Time to an answer.", _MS, (*version, "status")
        )
        self._rows = metrics.Counter("scgpt_ray_rows", "Rows of requests answered.", version)
        self._cells = metrics.Counter("scgpt_ray_cells", "Cells of requests answered.", version)
        self._tokens = metrics.Histogram(
            "scgpt_ray_batch_tokens", "Tokens of a batch.", _TOKENS, version
        )
        self._together = metrics.Histogram(
            "scgpt_ray_batch_requests", "Requests of a batch.", _TOKENS, version
        )
        self._loads = metrics.Counter("scgpt_ray_loads", "Loads.", (*version, "result"))
        self._load_ms = metrics.Histogram("scgpt_ray_load_ms", "Time of a load.", _MS, version)
        self._evictions = metrics.Counter("scgpt_ray_evictions", "Versions that left.", version)
        for each in vars(self).values():
            each.set_default_tags({"model": model})  # Serve adds its own tags to the object

    def request(self, version: str, status: int, seconds: float, rows: int, cells: int) -> None:
        """Count a request; its version is empty where there is none of that name."""
        tags = {"version": version, "status": str(status)}
        self._requests.inc(tags=dict(tags))
        self._latency.observe(1000 * seconds, tags=dict(tags))  # Serve adds to it
        if status == 200:
            for counter, count in ((self._rows, rows), (self._cells, cells)):
                if count:
                    counter.inc(count, tags={"version": version})

    def batch(self, version: int, tokens: int, requests: int) -> None:
        """Count a batch."""
        self._tokens.observe(tokens, tags={"version": str(version)})
        self._together.observe(requests, tags={"version": str(version)})

    def loaded(self, version: int, result: str, seconds: float) -> None:
        """Count a load."""
        self._loads.inc(tags={"version": str(version), "result": result})
        self._load_ms.observe(1000 * seconds, tags={"version": str(version)})

    def evicted(self, version: int) -> None:
        """Count a version that left."""
        self._evictions.inc(tags={"version": str(version)})
