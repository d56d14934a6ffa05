"""``scgpt workspace``: the local workspace, a stand-in for Databricks on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scgpt_databricks.infra.layout import environments_folder, runtime_folder
from scgpt_databricks.local_workspace.server.instance import DEFAULT_PORT

from .console import err, json_option, show, step

if TYPE_CHECKING:
    from scgpt_databricks.local_workspace.server.instance import Info

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: runtime_folder(environments_folder()) / "workspace",
    help="The instance's folder.  [default: .local/workspace, or workspace in SCGPT_ENVIRONMENTS]",
)


@click.group()
def workspace() -> None:
    """The local workspace: unmodified Terraform, databricks-sdk and mlflow talk to it.

    \b
    Example:  scgpt workspace start && eval "$(scgpt env local)"
    """


@workspace.command()
@folder_option
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Loopback port.")
@json_option
def start(folder: Path, port: int, as_json: bool) -> None:
    """Start it; credentials go to databrickscfg (mode 600) beside the folder, profile `local`.

    \b
    Example:  scgpt workspace start --port 8765
    """
    from scgpt_databricks.local_workspace.server.instance import AlreadyRunning
    from scgpt_databricks.local_workspace.server.instance import start as start_instance

    try:
        with step("starting the local workspace"):
            info = start_instance(folder, port)
    except AlreadyRunning as running:
        err.print("it is running already")
        info = running.info
    show(_as_dict(info), as_json, f"{info.url}  (profile local in {info.config})")


@workspace.command()
@folder_option
@click.option("--quiet", is_flag=True, help="Say nothing when it is not running.")
@json_option
def stop(folder: Path, quiet: bool, as_json: bool) -> None:
    """Stop it and everything that it started. State is kept.

    \b
    Example:  scgpt workspace stop
    """
    from scgpt_databricks.local_workspace.server.instance import status as instance_status
    from scgpt_databricks.local_workspace.server.instance import stop as stop_instance

    was_running = instance_status(folder).state != "stopped"
    stop_instance(folder)
    if as_json:
        show({**_as_dict(instance_status(folder)), "was_running": was_running}, True, "")
    elif not quiet or was_running:
        err.print("stopped" if was_running else "it was not running")


@workspace.command()
@folder_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Is it running, and where? Exit code 1 when it is not.

    \b
    Example:  scgpt workspace status --json
    """
    from scgpt_databricks.local_workspace.server.instance import status as instance_status

    info = instance_status(folder)
    if info.state == "stopped":
        show(_as_dict(info), as_json, "stopped; start it with: scgpt workspace start")
        raise SystemExit(1)
    show(_as_dict(info), as_json, f"{info.state}: {info.url} (pid {info.pid})")


@workspace.command()
@folder_option
@click.option("--yes", is_flag=True, help="Really remove; otherwise only say what would go.")
@json_option
def reset(folder: Path, yes: bool, as_json: bool) -> None:
    """Remove all state of a stopped workspace: models, endpoints, tables, credentials.

    \b
    Example:  scgpt workspace stop && scgpt workspace reset --yes
    """
    from scgpt_databricks.local_workspace.server.instance import reset as reset_instance

    is_there = folder.exists()
    if yes:
        reset_instance(folder)
    if as_json:
        show({"folder": str(folder), "removed": yes and is_there}, True, "")
    elif yes:
        err.print(f"removed {folder}" if is_there else f"nothing to remove: no {folder}")
    else:
        err.print(f"would remove {folder}; run again with --yes")


@workspace.command()
@folder_option
@click.option("-n", "lines", default=40, show_default=True, help="Lines of each log.")
def logs(folder: Path, lines: int) -> None:
    """The last lines of its logs: server, mlflow server, scoring processes.

    \b
    Example:  scgpt workspace logs -n 100
    """
    for path in sorted((folder / "logs").glob("**/*.log")):
        click.echo(f"==> {path.relative_to(folder)} <==")
        click.echo("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))


def _as_dict(info: Info) -> dict[str, Any]:
    return {
        "state": info.state,
        "url": info.url,
        "pid": info.pid,
        "folder": str(info.folder),
        "config": str(info.config) if info.config else None,
    }
