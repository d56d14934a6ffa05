"""The ledger of an environment: who released what, when, from where, to where and why.

It lies in the environment's volume of artifacts, one small file for each operation, so that
everybody who may read the volume sees one history, from any machine. An operation that has begun is
the file ``open.json`` until it ends: there is one at most, hence one operation at a time.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from . import volume
from .commit import git_commit

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_OPEN = "open.json"


class Entry(BaseModel):
    """One operation on the versions of an environment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    operation: str
    """The command: ``build``, ``promote``, ``rollback``, ``canary start``."""
    what: str
    """The request: ``dev version 3``."""
    state: Literal["open", "done", "refused"] = "open"
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    by: str
    """User name, or application id of a service principal."""
    host: str = Field(default_factory=socket.gethostname)
    """The machine that it ran on."""
    commit: str = Field(default_factory=git_commit)
    why: str = ""
    before: dict[int, int] = Field(default_factory=dict)
    """Version -> percent of the requests."""
    after: dict[int, int] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    """Facts found on the way, such as gates with their numbers."""
    id: str = Field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def file(self) -> str:
        """Name of its file: the order of names is that of time."""
        return f"{self.at:%Y%m%dT%H%M%S.%fZ}-{self.id}.json"

    def same_work(self, other: Entry) -> bool:
        """Tell whether both ask for the same thing: the later goes on with the earlier."""
        return (self.operation, self.what) == (other.operation, other.what)


def shares(manifest: Manifest | None) -> dict[int, int]:
    """Return version -> percent of the requests, as a manifest says."""
    return {each.version: each.traffic for each in manifest.served} if manifest else {}


def shown(found: Mapping[int, int]) -> str:
    """Return version -> percent for people."""
    return ", ".join(f"version {version}: {share} %" for version, share in found.items())


@dataclass(frozen=True)
class Ledger:
    """The ledger of one environment."""

    client: WorkspaceClient
    settings: Settings

    def open(self) -> Entry | None:
        """Return the operation that has begun and not ended."""
        return self._read(_OPEN)

    def begin(self, entry: Entry) -> None:
        """Write down that an operation begins; nothing happens where it is written already.

        Raises
        ------
        DeployError
            Another operation is open, or the environment has no volume yet.
        """
        from databricks.sdk.errors import AlreadyExists, NotFound

        try:
            self.client.files.create_directory(self._folder)
            self._write(_OPEN, entry, overwrite=False)
        except AlreadyExists:
            self.require_free(entry)
        except NotFound as error:
            raise self._no_volume() from error

    def require_free(self, entry: Entry, *, resume: bool = False) -> Entry:
        """Return the entry to go on with: the open one where it is of the same work.

        Raises
        ------
        DeployError
            Another operation is open, or the same one on another machine.
        """
        found = self.open()
        if found is None or found.id == entry.id:
            return entry
        here = found.host == entry.host
        if found.same_work(entry) and (here or resume):
            return found
        name, whose = self.settings.environment, f"{found.by} on {found.host}"
        way_out = "Wait until it is done, or run the same command again to end it"
        if found.same_work(entry):
            way_out = "Wait until it is done; where that machine is gone, go on with --resume"
        raise DeployError(
            f"{name}: {found.operation} of {found.what}, begun by {whose} at "
            f"{found.at:%Y-%m-%d %H:%M} UTC, has not ended. {way_out}"
        )

    def update(self, entry: Entry) -> None:
        """Write down what is known by now of the operation that is open."""
        self._write(_OPEN, entry)

    def close(self, entry: Entry) -> None:
        """Write down how an operation ended."""
        self._write(entry.file, entry)
        volume.remove(self.client, f"{self._folder}/{_OPEN}")

    def add(self, entry: Entry) -> None:
        """Write down what was done at once.

        Raises
        ------
        DeployError
            The environment has no volume yet.
        """
        from databricks.sdk.errors import NotFound

        try:
            self.client.files.create_directory(self._folder)
            state = "done" if entry.state == "open" else entry.state
            self._write(entry.file, entry.model_copy(update={"state": state}))
        except NotFound as error:
            raise self._no_volume() from error

    def has(self, id_: str) -> bool:
        """Tell whether an operation that ended has this id."""
        return any(name.endswith(f"-{id_}.json") for name in self._files())

    def entries(self, last: int | None = None) -> list[Entry]:
        """Return the operations, the oldest first; an open one is the last."""
        listed = self._files()
        names = sorted(name for name in listed if name != _OPEN)
        names = names[-last:] if last else names
        found = [self._read(name) for name in [*names, *([_OPEN] if _OPEN in listed else [])]]
        return [entry for entry in found if entry is not None]

    def served(self) -> dict[int, int]:
        """Return version -> percent as the last operation that changed it left it."""
        return next((entry.after for entry in reversed(self.entries()) if entry.after), {})

    @property
    def _folder(self) -> str:
        return self.settings.names.history

    def _files(self) -> list[str]:
        from databricks.sdk.errors import NotFound

        try:
            return [str(f.name) for f in self.client.files.list_directory_contents(self._folder)]
        except NotFound:
            return []

    def _no_volume(self) -> DeployError:
        name = self.settings.environment
        return DeployError(
            f"{name} has no volume {self.settings.names.full_volume}, which holds the history of "
            f"its versions: `scgpt deploy {name}` makes it"
        )

    def _write(self, name: str, entry: Entry, *, overwrite: bool = True) -> None:
        volume.write(self.client, f"{self._folder}/{name}", entry, overwrite=overwrite)

    def _read(self, name: str) -> Entry | None:
        return volume.read(self.client, f"{self._folder}/{name}", Entry)
