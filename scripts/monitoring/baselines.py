"""Frozen baselines: files in the volume of artifacts, one for each version."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.evidence.reference import thaw

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

Baselines = Callable[[int], Mapping[str, Any] | None]
"""Version -> its frozen baseline; None where nobody froze one."""


def baselines_in(client: WorkspaceClient, folder: str) -> Baselines:
    """Return the function that reads the frozen baselines of a folder in a volume.

    It raises ``InvalidRequest`` for one that is no JSON, and ``DeployError`` where the caller may
    not read the volume; the sentence names the grant.
    """
    from databricks.sdk.errors import NotFound, PermissionDenied

    volume = quoted(".".join(folder.split("/")[2:5]))  # /Volumes/catalog/schema/volume/...

    def read(version: int) -> Mapping[str, Any] | None:
        try:
            contents = client.files.download(f"{folder}/{version}.json").contents
        except NotFound:
            return None
        except PermissionDenied as error:
            raise DeployError(
                f"{folder} cannot be read: {error}. Ask for GRANT READ VOLUME ON VOLUME {volume}, "
                "with USE CATALOG and USE SCHEMA on the way to it"
            ) from error
        assert contents is not None
        with contents:
            try:
                found: Mapping[str, Any] = json.loads(contents.read())
            except (ValueError, RecursionError) as error:
                raise InvalidRequest("baseline_damaged", f"it is no JSON: {error}.") from error
        return found

    return read


def store_baseline(
    client: WorkspaceClient, folder: str, version: int, baseline: Mapping[str, Any]
) -> str:
    """Put a baseline where looks find it; return its path."""
    path = f"{folder}/{version}.json"
    client.files.create_directory(folder)
    client.files.upload(path, io.BytesIO(json.dumps(baseline).encode()), overwrite=True)
    return path


def means_of(read: Baselines, versions: Iterable[int]) -> dict[int, NDArray[np.float32]]:
    """Return the mean embedding of each version that has a baseline."""
    found = {}
    for version in versions:
        try:
            baseline = read(version)
            sample = thaw(baseline).reference.sample if baseline is not None else None
        except InvalidRequest:  # the look at drift says what is wrong with it
            continue
        if sample is not None and sample.embeddings is not None:
            found[version] = sample.embeddings.mean(axis=0)
    return found
