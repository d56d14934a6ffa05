"""Run a monitoring job of an environment now, and wait for what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import JOBS, LONGEST_SECONDS
from scgpt_databricks.infra.settings import Settings

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def run_job(
    client: WorkspaceClient, settings: Settings, key: str, report: Callable[[str], None]
) -> dict[str, Any]:
    """Run a deployed job and return the JSON object that it printed last.

    Payloads are read where they lie, and no laptop gets any.

    Raises
    ------
    DeployError
        It was not deployed, or failed; with what it said.
    """
    from databricks.sdk.errors import OperationFailed
    from databricks.sdk.service.jobs import RunResultState

    name = settings.names.watched(next(job.title for job in JOBS if job.key == key))
    found = next(iter(client.jobs.list(name=name)), None)
    if found is None or found.job_id is None:
        raise DeployError(
            f"there is no job {name!r}: deploy the monitoring stack of {settings.environment}"
        )
    report(f"running the job {name!r}")
    run_id = client.jobs.run_now(found.job_id).run_id
    try:
        ended = client.jobs.wait_get_run_job_terminated_or_skipped(
            run_id, timeout=timedelta(seconds=LONGEST_SECONDS)
        )
    except OperationFailed as error:
        raise DeployError(f"run {run_id} of the job {name!r} failed: {error}") from error
    output = client.jobs.get_run_output(int((ended.tasks or [])[0].run_id or 0))
    if ended.state is None or ended.state.result_state is not RunResultState.SUCCESS:
        raise DeployError(f"run {run_id} of the job {name!r} failed: {output.error or 'no reason'}")
    said: dict[str, Any] = json.loads((output.logs or "").strip().splitlines()[-1])
    return said
