"""Small files of an environment's volume: what commands remember where every machine sees it."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

M = TypeVar("M", bound=BaseModel)

_LIMIT_BYTES = 65_536


def write(
    client: WorkspaceClient, path: str, content: BaseModel, *, overwrite: bool = True
) -> None:
    """Put a file in the place of the one before; the volume must exist.

    Without `overwrite`, a file that is there is left alone, and the client raises AlreadyExists.
    """
    text = content.model_dump_json(indent=2) + "\n"
    client.files.upload(path, io.BytesIO(text.encode()), overwrite=overwrite)


def read(client: WorkspaceClient, path: str, kind: type[M]) -> M | None:
    """Return the content of a file; None where there is none, or it cannot be read as that."""
    from databricks.sdk.errors import NotFound, PermissionDenied

    try:
        contents = client.files.download(path).contents
    except (NotFound, PermissionDenied):
        return None
    assert contents is not None
    with contents:
        text = contents.read(_LIMIT_BYTES)
    try:
        return kind.model_validate_json(text)
    except ValidationError:  # anybody who may write to the volume may have written it
        return None


def remove(client: WorkspaceClient, path: str) -> None:
    """Remove a file; harmless where there is none."""
    from databricks.sdk.errors import NotFound

    with suppress(NotFound):
        client.files.delete(path)
