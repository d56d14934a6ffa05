"""The summary of a job: what an environment serves now."""

from __future__ import annotations

from pathlib import Path

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.endpoint import shares

from ..connection import answering, workspace_client
from ..deploy.facts import endpoint_of
from .markdown import code, table


def summary(name: str, *, folder: Path | None = None) -> str:
    """Return endpoint, state and versions of an environment as Markdown.

    Raises
    ------
    InfraError
        When the settings are wrong, or the workspace does not answer or refuses the login.
    """
    loaded = settings.load(name, folder)
    named = code(loaded.names.endpoint)
    with answering(loaded):
        endpoint = endpoint_of(workspace_client(loaded), loaded.names.endpoint)
    if endpoint is None:
        return f"### {name}\n\nNo endpoint {named}: nothing is released yet.\n"
    config = endpoint.get("config") or {}
    share = shares(config)
    rows = [
        [code(each["name"]), str(each.get("entity_version") or "-"), f"{share[each['name']]} %"]
        for each in config.get("served_entities") or []
    ]
    ready = endpoint.get("state", {}).get("ready", "unknown")
    head = f"### {name}: endpoint {named} is {ready}"
    return f"{head}\n\n{table(['served entity', 'version', 'requests'], rows)}\n"
