"""Entry point of the console command."""

from __future__ import annotations

import click

from .console import Commands

_LAZY = {
    "adopt": "scgpt_databricks.scripts.cli.adopt:adopt",
    "build": "scgpt_databricks.scripts.cli.build:build",
    "demo": "scgpt_databricks.scripts.cli.demo:demo",
    "deploy": "scgpt_databricks.scripts.cli.deploy:deploy",
    "destroy": "scgpt_databricks.scripts.cli.deploy:destroy",
    "drift": "scgpt_databricks.scripts.cli.gitops:drift",
    "embed": "scgpt_databricks.scripts.cli.embed:embed",
    "embed-file": "scgpt_databricks.scripts.cli.embed:embed_file",
    "endpoint": "scgpt_databricks.scripts.cli.endpoint:endpoint",
    "env": "scgpt_databricks.scripts.cli.deploy:env",
    "guard": "scgpt_databricks.scripts.cli.guard:guard",
    "environments": "scgpt_databricks.scripts.cli.environments:environments",
    "plan": "scgpt_databricks.scripts.cli.deploy:plan",
    "provider": "scgpt_databricks.scripts.cli.provider:provider",
    "quickstart": "scgpt_databricks.scripts.cli.quickstart:quickstart",
    "review": "scgpt_databricks.scripts.cli.gitops:review",
    "reviewed": "scgpt_databricks.scripts.cli.gitops:reviewed",
    "smoke": "scgpt_databricks.scripts.cli.embed:smoke",
    "summary": "scgpt_databricks.scripts.cli.gitops:summary",
    "verify": "scgpt_databricks.scripts.cli.guard:verify",
    "workspace": "scgpt_databricks.scripts.cli.workspace:workspace",
}


@click.group(cls=Commands, lazy=_LAZY, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scgpt-databricks", prog_name="scgpt")
def cli() -> None:
    """Run scGPT as governed infrastructure on Databricks, and all of it on a laptop.

    \b
    Exit codes: 0 done; 1 failed; 2 wrong usage; 3 refused (gate, guard,
                review, adoption); 128+n ended by signal n.
    Example:  scgpt quickstart
    """
    from ..connection import quiet_mlflow

    quiet_mlflow()
