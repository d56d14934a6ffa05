"""The figures that an endpoint exports, in Prometheus' text format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+([0-9.eE+-]+|NaN|[+-]Inf)(?:\s+-?\d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One figure."""

    name: str
    labels: dict[str, str]
    value: float

    def is_of(self, entity: str) -> bool:
        """Return True for a figure of one served entity: the label that names it varies."""
        return entity in self.labels.values()


def samples(client: WorkspaceClient, endpoint: str) -> list[Sample]:
    """Return what an endpoint exports; an entity that nobody has asked yet is not in it."""
    contents = client.serving_endpoints.export_metrics(endpoint).contents
    assert contents is not None
    with contents:
        return list(read(contents.read().decode()))


def read(text: str) -> Iterator[Sample]:
    """Yield the samples of an exposition; comments and lines of another form are left out."""
    for line in text.splitlines():
        if found := _SAMPLE.match(line.strip()):
            yield Sample(found[1], dict(_LABEL.findall(found[2] or "")), float(found[3]))
