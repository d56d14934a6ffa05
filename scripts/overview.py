"""All environments at a glance: what each declares, what its workspace says.

A file that cannot be read or a workspace that does not answer is a row with the reason. Workspaces
are asked side by side, within one limit of time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.endpoint import shares
from scgpt_databricks.infra.errors import InfraError
from scgpt_databricks.infra.naming import STACKS
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from . import connection

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.serving import ServingEndpointDetailed

    from .deploy.record import Record

LIMIT_SECONDS = 20.0


@dataclass(frozen=True)
class Row:
    """One environment."""

    environment: str
    workspace: str | None = None
    stacks: tuple[str, ...] = ()
    """Stacks for which it declares something."""
    deployed: tuple[str, ...] | None = None
    """Stacks that are there, by their schema, endpoint, dashboard; None where it was not asked."""
    endpoint: str | None = None
    released: Mapping[int, int] = field(default_factory=dict)
    """Version -> percent of the traffic, as the manifest says."""
    live: Mapping[int, int] | None = None
    """The same as the endpoint does it; None where it was not asked, or does not exist."""
    state: str | None = None
    """``READY``, ``NOT_READY`` or ``UPDATING``; ``absent`` where there is no endpoint."""
    drift: tuple[str, ...] | None = None
    """Fields that are not as declared; None where the workspace was not asked."""
    last_change: datetime | None = None
    """The time of the endpoint's last change, by a deploy or otherwise."""
    last_deploy: Record | None = None
    """The last `scgpt deploy` that changed something and was verified; None where none was."""
    made_by: str | None = None
    """The first deployer of the endpoint: Databricks names no other."""
    problem: str | None = None
    """Why there is no more to say."""

    @property
    def as_released(self) -> bool | None:
        """True where the endpoint serves what the manifest says; None where that is not known."""
        return None if self.live is None else dict(self.live) == dict(self.released)


def overview(
    folder: Path | None = None, *, offline: bool = False, limit_s: float = LIMIT_SECONDS
) -> list[Row]:
    """Return a row for each environment of a folder, in order of names.

    All workspaces together get ``limit_s`` seconds; ``offline`` reads the files only.
    """
    names = settings.known(folder)
    rows: dict[str, Row] = {}
    answers: queue.SimpleQueue[Row] = queue.SimpleQueue()
    asked: set[str] = set()
    for name in names:
        try:
            loaded = settings.load(name, folder)
            manifest = loaded.released()
        except InfraError as error:
            rows[name] = Row(name, problem=str(error))
            continue
        rows[name] = _declared(loaded, manifest)
        if not offline:
            # A daemon: a workspace that never answers must not keep the command from ending.
            arguments = (loaded, manifest, rows[name], limit_s, answers)
            threading.Thread(target=_ask, args=arguments, daemon=True).start()
            asked.add(name)
    deadline = time.monotonic() + limit_s
    while asked:
        try:
            row = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            break
        rows[row.environment] = row
        asked.remove(row.environment)
    for name in asked:
        rows[name] = replace(rows[name], problem=f"no answer within {limit_s:.0f} s")
    return [rows[name] for name in names]


def _declared(loaded: Settings, manifest: Manifest | None) -> Row:
    declared = {
        "registry": True,
        "serving": manifest is not None,
        "monitoring": loaded.monitoring.enabled,
    }
    return Row(
        loaded.environment,
        workspace=loaded.workspace.host,
        stacks=tuple(loaded.names.stack(kind) for kind in STACKS if declared[kind]),
        endpoint=loaded.names.endpoint,
        released={each.version: each.traffic for each in manifest.served} if manifest else {},
    )


def _ask(
    loaded: Settings,
    manifest: Manifest | None,
    row: Row,
    limit_s: float,
    answers: queue.SimpleQueue[Row],
) -> None:
    try:
        answers.put(_found(_client(loaded, limit_s), loaded, manifest, row))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's and no other's
        text = str(error).strip().splitlines()
        reason = text[0] if text else type(error).__name__
        answers.put(replace(row, problem=reason))


def _found(client: WorkspaceClient, loaded: Settings, manifest: Manifest | None, row: Row) -> Row:
    from .deploy import record
    from .deploy.verify import differences

    names = loaded.names
    endpoint = connection.get_or_none(lambda: client.serving_endpoints.get(names.endpoint))
    schema = connection.get_or_none(lambda: client.schemas.get(names.full_schema))
    dashboards = {each.display_name for each in client.lakeview.list()}
    there = {
        "registry": schema is not None,
        "serving": endpoint is not None,
        "monitoring": names.watched("requests") in dashboards,
    }
    row = replace(
        row,
        workspace=client.config.host,
        deployed=tuple(names.stack(kind) for kind in STACKS if there[kind]),
        drift=tuple(map(str, differences(client, loaded, manifest))),
        last_deploy=record.last(client, loaded),
    )
    if endpoint is None:
        return replace(row, state="absent")
    changed = (endpoint.last_updated_timestamp or 0) / 1000
    return replace(
        row,
        live=_live(endpoint),
        state=_state(endpoint),
        last_change=datetime.fromtimestamp(changed, UTC).replace(microsecond=0),
        made_by=endpoint.creator,
    )


def _live(endpoint: ServingEndpointDetailed) -> dict[int, int]:
    config = endpoint.config.as_dict() if endpoint.config else {}
    share = shares(config)
    entities = config.get("served_entities") or []
    return {int(each.get("entity_version") or 0): share[str(each.get("name"))] for each in entities}


def _state(endpoint: ServingEndpointDetailed) -> str:
    state = endpoint.state
    if state and state.config_update and state.config_update.value == "IN_PROGRESS":
        return "UPDATING"
    return state.ready.value if state and state.ready else "NOT_READY"


def _client(loaded: Settings, limit_s: float) -> WorkspaceClient:
    """A client of its own for each environment: variables are the same for all threads."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    limits: dict[str, Any] = {
        "http_timeout_seconds": limit_s,
        "retry_timeout_seconds": int(limit_s),
    }
    connection.require_running(loaded)
    found = connection.variables(loaded)
    if loaded.is_local:
        profiles = connection.profiles_in(Path(found["DATABRICKS_CONFIG_FILE"]))
        local = profiles[str(loaded.workspace.profile)]
        config = Config(host=local["host"], token=local["token"], auth_type="pat", **limits)
    else:
        profile = found.get("DATABRICKS_CONFIG_PROFILE")
        config = Config(host=found["DATABRICKS_HOST"], profile=profile, **limits)
    return WorkspaceClient(config=config)
