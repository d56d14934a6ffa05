"""Entry point of the console command."""

from __future__ import annotations

import click

from .console import Commands

_SECTIONS = {
    "Try it on this machine": {
        "quickstart": "quickstart:quickstart",
        "workspace": "workspace:workspace",
        "demo": "demo:demo",
        "provider": "provider:provider",
    },
    "Embed cells": {
        "embed": "embed:embed",
        "embed-file": "embed:embed_file",
        "spark": "spark:spark",
        "smoke": "embed:smoke",
        "export-onnx": "export_onnx:export_onnx",
    },
    "Serve on Ray": {
        "ray": "ray:ray",
    },
    "Build and release": {
        "build": "build:build",
        "versions": "versions:versions",
        "promote": "promote:promote",
        "approve": "promote:approve",
        "canary": "canary:canary",
        "rollback": "promote:rollback",
        "history": "promote:history",
    },
    "Deploy": {
        "init": "init:init",
        "environments": "environments:environments",
        "plan": "deploy:plan",
        "deploy": "deploy:deploy",
        "verify": "guard:verify",
        "destroy": "deploy:destroy",
        "adopt": "adopt:adopt",
        "endpoint": "endpoint:endpoint",
        "env": "deploy:env",
    },
    "Review and watch": {
        "status": "status:status",
        "report": "report:report",
        "migrate-inference-table": "migrate:migrate",
        "review": "gitops:review",
        "reviewed": "gitops:reviewed",
        "summary": "gitops:summary",
        "drift": "gitops:drift",
        "guard": "guard:guard",
        "monitor": "monitor:monitor",
    },
}
"""All commands, in the order in which the help lists them."""


_EXTRAS = {
    "approve": "engine",
    "build": "engine",
    "canary": "engine",
    "demo": "engine",
    "deploy": "deploy",
    "destroy": "deploy",
    "drift": "deploy",
    "embed-file": "engine",
    "endpoint": "deploy",
    "export-onnx": "edge",
    "plan": "deploy",
    "promote": "engine",
    "ray": "ray",
    "review": "deploy",
    "rollback": "engine",
    "smoke": "engine",
    "spark": "spark",
    "versions": "engine",
    "workspace": "workspace",
}
"""Extras that commands need beside the client."""


@click.group(
    cls=Commands,
    sections=_SECTIONS,
    extras=_EXTRAS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="scgpt-databricks", prog_name="scgpt")
def cli() -> None:
    """Run scGPT as governed infrastructure on Databricks, and all of it on a laptop.

    \b
    ENV is the name of an environment: of its TOML file, without the ending.
    Exit codes: 0 done; 1 failed; 2 wrong usage; 3 refused (gate, guard,
                review, adoption); 128+n ended by signal n, as 130 by Ctrl-C.
    Example:  scgpt quickstart
    """
    from ..connection import quiet_mlflow, spare_loopback

    quiet_mlflow()
    spare_loopback()
