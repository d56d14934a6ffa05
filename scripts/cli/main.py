"""Entry point of the console command."""

from __future__ import annotations

import click

from scripts.cli.console import Commands

_LAZY = {
    "adopt": "scripts.cli.adopt:adopt",
    "build": "scripts.cli.build:build",
    "demo": "scripts.cli.demo:demo",
    "deploy": "scripts.cli.deploy:deploy",
    "destroy": "scripts.cli.deploy:destroy",
    "drift": "scripts.cli.gitops:drift",
    "embed": "scripts.cli.embed:embed",
    "embed-file": "scripts.cli.embed:embed_file",
    "endpoint": "scripts.cli.endpoint:endpoint",
    "env": "scripts.cli.deploy:env",
    "guard": "scripts.cli.guard:guard",
    "environments": "scripts.cli.environments:environments",
    "plan": "scripts.cli.deploy:plan",
    "provider": "scripts.cli.provider:provider",
    "quickstart": "scripts.cli.quickstart:quickstart",
    "review": "scripts.cli.gitops:review",
    "reviewed": "scripts.cli.gitops:reviewed",
    "smoke": "scripts.cli.embed:smoke",
    "summary": "scripts.cli.gitops:summary",
    "verify": "scripts.cli.guard:verify",
    "workspace": "scripts.cli.workspace:workspace",
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
    from scripts.connection import quiet_mlflow

    quiet_mlflow()
