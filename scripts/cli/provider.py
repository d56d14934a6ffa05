"""``scgpt provider``: find the Databricks provider that Terraform runs here."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scgpt_databricks.infra.layout import provider_folder

from .console import json_option, show


@click.command()
@click.option("--refresh", is_flag=True, help="Ask again, whatever was remembered.")
@json_option
def provider(refresh: bool, as_json: bool) -> None:
    """Find out which Databricks provider Terraform runs here.

    \b
    The real one comes from the public registry, or from a mirror that your own
    configuration of Terraform or SCGPT_PROVIDER_MIRROR names. Where neither can be
    reached, the stand-in takes its place, for loopback hosts only.
    Example:  scgpt provider --json
    """
    from ..deploy.provider import find_provider

    found = find_provider(provider_folder(), Path(sys.executable), refresh=refresh)
    place = f" from {found.place}" if found.place else ""
    show(
        {"kind": found.kind, "version": found.version, "place": found.place},
        as_json,
        f"Terraform provider: {found.label}{place}",
        "scgpt plan ENV",
    )
