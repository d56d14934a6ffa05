"""The versions of an environment: evidence, aliases, and where each serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.endpoint import shares
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings, load
from scgpt_databricks.model import registry
from scgpt_databricks.model.registry import Version

from .. import ledger
from ..connection import answering, use_mlflow, workspace_client

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.serving import ServingEndpointDetailed


@dataclass(frozen=True)
class Served:
    """One place in which a version serves.

    Parameters
    ----------
    traffic
        Percent of the endpoint's requests.
    """

    endpoint: str
    version: int
    traffic: int


@dataclass(frozen=True)
class Row:
    """One version.

    Parameters
    ----------
    released
        Percent of the requests that the manifest gives it; None if the manifest does not name it.
    serves
        Where it serves now.
    """

    version: Version
    released: int | None
    serves: tuple[Served, ...]


@dataclass(frozen=True)
class Listing:
    """The versions of an environment, newest first, and what does not fit together."""

    model: str
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def versions_of(environment: str, folder: Path | None = None) -> Listing:
    """Return the versions of an environment's model.

    Raises
    ------
    RegistryError
        There is no such model.
    ReleaseError
        The manifest is broken, or of another environment or model.
    """
    settings = load(environment, folder)
    model = settings.names.full_model
    manifest = settings.released()
    use_mlflow(settings)
    with answering(settings):
        aliases, found = registry.aliases(model), registry.listed(model)
        served = list(_served(workspace_client(settings), model))
    released = ledger.shares(manifest)
    rows = tuple(
        Row(
            version,
            released.get(version.number),
            tuple(each for each in served if each.version == version.number),
        )
        for version in found
    )
    return Listing(model, rows, tuple(_problems(settings, manifest, rows, aliases)))


def _served(client: WorkspaceClient, model: str) -> Iterator[Served]:
    """Yield the places of a workspace in which versions of a model serve."""
    for endpoint in client.serving_endpoints.list():
        entities = (endpoint.config and endpoint.config.served_entities) or []
        if any(entity.entity_name == model for entity in entities):
            yield from _places(client.serving_endpoints.get(str(endpoint.name)), model)


def _places(endpoint: ServingEndpointDetailed, model: str) -> Iterator[Served]:
    config = endpoint.config.as_dict() if endpoint.config else {}
    share = shares(config)
    for entity in config.get("served_entities") or []:
        if entity.get("entity_name") == model:
            version = int(entity.get("entity_version") or 0)
            yield Served(str(endpoint.name), version, share[str(entity.get("name"))])


def _problems(
    settings: Settings, manifest: Manifest | None, rows: Iterable[Row], aliases: dict[str, int]
) -> Iterator[str]:
    by_number = {row.version.number: row for row in rows}
    for row in by_number.values():
        if row.version.status != registry.READY:
            yield (
                f"version {row.version.number} is {row.version.status}: a build or a copy was "
                "stopped. The same command again removes it"
            )
    if manifest is None:
        return
    file, endpoint = settings.manifest_path.name, settings.names.endpoint
    for entity in manifest.served:
        if entity.version not in by_number:
            yield f"{file} names version {entity.version}, which the registry does not have"
            continue
        live = [s.traffic for s in by_number[entity.version].serves if s.endpoint == endpoint]
        if live != [entity.traffic]:
            now = f"it gets {live[0]} %" if live else "it does not serve"
            yield (
                f"{file} gives version {entity.version} {entity.traffic} % of {endpoint}; {now}: "
                f"`scgpt deploy {settings.environment}`"
            )
    if aliases.get(registry.CHAMPION) != manifest.champion.version:
        yield (
            f"{file} names version {manifest.champion.version} as champion, the alias "
            f"{registry.CHAMPION} is on {aliases.get(registry.CHAMPION, 'none')}"
        )


def as_dict(row: Row) -> dict[str, Any]:
    """Return a row, ready for JSON."""
    version = row.version
    return {
        "version": version.number,
        "status": version.status,
        "aliases": list(version.aliases),
        "released": row.released,
        "serves": [vars(each) for each in row.serves],
        "validated": version.validated,
        "metrics": {name: vars(score) for name, score in version.metrics.items()},
        "created_at": version.created_at.isoformat(),
        "created_by": version.created_by,
        "run_id": version.run_id,
        "evaluated_on": version.tags.get(registry.EVALUATED_ON),
        "source": version.tags.get(registry.COPIED_FROM, version.source),
        "tags": dict(version.tags),
    }
