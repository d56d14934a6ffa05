"""What the jobs do, at once: here for the local workspace, elsewhere by running the job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.settings import Settings

from ..connection import answering, workspace_client
from ..monitoring.statements import warehouse_of
from .jobs import run_job
from .tables import logged_table


def unpack(
    settings: Settings, *, source: str | None = None, report: Callable[[str], None]
) -> dict[str, Any]:
    """Unpack what an environment logged since the last time.

    Raises
    ------
    DeployError
        As :func:`..monitoring.unpack.unpack`, or the job failed.
    """
    table, client = logged_table(settings), workspace_client(settings)
    with answering(settings):
        if settings.is_local:
            from ..monitoring import unpack as unpacking  # pyarrow is no part of the client

            warehouse = warehouse_of(client, settings)
            return asdict(unpacking.run(client, table, warehouse, source=source, report=report))
        if source is not None:
            raise DeployError(
                "--source is for the local workspace; elsewhere run the job with it: add "
                f"`--source {source}` to its parameters for one run"
            )
        return run_job(client, settings, "unpack", report)
