"""The versions that a plan takes away and brings, with what their builds found out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..deploy.facts import version_tags
from .endpoint import Split, Version, title
from .markdown import code, table

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_NOT_SERVED = "-"
_MOST_METRICS = 25


@dataclass(frozen=True)
class Built:
    """The evidence on one version; empty where the version is gone."""

    weights: str | None = None
    """Digest of the checkpoint."""
    commit: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


def built(client: WorkspaceClient, model: str, version: Version) -> Built:
    """Ask the registry for a version, and tracking for its run.

    A copy of another workspace has no run here; its tags say the same.
    """
    if isinstance(version, str):
        return Built()  # what is no version of a model
    from databricks.sdk.errors import NotFound, PermissionDenied

    try:
        tags = version_tags(client, model, version)
        run_id = client.model_versions.get(model, version).run_id
    except (NotFound, PermissionDenied):
        # A review without metrics is better than none.
        return Built()
    metrics = _tagged(tags.get("metrics", "{}"))
    with suppress(NotFound, PermissionDenied):
        run = client.experiments.get_run(run_id).run if run_id else None
        if run is not None and run.data is not None:
            metrics |= {
                str(metric.key): float(metric.value)
                for metric in run.data.metrics or []
                if metric.value is not None
            }
            tags = {**{str(tag.key): str(tag.value) for tag in run.data.tags or []}, **tags}
    return Built(tags.get("checkpoint_sha256"), tags.get("git_commit"), metrics)


def _tagged(text: str) -> dict[str, float]:
    """Return the scores in a version's tag, under the names that its run has them by."""
    return {
        f"{name}{end}": float(value)
        for name, numbers in json.loads(text).items()
        for end, value in zip(("", "_low", "_high"), numbers, strict=True)
    }


def comparison(split: Split, found: Mapping[Version, Built]) -> str:
    """The versions side by side, as a table in Markdown."""
    versions = split.versions
    rows = [
        ["requests now", *(_share(split.before, version) for version in versions)],
        ["requests after", *(_share(split.after, version) for version in versions)],
        ["weights", *(_short(found[version].weights) for version in versions)],
        ["built from commit", *(_short(found[version].commit) for version in versions)],
    ]
    names = sorted({name for each in found.values() for name in each.metrics})
    rows += [
        [code(name), *(_number(found[version].metrics.get(name)) for version in versions)]
        for name in names[:_MOST_METRICS]
    ]
    text = table(["", *map(title, versions)], rows)
    if not names:
        return f"{text}\n\nNo metrics are known of these versions."
    more = len(names) - _MOST_METRICS
    return f"{text}\n\n{more} more metrics are in the registry." if more > 0 else text


def weights_sentence(split: Split, found: Mapping[Version, Built]) -> str | None:
    """Say if embeddings of the old and the new versions can be compared."""
    old = {found[version].weights for version in split.before}
    new = {found[version].weights for version in split.after.keys() - split.before.keys()}
    if not old or not new or None in old | new:
        return None
    if new <= old:
        return "The weights stay the same: new embeddings can be compared with stored ones."
    return (
        "**The weights change**: new embeddings lie in another space. Do not mix them with stored "
        "ones; embed those cells again."
    )


def _share(traffic: Mapping[Version, int], version: Version) -> str:
    return f"{traffic[version]} %" if version in traffic else _NOT_SERVED


def _short(digest: str | None) -> str:
    return code(digest[:12]) if digest else "unknown"


def _number(value: float | None) -> str:
    return _NOT_SERVED if value is None else f"{value:.4g}"
