"""The workspace as every handler reaches it: store, folder, clock, principals."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .store import Document, Store

WORKSPACE_ID = "1234567890123456"
METASTORE_ID = "00000000-0000-4000-8000-000000000001"
BUILDER_APPLICATION_ID = "00000000-0000-4000-8000-0000000000b1"


@dataclass(frozen=True)
class Principal:
    """A caller: who it is and which groups it is in. `admins` may do everything.

    ``name`` is what grants and access control lists call it: the e-mail address of a user, the
    application id of a service principal.
    """

    id: str
    name: str
    groups: tuple[str, ...] = ()

    @property
    def is_admin(self) -> bool:
        return "admins" in self.groups


def stamps(owner: str, now_ms: int) -> Document:
    """Return owner and times of a new securable."""
    made, changed = {"created_at": now_ms, "created_by": owner}, {"updated_at": now_ms}
    return {"metastore_id": METASTORE_ID, "owner": owner, **made, **changed, "updated_by": owner}


def time_text(milliseconds: int) -> str:
    """Write a time in UTC, as the newer parts of the API answer it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Workspace:
    """One running instance.

    Parameters
    ----------
    folder
        Everything that the instance keeps: store, files, Delta tables, logs.
    url
        ``http://127.0.0.1:PORT``.
    """

    folder: Path
    url: str
    store: Store = field(init=False)
    runtime: dict[str, Any] = field(init=False, default_factory=dict)
    """Objects of the running process by API area (child processes, clients); never persisted."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        self.store = Store(self.folder / "store.sqlite")

    @property
    def files(self) -> Path:
        """Root of ``/Volumes``, ``/Models`` and ``/WorkspaceInternal``."""
        return self.folder / "files"

    @property
    def tables(self) -> Path:
        """Root of the Delta tables, one folder ``catalog.schema.table`` each."""
        return self.folder / "tables"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def now_ms(self) -> int:
        """Return the workspace's clock, UTC, in milliseconds; control routes can move it."""
        offset = self.store.get("control", "clock")
        return int(time.time() * 1000) + (int(offset["offset_ms"]) if offset else 0)

    def new_id(self) -> str:
        """32 hex digits, as Databricks gives to endpoints and entities."""
        return uuid.uuid4().hex
