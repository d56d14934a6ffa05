"""Judge a plan that somebody else has made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.guards import (
    Facts,
    Finding,
    Json,
    check,
    deployer,
    destruction,
    on_waivers,
    refusals,
    skipped,
    ungoverned,
)
from scgpt_databricks.infra.settings import Settings

from .. import connection
from . import facts, plan_file
from .results import changes_of


@dataclass(frozen=True)
class Judgement:
    """What the guards say to one plan."""

    findings: tuple[Finding, ...]
    skipped: dict[str, str]
    """Checks that could not be made, with the reason."""

    @property
    def refused(self) -> bool:
        return bool(refusals(self.findings))


def judge(plan: Path, environment: str | None, folder: Path | None) -> Judgement:
    """Judge the plan in a file (``-``: on stdin), with what ``environment`` is known for.

    Raises
    ------
    PlanFileError
        When the file is no plan as JSON.
    """
    document = plan_file.read(plan)
    if environment is None:
        known = Facts()
        return Judgement(tuple(check(document, None, known)), skipped(None, known))
    loaded = settings.load(environment, folder)
    connection.require_running(loaded)
    with connection.answering(loaded):
        known = facts.gather(connection.workspace_client(loaded), loaded, [document])
    return Judgement(tuple(_findings(document, loaded, known)), skipped(loaded, known))


def _findings(document: Json, loaded: Settings, known: Facts) -> Iterator[Finding]:
    yield from check(document, loaded, known)
    yield from deployer(loaded, known)
    # As `terraform plan -destroy` makes it.
    if {action for _, action in changes_of(document)} - {"forget"} == {"delete"}:
        yield from destruction(loaded, known)
    manifest = release.find(loaded.manifest_path, model=loaded.names.full_model)
    yield from ungoverned(loaded, known, released=manifest is not None)
    yield from on_waivers(loaded, known.today)
