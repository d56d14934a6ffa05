"""Do a job's work at once: here for the local workspace, elsewhere by running the job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
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
            folder = settings.names.baselines
            where: dict[str, Any] = {"baselines": folder, "source": source}
            return asdict(unpacking.run(client, table, warehouse, report=report, **where))
        if source is not None:
            raise DeployError(
                "--source is for the local workspace; elsewhere run the job with it: add "
                f"`--source {source}` to its parameters for one run"
            )
        return run_job(client, settings, "unpack", report)


def drift(
    settings: Settings,
    *,
    days: float | None,
    until: datetime | None,
    dry_run: bool,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Look at an environment's last requests; return one row for each version and cause.

    Parameters
    ----------
    days
        Length of the window; None: as the environment says.
    until
        Its end; None: now.
    dry_run
        Leave the look out of the table, so that it takes nothing of the budget.
    """
    table, client, watch = logged_table(settings), workspace_client(settings), settings.monitoring
    with answering(settings):
        if settings.is_local:
            from ..monitoring import drift as drifting

            return drifting.run(
                client,
                table,
                baselines=settings.names.baselines,
                days=days or watch.drift_days,
                false_alarms=watch.drift_false_alarms,
                end=until,
                write=not dry_run,
            )
        if days is not None or until is not None or dry_run:
            raise DeployError(
                "--days, --until and --dry-run are for the local workspace; elsewhere the deployed "
                "job looks, with monitoring.drift_days"
            )
        found: list[dict[str, Any]] = run_job(client, settings, "drift", report)["looks"]
        return found


def freeze(
    settings: Settings, *, version: int | None, days: float | None, until: datetime | None = None
) -> dict[str, Any]:
    """Freeze what later looks are compared with, and return the version and where it lies.

    Parameters
    ----------
    version
        None: the champion's.
    days
        Take the requests of so many days; None: the baseline that came with the version.
    until
        End of the days; None: now.

    Raises
    ------
    DeployError, InvalidRequest
        The version has none, or the requests make none.
    """
    from ..monitoring import drift as drifting
    from ..monitoring.baselines import store_baseline

    client = workspace_client(settings)
    with answering(settings):
        if days is not None:
            if not settings.is_local:
                raise DeployError(
                    "elsewhere than on the local workspace the job freezes: run it once with "
                    f"`--freeze --days {days:g}` added to its parameters"
                )
            window = drifting.window_of(days, until)
            read = drifting.tables_of(client, logged_table(settings)).reader(window)
            version, baseline = drifting.freeze_window(read, version, window)
        else:
            version = version or _champion(settings)
            baseline = _built(settings, version)
        folder = settings.names.baselines
        path = store_baseline(client, folder, version, baseline)
    return {"environment": settings.environment, "version": version, "path": path}


def _champion(settings: Settings) -> int:
    from scgpt_databricks.infra.release import find

    manifest = find(settings.manifest_path, model=settings.names.full_model)
    if manifest is None:
        raise DeployError(f"nothing is released in {settings.environment}: name a --version")
    return manifest.champion.version


def _built(settings: Settings, version: int) -> dict[str, Any]:
    """Return the baseline that a version was built with."""
    import json
    from pathlib import Path

    from scgpt_databricks.model.evidence.reference import thaw

    from ..connection import use_mlflow

    use_mlflow(settings)
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = f"models:/{settings.names.full_model}/{version}/artifacts/baseline.json"
    try:
        found: dict[str, Any] = json.loads(
            Path(mlflow.artifacts.download_artifacts(uri)).read_text()
        )
    except (MlflowException, OSError) as error:
        raise DeployError(
            f"version {version} came without a baseline, for it was built without labelled cells: "
            f"freeze one of its requests, with --days ({str(error).splitlines()[0][:200]})"
        ) from error
    thaw(found)
    return found
