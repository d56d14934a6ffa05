"""The wheel of the jobs: into ``dist/`` for people, into the volume for the jobs.

``python -m scgpt_databricks.scripts.wheel`` writes the file and prints where it is.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.wheel import Wheel, wheel
from scgpt_databricks.whole_file import draft

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def write(folder: Path) -> Path:
    """Write the wheel into a folder; returns its path."""
    path = folder / wheel().file_name
    with draft(path) as written:
        written.write_bytes(wheel().content)
    return path


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
    """Write the wheel into ``dist/``."""
    path = write(Path("dist"))
    sys.stdout.write(f"{path}  sha256 {wheel().sha256}\n")


if __name__ == "__main__":
    main()
