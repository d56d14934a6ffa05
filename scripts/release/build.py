"""Build a version for one environment, and release it or propose it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

from scgpt_databricks.infra import release
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.release import Manifest, ReleaseError, Served
from scgpt_databricks.infra.settings import Settings, load
from scgpt_databricks.model import registry
from scgpt_databricks.model.build import BuildResult, build
from scgpt_databricks.model.errors import RegistryError
from scgpt_databricks.model.evidence.labelled import Labelled

from ..commit import git_commit
from ..connection import answering, use_mlflow, workspace_client
from ..ledger import Entry, Ledger, shares
from .candidates import require_no_canary, require_not_taken_back
from .point import point_to
from .vocabulary import beside_champion

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@dataclass(frozen=True)
class Built:
    """A registered version, and what the environment's manifest says of it."""

    version: BuildResult
    manifest: Path
    released: bool
    """True where the manifest gives all requests to this version."""
    vocabulary: str = ""
    """How its vocabulary differs from the champion's; empty where it does not."""


def build_for(
    environment: str,
    checkpoint: Path,
    *,
    folder: Path | None = None,
    labelled: Labelled | None = None,
    origin: Mapping[str, str] | None = None,
    clean_environment: bool = True,
    allowed_path_prefixes: Sequence[str] = (),
    with_hvg: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    force: bool = False,
    release_now: bool = False,
    why: str = "",
) -> Built:
    """Build, validate and register a version; release it where nothing is replaced by accident.

    The first version of an environment and every one of a local workspace is released at once.
    Elsewhere the version is proposed: the manifest stays as it is. The manifest is written last, so
    a build that fails changes nothing that is live. Aliases follow it, and the history of the
    environment. ``release_now`` replaces what it names in any environment; the other options are
    those of ``scgpt_databricks.model.build.build``.

    Raises
    ------
    ReleaseError
        The manifest that is there is broken, of another environment or model, names a champion
        that the registry does not hold, or is to be replaced during a canary. Raised before
        anything is built. Or the build finds a version that was rolled back; nothing changes.
    DeployError
        The workspace cannot be reached, stops answering, or holds no schema for the model.
    """
    settings = load(environment, folder)
    current = settings.released()
    replace = release_now or settings.is_local
    if replace:
        require_no_canary(settings, current)
    with answering(settings):
        client = reach(settings)
        vocabulary = ""
        if current is not None:
            model, live = settings.names.full_model, current.champion.version
            vocabulary = beside_champion(checkpoint, model, live)
        if vocabulary:
            notify(vocabulary)
        champion = _champion(settings, current) if labelled is not None else None
        version = build(
            checkpoint,
            model=settings.names.full_model,
            experiment=settings.names.experiment,
            git_commit=git_commit(),
            labelled=labelled,
            champion=champion,
            origin=origin,
            clean_environment=clean_environment,
            allowed_path_prefixes=allowed_path_prefixes,
            with_hvg=with_hvg,
            torch=settings.torch,
            notify=notify,
            force=force,
        )
        if replace and version.reused:
            found = registry.get(version.model, version.version)
            require_not_taken_back(settings, found)
        before = shares(settings.released())
        released = _release(settings, _alone(version), replace=replace)
        if released:
            _move_aliases(version, notify)
        built = Built(version, settings.manifest_path, released, vocabulary)
        _write_down(Ledger(client, settings), built, before, why, notify)
        return built


def reach(settings: Settings) -> WorkspaceClient:
    """Point mlflow to the workspace; stop where no deploy has made the model's schema yet."""
    from databricks.sdk.errors import NotFound, PermissionDenied

    use_mlflow(settings)
    schema, name = settings.names.full_schema, settings.environment
    client = workspace_client(settings)
    try:
        client.schemas.get(schema)
    except NotFound as error:
        raise DeployError(
            f"{name} has no schema {schema} yet, in which the version would be registered: "
            f"`scgpt deploy {name}` makes it"
        ) from error
    except PermissionDenied:  # who may not see it may still register there
        pass
    return client


def _write_down(
    ledger: Ledger,
    built: Built,
    before: Mapping[int, int],
    why: str,
    notify: Callable[[str], None],
) -> None:
    """Write a new version, or the release of an old one, into the history.

    The entry of a new version has an id that follows from its run, so that a build which was cut
    off before this is written down by the next one, once. That one finds its version in the
    manifest already, so the history says what served before.
    """
    from databricks.sdk.errors import DatabricksError

    version = built.version
    after = shares(ledger.settings.released()) if built.released else {}
    facts: dict[str, Any] = {
        "checkpoint_sha256": version.checkpoint_sha256,
        "run_id": version.run_id,
        "validated": version.validated,
        "parity": version.parity,
        "vocabulary": built.vocabulary,
    }
    first = version.run_id[-8:]
    try:
        known = ledger.has(first)
        if after == before and after:
            before = ledger.served()
        if known and (not after or after == before):
            return
        entry = Entry(
            operation="release" if known else "build",
            what=f"version {version.version}",
            by=str(ledger.client.current_user.me().user_name),
            why=why,
            before=dict(before),
            after=after,
            facts=facts,
        )
        ledger.add(entry if known else entry.model_copy(update={"id": first}))
    except (DatabricksError, DeployError) as error:  # who may build need not hold the volume
        notify(f"the history lacks this build: {error}")


def _release(settings: Settings, version: Served, *, replace: bool) -> bool:
    """Point the manifest to a version where there is none yet, or where it may be replaced."""
    current = settings.released()  # read again: the build took minutes
    if current is None or replace:
        point_to(settings, [version])
        return True
    return current.served == (version,)


def _move_aliases(version: BuildResult, notify: Callable[[str], None]) -> None:
    try:
        registry.point_aliases(version.model, version.version)
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        # A builder may add versions, and need not own the model.
        notify(f"aliases stay: {str(error).removeprefix('PERMISSION_DENIED: ')}")


def _champion(settings: Settings, manifest: Manifest | None) -> registry.Version | None:
    """Return the version that is live now."""
    if manifest is None:
        return None
    try:
        return registry.ready(manifest.model, manifest.champion.version)
    except RegistryError as error:
        raise ReleaseError(
            f"{settings.manifest_path} and the registry disagree: {error.message}"
        ) from error


def _alone(version: BuildResult) -> Served:
    return Served(
        version=version.version,
        traffic=100,
        role=release.CHAMPION,
        run_id=version.run_id,
        checkpoint_sha256=version.checkpoint_sha256,
        signature_digest=version.signature_digest,
        engine_digest=version.engine_digest,
    )
