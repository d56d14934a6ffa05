"""Say that a person approves a version for an environment."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model import registry

from ..connection import connected
from ..deploy import deployment_job

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def approve(settings: Settings, version: int, *, dry_run: bool = False) -> str:
    """Write the caller's name into the version's tag of approval and return it.

    A deployment job that waited for it goes on.

    Raises
    ------
    RegistryError
        There is no such version, or it is not ready.
    """
    from databricks.sdk.errors import PermissionDenied

    with connected(settings) as client:
        who = str(client.current_user.me().user_name)
        found = registry.ready(settings.names.full_model, version)
        if dry_run:
            return who
        registry.tag(found, {registry.approval_tag(settings.environment): who})
        with suppress(PermissionDenied):  # whoever approves need not hold the job
            _go_on(client, settings, version)
    return who


def _go_on(client: WorkspaceClient, settings: Settings, version: int) -> None:
    """Let the deployment job that waits for this approval go on where it stopped."""
    from databricks.sdk.service.jobs import RunResultState

    job = deployment_job.declared(client, settings)
    for run in client.jobs.list_runs(job_id=int(job), completed_only=True) if job else ():
        given = {each.name: each.value for each in run.job_parameters or []}
        if given.get("model_version") != str(version):
            continue
        if run.state and run.state.result_state != RunResultState.SUCCESS:
            client.jobs.repair_run(int(run.run_id or 0), rerun_all_failed_tasks=True)
        return
