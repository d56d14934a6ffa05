"""``scgpt-deployment``: the tasks of the deployment job that each new version of a model starts.

``judge`` measures the version beside the champion, by the gates of a promotion. ``approval`` fails
until a person approved. ``ready`` writes into the history that both are done. What serves is still
decided by the release manifest: the job hands over to ``scgpt promote`` and its review.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow

from scgpt_databricks.infra.errors import DeployError, InfraError, RefusedError
from scgpt_databricks.infra.settings import Endpoint, Gateway, Promotion, Settings
from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import ScgptError
from scgpt_databricks.model.judge import gates
from scgpt_databricks.model.registry import Version

from ..ledger import Entry, Ledger
from . import evidence
from .copy import download
from .text import described

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_LONGEST_COMPARISON = 1800.0  # seconds
_PAUSE = 5.0
LABELS = "bulk_labels"
"""Column of types of the 700 PBMC cells that both versions are asked for."""


def judge(client: WorkspaceClient, settings: Settings, version: Version) -> str:
    """Judge a version beside the champion and write the outcome into the history.

    Returns
    -------
    str
        Gates and metrics, in Markdown.

    Raises
    ------
    RefusedError
        A gate refused; names all that did.
    """
    champion = registry.at_alias(version.model, registry.CHAMPION)
    if champion is not None and champion.number == version.number:
        champion = None
    with tempfile.TemporaryDirectory(prefix="scgpt-judge-") as name:
        scratch = Path(name)
        found = evidence.gather(
            (version, _files(version, scratch / "candidate")),
            (champion, _files(champion, scratch / "champion")) if champion else None,
            approval_needed=False,
            cells=evidence.reference(None, LABELS),
            approved_by="",
            scratch=scratch,
        )
    promotion = settings.promotion
    limits = gates.Limits(promotion.slowdown, frozenset(promotion.licences))
    # The approval is a task of its own.
    judged = [gate for gate in gates.report(found, limits=limits) if gate.name != "approval"]
    failed = [gate for gate in judged if gate.state == "failed"]
    refused = "\n  ".join(f"{gate.name}: {gate.sentence}" for gate in failed)
    facts: dict[str, Any] = {"gates": [asdict(gate) for gate in judged]}
    if failed:
        facts["refused"] = refused
    entry = _entry(client, "judge", version, facts)
    Ledger(client, settings).add(entry.model_copy(update={"state": _state(failed)}))
    if failed:
        raise RefusedError(f"{version.name} is refused:\n  {refused}")
    source = version.tags.get(registry.COPIED_FROM, settings.environment)
    return described(source, settings.environment, found, judged)


def require_approval(client: WorkspaceClient, settings: Settings, version: Version) -> str:
    """Return who approved a version, or fail until somebody does.

    Raises
    ------
    RefusedError
        Says what an approver does.
    """
    if who := version.approved_by(settings.environment):
        return f"{version.name} is approved for {settings.environment} by {who}"
    name = settings.environment
    raise RefusedError(
        f"nobody approved {version.name} for {name}: an approver runs `scgpt approve {name} "
        f"{version.number}`, or presses Approve on the version's page"
    )


def hand_over(client: WorkspaceClient, settings: Settings, version: Version) -> str:
    """Write down that a version may be released; return what releases it."""
    name = settings.environment
    facts = {"approved_by": version.approved_by(name)}
    Ledger(client, settings).add(_entry(client, "ready", version, facts))
    source = version.tags.get(registry.COPIED_FROM)
    build = f"`scgpt build {name} --checkpoint DIR --release`"
    way = f"the promotion of {source}, again" if source else build
    return f"{version.name} may serve {name}. Next: {way}, or a canary of it"


TASKS = {"judge": judge, "approval": require_approval, "ready": hand_over}
"""Key of the task -> what it does; the platform's own button needs the key ``approval``."""


def _entry(client: WorkspaceClient, task: str, version: Version, facts: dict[str, Any]) -> Entry:
    return Entry(
        operation=f"deployment job: {task}",
        what=f"version {version.number}",
        by=str(client.current_user.me().user_name),
        facts=facts,
    )


def _state(failed: Sequence[gates.Gate]) -> str:
    return "refused" if failed else "done"


def _compared(version: Version) -> Version:
    """Wait while a promotion compares a copy with its source, which ends with the tag.

    Raises
    ------
    DeployError
        It takes too long: the promotion was stopped.
    """
    deadline = time.monotonic() + _LONGEST_COMPARISON
    while registry.COPIED_FROM in version.tags and registry.VALIDATED not in version.tags:
        if time.monotonic() > deadline:
            raise DeployError(
                f"{version.name} was never compared with its source: run the promotion again, then "
                "repair this run"
            )
        time.sleep(_PAUSE)
        version = registry.get(version.model, version.number)
    return version


def _files(version: Version, folder: Path) -> Path:
    folder.mkdir()
    return download(version, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the wheel; credentials and the registry come from where it runs."""
    parser = argparse.ArgumentParser(prog="scgpt-deployment", description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--environment", required=True, help="for which it may be released")
    parser.add_argument("--model", required=True, help="catalog.schema.model")
    parser.add_argument("--version", required=True, type=int)
    parser.add_argument("--volume", required=True, help="name of the volume of artifacts")
    parser.add_argument("--slowdown", type=float, default=1.25, help="most, over the champion's")
    parser.add_argument("--licence", action="append", default=[], help="one that may be served")
    given = parser.parse_args(arguments)
    from databricks.sdk import WorkspaceClient

    mlflow.set_registry_uri("databricks-uc")
    try:
        version = registry.ready(given.model, given.version)
        version = _compared(version)
        said = TASKS[given.task](WorkspaceClient(), _settings(given), version)
    except (ScgptError, InfraError) as error:
        sys.exit(str(error))
    sys.stdout.write(said + "\n")


def _settings(given: argparse.Namespace) -> Settings:
    """Return as much of an environment's settings as the job is told."""
    catalog, schema, model = given.model.split(".")
    return Settings.model_construct(
        environment=given.environment,
        catalog=catalog,
        schema_=schema,
        model=model,
        volume=given.volume,
        checkpoints_volume="checkpoints",
        endpoint=Endpoint.model_construct(name=""),
        gateway=Gateway(),
        promotion=Promotion(slowdown=given.slowdown, licences=tuple(given.licence)),
    )
