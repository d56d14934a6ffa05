"""``scgpt quickstart``: do the main job from nothing."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.layout import IN_CHECKOUT
from scgpt_databricks.model.cells.job_options import OBSM_KEY

from .console import err, json_option, out, progress, show, step
from .options import port_option

_TITLES = {
    "workspace": "start the local workspace",
    "checkpoint": "copy the demo checkpoint that comes with this package",
    "registry": "deploy schema, volume, model and grants",
    "build": "build, validate and register a model version",
    "serving": "deploy the endpoint and ask it",
    "monitoring": "deploy warehouse, alert, dashboard and job",
    "embed": "embed 700 cells over HTTP",
    "evaluate": "compare and draw",
    "inference_table": "read the inference table back",
    "second_plan": "plan again: nothing to change",
}
"""Titles of the steps, in order. They are here because --help must not wait for imports."""


_THEN = (
    'eval "$(scgpt env local)"                       point Terraform, SDK and mlflow to it',
    "scgpt embed local cells.h5ad --out out.h5ad     your own cells",
    "scgpt plan local                                what would change",
    "scgpt workspace stop                            stop everything",
)


class _Screen:
    def __init__(self) -> None:
        self.update: Any = lambda done, total: None

    def say(self, text: str) -> None:
        err.print(f"  {text}", soft_wrap=True, markup=False)


@click.command()
@port_option
@click.option("--stop-after", type=click.Choice(list(_TITLES)), help="Stop after this step.")
@json_option
def quickstart(port: int | None, stop_after: str | None, as_json: bool) -> None:
    """Embed real cells through a deployed endpoint on this machine.

    \b
    Starts the local workspace, deploys with Terraform, builds and serves a version
    of a demo checkpoint, embeds 700 PBMC cells over HTTP. Run it again at any time:
    it changes nothing that is in place.
    Example:  scgpt quickstart
    """
    if not IN_CHECKOUT:
        raise DeployError(
            "the quickstart runs `cdktf deploy`, whose command line lies in a checkout's "
            "node_modules: clone the repository, then run `make quickstart`"
        )
    from ..quickstart import Quickstart

    screen = _Screen()
    run = Quickstart(port, screen)
    steps = run.steps()
    for key, title in _TITLES.items():
        with step(title), progress(key) as screen.update, run.timed(key):
            steps[key]()
        if key == stop_after:
            show(run.found(), as_json, f"stopped after {key}", "scgpt quickstart")
            return
    found = run.summary()
    if not as_json:
        out.print(_table(found))
    show(found, as_json, _places(run), _THEN)


def _table(found: dict[str, Any]) -> Table:
    table = Table(title="A smoke test on cells seen in training; it says nothing about quality")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in found.items():
        if name != "seconds":
            table.add_row(name, str(value))
    table.add_row("seconds in all", f"{sum(found['seconds'].values()):.0f}")
    return table


def _places(run: Any) -> str:
    return f"""
picture:  {run.folder / "umap.png"}
cells:    {run.folder / "pbmc_scgpt.h5ad"}  (obsm["{OBSM_KEY}"])
summary:  {run.folder / "summary.json"}
"""
