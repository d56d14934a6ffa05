"""``scgpt provider``: which Databricks provider Terraform runs here."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scgpt_databricks.infra.layout import RUNTIME

from .console import json_option, show


@click.command()
@click.option("--refresh", is_flag=True, help="Ask again, whatever was remembered.")
@json_option
def provider(refresh: bool, as_json: bool) -> None:
    """Find out which Databricks provider Terraform runs: the real one or the stand-in.

    \b
    The public registry or a configured mirror comes first; where neither can be
    reached, the stand-in of the local workspace serves loopback hosts.
    Example:  scgpt provider --json
    """
    from ..deploy.provider import find_provider

    found = find_provider(RUNTIME / "terraform", Path(sys.executable), refresh=refresh)
    show(
        {"kind": found.kind, "version": found.version},
        as_json,
        f"Terraform provider: {found.label}",
    )
