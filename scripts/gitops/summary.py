"""The summary of a job: what an environment serves now."""

from __future__ import annotations

from pathlib import Path

from scgpt_databricks.infra import settings

from ..connection import answering, workspace_client
from .markdown import code, table


def summary(name: str, *, folder: Path | None = None) -> str:
    """Return endpoint, state and versions of an environment as Markdown.

    Raises
    ------
    InfraError
        When the settings are wrong, or the workspace does not answer or refuses the login.
    """
    from databricks.sdk.errors import NotFound

    loaded = settings.load(name, folder)
    try:
        with answering(loaded):
            endpoint = workspace_client(loaded).serving_endpoints.get(loaded.names.endpoint)
    except NotFound:
        return (
            f"### {name}\n\nNo endpoint {code(loaded.names.endpoint)}: nothing is released yet.\n"
        )
    ready = endpoint.state.ready.value if endpoint.state and endpoint.state.ready else "unknown"
    config = endpoint.config
    traffic = config.traffic_config if config else None
    shares = {
        route.served_entity_name or route.served_model_name: route.traffic_percentage
        for route in (traffic.routes if traffic else None) or []
    }
    rows = [
        [code(entity.name), str(entity.entity_version or "-"), f"{shares.get(entity.name, 0)} %"]
        for entity in (config.served_entities if config else None) or []
    ]
    head = f"### {name}: endpoint {code(loaded.names.endpoint)} is {ready}"
    return f"{head}\n\n{table(['served entity', 'version', 'requests'], rows)}\n"
