"""Counters of serving endpoints in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_BUCKETS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 297_000)


@dataclass
class _Entity:
    statuses: Counter[int] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    total_ms: float = 0.0


class Metrics:
    """Requests and latencies by endpoint and served entity, since the instance started."""

    def __init__(self) -> None:
        self._entities: dict[tuple[str, str], _Entity] = {}

    def observe(self, endpoint: str, entity: str, status: int, duration_ms: float) -> None:
        """Count one answered request; `duration_ms` in milliseconds."""
        found = self._entities.setdefault((endpoint, entity), _Entity())
        found.statuses[status] += 1
        found.total_ms += duration_ms
        found.buckets.update(limit for limit in _BUCKETS_MS if duration_ms <= limit)

    def text(self, endpoint: str) -> str:
        """Return the exposition of one endpoint."""
        mine = {entity: e for (name, entity), e in self._entities.items() if name == endpoint}
        lines = []
        for metric, first in (
            ("request_count_total", 0),
            ("request_4xx_count_total", 4),
            ("request_5xx_count_total", 5),
        ):
            lines.append(f"# TYPE {metric} counter")
            for name, entity in mine.items():
                count = sum(n for s, n in entity.statuses.items() if first in (0, s // 100))
                lines.append(f"{metric}{{{_labels(endpoint, name)}}} {count}")
        lines.append("# TYPE request_latency_ms histogram")
        for name, entity in mine.items():
            lines += _histogram(_labels(endpoint, name), entity)
        return "\n".join(lines) + "\n"


def _labels(endpoint: str, entity: str) -> str:
    return f'endpoint_name="{endpoint}",served_entity_name="{entity}"'


def _histogram(labels: str, entity: _Entity) -> list[str]:
    count = entity.statuses.total()
    name = "request_latency_ms"
    return [
        *(f'{name}_bucket{{{labels},le="{b}"}} {entity.buckets[b]}' for b in _BUCKETS_MS),
        f'{name}_bucket{{{labels},le="+Inf"}} {count}',
        f"{name}_sum{{{labels}}} {entity.total_ms:.3f}",
        f"{name}_count{{{labels}}} {count}",
    ]
