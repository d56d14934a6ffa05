"""Adopt an endpoint: draft the files, see what Terraform makes of them, write, import.

The workspace is only read. Terraform's state is the one thing that is changed, by ``terraform
import``; where a pipeline alone reaches the state, import blocks are written instead.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra import layout, naming, settings
from scgpt_databricks.infra.errors import DeployError, RefusedError, SettingsError
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.whole_file import write_text

from ..deploy.deployment import opened
from ..deploy.terraform import import_blocks
from ..toml import to_toml
from . import draft, found, imports, workspace
from .changes import Remaining, changes
from .notes import notes

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

Report = Callable[[str], None]
Imports = Mapping[str, Mapping[str, str]]
"""Stack -> address -> id of what Terraform takes over."""

_LOCAL_STATE = {"backend": "local"}


@dataclass(frozen=True)
class Adoption:
    """The result of an adoption: files, imports, changes left to the first deploy."""

    environment: str
    endpoint: str
    files: tuple[Path, ...]
    """TOML file, manifest, and import blocks where those were asked for."""
    imports: Imports
    changes: tuple[Remaining, ...]
    """The changes that the first plan will show."""
    notes: tuple[str, ...]
    applied: bool


def adopt(
    endpoint: str,
    *,
    environment: str,
    profile: str | None = None,
    folder: Path | None = None,
    state: Mapping[str, Any] = _LOCAL_STATE,
    cloud: str | None = None,
    blocks: bool = False,
    dry_run: bool = False,
    report: Report = lambda _: None,
) -> Adoption:
    """Describe an endpoint that was made elsewhere as an environment, and take it over.

    Run again after it was cut off, it goes on. ``state`` is the TOML file's table ``[state]``.
    Without a profile the environment's variables say which workspace it is; without a cloud its
    address does. ``blocks`` writes import blocks instead of importing.

    Raises
    ------
    SettingsError
        When the state cannot be declared like that; nothing was written.
    RefusedError
        When the endpoint cannot be described, or the environment exists already; nothing was
        written.
    DeployError
        When there is no such endpoint, or Terraform fails.
    """
    target = layout.environments_folder(folder)
    login = workspace.connect(environment, profile, target)
    client = login.client
    seen = _look(client, endpoint)
    report(f"{endpoint}: {len(seen.entities)} served, in {seen.host}")
    grants = found.grants(client, _names(seen, environment))
    tables = partial(
        draft.settings_tables,
        seen,
        profile=login.profile,
        grants=grants,
        cloud=cloud,
    )
    command = f"scgpt adopt {environment} --endpoint {endpoint}"
    heading = f"Written by `{command}`; dev.toml explains every key."
    drafted, final = (to_toml(tables(state=each), heading) for each in (_LOCAL_STATE, state))
    manifest = draft.manifest(seen).to_json(environment)
    texts = {
        target / f"{environment}.toml": final,
        layout.manifest_path(target, environment, local=login.local_profiles is not None): manifest,
    }
    _refuse_others(texts)
    _check(endpoint, environment, target, drafted, final)
    # An import writes the caller's entry into the state; what reads a block does not.
    known = "" if blocks else seen.caller
    with _trial(environment, login, drafted, manifest) as trial:
        taken, remaining = _preview(client, environment, trial, report, known=known)
    if blocks:
        texts |= {
            target / f"{stack}.imports.tf.json": import_blocks(each)
            for stack, each in taken.items()
        }
    if not dry_run:
        new = _write(texts)
        login.link(target)
        if not blocks:
            _import(environment, target, taken, new, report, caller=seen.own_access)
    return Adoption(
        environment=environment,
        endpoint=endpoint,
        files=tuple(texts),
        imports=taken,
        changes=tuple(remaining),
        notes=tuple(notes(seen, grants)),
        applied=not dry_run,
    )


def _look(client: WorkspaceClient, endpoint: str) -> found.Found:
    try:
        return found.look(client, endpoint)
    except TimeoutError as error:
        raise DeployError(f"{client.config.host} does not answer: {error}") from error


def _names(seen: found.Found, environment: str) -> naming.Names:
    catalog, schema, model = seen.model
    return naming.Names(
        environment=environment,
        catalog=catalog,
        schema=schema,
        model=model,
        volume=Settings.model_fields["volume"].default,
        endpoint=str(seen.endpoint["name"]),
        inference_table_prefix=None,
    )


@contextmanager
def _trial(environment: str, login: workspace.Login, toml: str, manifest: str) -> Iterator[Path]:
    """A folder of environments that holds this one alone, for as long as it is looked at."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        (folder / f"{environment}.toml").write_text(toml, encoding="utf-8")
        path = layout.manifest_path(folder, environment, local=login.local_profiles is not None)
        path.write_text(manifest, encoding="utf-8")
        login.link(folder)
        yield folder


def _preview(
    client: WorkspaceClient, environment: str, trial: Path, report: Report, *, known: str
) -> tuple[dict[str, dict[str, str]], list[Remaining]]:
    """Find out, in a state of its own, what would be imported and what a plan shows then."""
    taken: dict[str, dict[str, str]] = {}
    remaining: list[Remaining] = []
    with opened(environment, trial, "adopt", report) as deployment:
        for terraform in deployment.stacks:
            stack = json.loads((terraform.folder / "cdk.tf.json").read_text())
            taken[terraform.stack] = imports.ids(client, stack)
            plan = terraform.plan(imports=taken[terraform.stack])
            remaining += changes(terraform.stack, plan, known=known)
            report(f"{terraform.stack}: {len(taken[terraform.stack])} to import")
    return taken, remaining


def _check(endpoint: str, environment: str, target: Path, drafted: str, final: str) -> None:
    """Check the file before it is written: what was found first, then the state beside it."""
    try:
        settings.parse(environment, drafted, target)
    except SettingsError as error:
        raise RefusedError(
            f"{endpoint}: the settings cannot hold it:\n{_problems(error)}"
        ) from error
    try:
        settings.parse(environment, final, target)
    except SettingsError as error:
        raise SettingsError(
            f"--state: nothing was written, as the table [state] would be wrong:\n"
            f"{_problems(error)}"
        ) from error


def _problems(error: SettingsError) -> str:
    """Without the first line, which names a file that is not there."""
    return str(error).partition("\n")[2] or str(error)


def _import(
    environment: str,
    target: Path,
    taken: Imports,
    new: list[Path],
    report: Report,
    *,
    caller: tuple[str, str, str] | None,
) -> None:
    """Take what exists into the declared state; what is in it already stays."""
    with opened(environment, target, "adopt", report) as deployment:
        try:
            stacks = deployment.stacks
        except DeployError:
            # The state is not there: the next try will say another one.
            for path in new:
                path.unlink()
            raise
        for terraform in stacks:
            there = terraform.plan().held
            terraform.forget_plan()
            for address, identifier in sorted(taken[terraform.stack].items()):
                if address not in there:
                    terraform.take(address, identifier)
                    if caller and address.startswith("databricks_permissions."):
                        terraform.edit_state(partial(imports.add_caller, caller=caller))
                    report(f"{terraform.stack}: imported {address}")


def _refuse_others(texts: Mapping[Path, str]) -> None:
    """An environment of this name that says something else is not overwritten."""
    different = [
        str(path)
        for path, text in texts.items()
        if path.exists() and path.read_text(encoding="utf-8") != text
    ]
    if different:
        raise RefusedError(
            f"{', '.join(different)} exists and says something else: choose another name, "
            "or another folder with --environments"
        )


def _write(texts: Mapping[Path, str]) -> list[Path]:
    """Write the files; returns those that are new."""
    new = [path for path in texts if not path.exists()]
    for path, text in texts.items():
        write_text(path, text)
    return new
