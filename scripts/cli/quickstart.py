"""``scgpt quickstart``: the main job from nothing."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from infra.local_workspace.instance import DEFAULT_PORT
from scripts.cli.console import err, json_option, out, progress, show, step


class _Screen:
    def __init__(self) -> None:
        self.update: Any = lambda done, total: None

    def say(self, text: str) -> None:
        err.print(f"  {text}", soft_wrap=True, markup=False)


@click.command()
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, help="Port of the local workspace."
)
@click.option("--stop-after", metavar="STEP", help="Stop after this step (workspace, build, ...).")
@json_option
def quickstart(port: int, stop_after: str | None, as_json: bool) -> None:
    """Real cells embedded through a deployed endpoint, all on this machine.

    \b
    Starts the local workspace, trains a demo checkpoint, deploys with Terraform,
    builds and serves a version, embeds 700 PBMC cells over HTTP. Run it again
    at any time: it changes nothing that is in place.
    Example:  scgpt quickstart
    """
    from scripts.quickstart import Quickstart

    screen = _Screen()
    run = Quickstart(port, screen)
    known = [key for key, _, _ in run.steps()]
    if stop_after is not None and stop_after not in known:
        raise click.BadParameter(
            f"{stop_after!r}; steps are {', '.join(known)}", param_hint="--stop-after"
        )
    for key, title, action in run.steps():
        with step(title), progress(key) as screen.update, run.timed(key):
            action()
        if key == stop_after:
            return
    found = run.summary()
    if not as_json:
        out.print(_table(found))
    show(found, as_json, _next_steps(run))


def _table(found: dict[str, Any]) -> Table:
    table = Table(title="A smoke test on cells seen in training; it says nothing about quality")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in found.items():
        if name != "seconds":
            table.add_row(name, str(value))
    table.add_row("seconds in all", f"{sum(found['seconds'].values()):.0f}")
    return table


def _next_steps(run: Any) -> str:
    return f"""
picture:  {run.folder / "umap.png"}
cells:    {run.folder / "pbmc_scgpt.h5ad"}  (obsm["X_scGPT"])
summary:  {run.folder / "summary.json"}

Try next:
  eval "$(scgpt env local)"                       point Terraform, SDK and mlflow to it
  scgpt embed local cells.h5ad --out out.h5ad     your own cells
  scgpt plan local                                what would change
  scgpt workspace stop                            stop everything"""
