"""``scgpt workspace``: start, ask, stop and remove the local workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scgpt_databricks.infra.layout import environments_folder, runtime_folder

from .console import Group, err, json_option, show, step
from .options import dry_run_option, port_option

if TYPE_CHECKING:
    from scgpt_databricks.local_workspace.server.instance import Info

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: runtime_folder(environments_folder()) / "workspace",
    help="The instance's folder.  [default: .local/workspace, or workspace in SCGPT_ENVIRONMENTS]",
)

_START = "scgpt workspace start"
_ENV = 'eval "$(scgpt env local)", then scgpt plan local'


@click.group(cls=Group)
def workspace() -> None:
    """Run the local workspace, which stands in for Databricks.

    \b
    Unmodified Terraform, databricks-sdk and mlflow talk to it on loopback.
    Example:  scgpt workspace start && eval "$(scgpt env local)"
    """


@workspace.command()
@folder_option
@port_option
@json_option
def start(folder: Path, port: int | None, as_json: bool) -> None:
    """Start it and write a login for it.

    \b
    The login is profile `local` of databrickscfg (mode 600) beside the folder.
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
    show(_as_dict(info), as_json, f"{info.url}  (profile local in {info.config})", _ENV)


@workspace.command()
@folder_option
@click.option("--quiet", is_flag=True, help="Say nothing when it is not running.")
@json_option
def stop(folder: Path, quiet: bool, as_json: bool) -> None:
    """Stop it and all that it started, and keep its state.

    \b
    Example:  scgpt workspace stop
    """
    from scgpt_databricks.local_workspace.server.instance import status as instance_status
    from scgpt_databricks.local_workspace.server.instance import stop as stop_instance

    was_running = instance_status(folder).state != "stopped"
    stop_instance(folder)
    if as_json or was_running or not quiet:
        result = {**_as_dict(instance_status(folder)), "was_running": was_running}
        text = "stopped" if was_running else "it was not running"
        show(result, as_json, text, _START)


@workspace.command()
@folder_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Say whether it runs, and where.

    \b
    Exit code 1 when it does not run.
    Example:  scgpt workspace status --json
    """
    from scgpt_databricks.local_workspace.server.instance import status as instance_status

    info = instance_status(folder)
    if info.state == "stopped":
        show(_as_dict(info), as_json, "stopped", _START)
        raise SystemExit(1)
    show(_as_dict(info), as_json, f"{info.state}: {info.url} (pid {info.pid})", _ENV)


@workspace.command()
@folder_option
@dry_run_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reset(folder: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove all state of a stopped workspace.

    \b
    Models, endpoints, tables and logins go. Asks before it removes them.
    Example:  scgpt workspace stop && scgpt workspace reset --yes
    """
    from scgpt_databricks.local_workspace.server.instance import reset as reset_instance

    is_there = folder.exists()
    if is_there and not (yes or dry_run):
        click.confirm(f"This removes {folder} and all that is in it. Go on?", abort=True, err=True)
    if not dry_run:
        reset_instance(folder)
    verb = "would remove" if dry_run else "removed"
    text = f"{verb} {folder}" if is_there else f"nothing to remove: no {folder}"
    then = "the same without --dry-run" if is_there and dry_run else _START
    show({"folder": str(folder), "removed": is_there and not dry_run}, as_json, text, then)


@workspace.command()
@folder_option
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Lines of each log.",
)
@json_option
def logs(folder: Path, lines: int, as_json: bool) -> None:
    """Print the last lines of its logs.

    \b
    They are those of the server, the mlflow server and the scoring processes.
    Example:  scgpt workspace logs -n 100
    """
    ends = {
        str(path.relative_to(folder)): path.read_text(errors="replace").splitlines()[-lines:]
        for path in sorted((folder / "logs").glob("**/*.log"))
    }
    text = "\n".join("\n".join([f"==> {name} <==", *end]) for name, end in ends.items())
    show({"logs": ends}, as_json, text or f"no logs below {folder}", "scgpt workspace status")


def _as_dict(info: Info) -> dict[str, Any]:
    return {
        "state": info.state,
        "url": info.url,
        "pid": info.pid,
        "folder": str(info.folder),
        "config": str(info.config) if info.config else None,
    }
