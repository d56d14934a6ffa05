"""Embed cells through the endpoint of an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.settings import Settings, load
from scgpt_databricks.model.cells.job_options import OBSM_KEY
from scgpt_databricks.model.client import Endpoint, Report, embed
from scgpt_databricks.model.client.conversation import converse
from scgpt_databricks.model.contract import DIAGNOSTICS, PACKED
from scgpt_databricks.model.errors import EndpointError, InvalidRequest

from .connection import workspace_client
from .monitoring.device import Device, device

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


def endpoint_of(settings: Settings) -> Endpoint:
    """Return the environment's endpoint, with the credentials that the SDK finds."""
    return Endpoint.of(settings.names.endpoint, workspace_client(settings))


def embed_through_endpoint(
    environment: str, cells: AnnData, *, folder: Path | None = None, **options: Any
) -> Report:
    """Embed `cells` in place; `options` are those of :func:`model.client.embed`."""
    return embed(cells, endpoint_of(load(environment, folder)), **options)


@dataclass(frozen=True)
class Answered(Report):
    """An endpoint that answers, and what it computes on."""

    device: Device
    """All fields None where the version that was asked is older than this question."""


def smoke(environment: str, folder: Path | None = None) -> Answered:
    """Ask the endpoint for a few real cells, and what it computes on.

    Raises
    ------
    EndpointError
        It is not ready, or does not answer with one finite vector of length 1 per cell.
    """
    import numpy as np

    from scgpt_databricks.model.scgpt.demo import pbmc_cells

    settings = load(environment, folder)
    _check_ready(settings)
    cells, endpoint = pbmc_cells()[:3].copy(), endpoint_of(settings)
    report = embed(cells, endpoint, request_prefix="smoke")
    lengths = np.linalg.norm(np.asarray(cells.obsm[OBSM_KEY]), axis=1)
    if lengths.shape != (3,) or not np.allclose(lengths, 1, atol=1e-3):
        raise EndpointError("smoke_failed", f"three cells came back with lengths {lengths}.")
    return Answered(**vars(report), device=device(_choices(endpoint), settings.workload_type))


def _choices(endpoint: Endpoint) -> str:
    """Ask a process for the line of its log that names device, type and torch."""
    rows = {"columns": [PACKED], "data": [[""]]}
    body = {"dataframe_split": rows, "params": {"task": DIAGNOSTICS}}
    try:
        (line,) = converse(endpoint, lambda conversation: conversation.ask(body))
    except InvalidRequest:  # a version from before this task
        return ""
    return str(line["id"])


def _check_ready(settings: Settings) -> None:
    from databricks.sdk.errors import DatabricksError, NotFound

    name = settings.names.endpoint
    try:
        state = workspace_client(settings).serving_endpoints.get(name).state
    except NotFound:
        raise EndpointError(
            "not_deployed",
            f"there is no endpoint {name} in {settings.environment}. {_advice(settings)}",
        ) from None
    except (DatabricksError, ValueError) as error:
        raise EndpointError("unreachable", f"{settings.environment}: {error}") from error
    ready = state.ready.value if state and state.ready else "unknown"
    if ready != "READY":
        raise EndpointError("not_ready", f"endpoint {name} is {ready}. Wait, or see its logs.")


def _advice(settings: Settings) -> str:
    name = settings.environment
    if settings.released():
        return f"Deploy it: scgpt deploy {name}"
    return f"Nothing is released: scgpt build {name} --checkpoint DIR, then scgpt deploy {name}"
