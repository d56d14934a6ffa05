"""The wheels of the jobs: into ``dist/`` for people, into the volume for the jobs.

``python -m scgpt_databricks.scripts.wheel`` writes the files and prints where they are.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.wheel import Wheel, tables_wheel, wheel
from scgpt_databricks.whole_file import draft

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def write(folder: Path, built: Wheel | None = None) -> Path:
    """Write a wheel into a folder; returns its path."""
    built = built or wheel()
    path = folder / built.file_name
    with draft(path) as written:
        written.write_bytes(built.content)
    return path


def of_stack(settings: Settings, stack: str) -> Wheel | None:
    """Return the wheel that the jobs of a stack run; None where it has none."""
    if stack == settings.names.stack("monitoring") and settings.monitoring.enabled:
        return wheel()
    if stack == settings.names.stack("serving") and settings.batch.cells is not None:
        return tables_wheel()
    return None


def upload(client: WorkspaceClient, settings: Settings, built: Wheel | None = None) -> str:
    """Put the wheel to where the jobs of an environment look for it.

    The path holds the wheel's digest: what lies there is never overwritten, and jobs of an earlier
    deploy keep theirs. The volume must exist. Return the path in it.
    """
    from databricks.sdk.errors import NotFound

    built = built or wheel()
    path = settings.names.wheel_path(built.file_name, built.sha256)
    try:
        found = client.files.get_metadata(path).content_length
    except NotFound:
        found = None
    if found != len(built.content):
        # Another length means an upload that was cut off.
        client.files.create_directory(str(Path(path).parent))
        client.files.upload(path, io.BytesIO(built.content), overwrite=True)
    return path


def main() -> None:
    """Write the wheels into ``dist/``."""
    for built in (wheel(), tables_wheel()):
        path = write(Path("dist"), built)
        sys.stdout.write(f"{path}  sha256 {built.sha256}\n")


if __name__ == "__main__":
    main()
