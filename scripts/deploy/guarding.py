"""Judge a plan that somebody else has made."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.guards import (
    Facts,
    Finding,
    check,
    deployer,
    destruction,
    on_waivers,
    refusals,
    skipped,
    ungoverned,
)
from scgpt_databricks.infra.plan import Plan, PlanError
from scgpt_databricks.infra.settings import Settings

from .. import connection
from . import facts


@dataclass(frozen=True)
class Judgement:
    """The guards' findings on one plan."""

    findings: tuple[Finding, ...]
    skipped: dict[str, str]
    """Checks that could not be made, with the reason."""

    @property
    def refused(self) -> bool:
        """True where a guard refuses the plan."""
        return bool(refusals(self.findings))


def judge(path: Path, environment: str | None, folder: Path | None) -> Judgement:
    """Judge the plan in a file (``-``: on stdin), with what ``environment`` is known for.

    Raises
    ------
    PlanError
        When the file is no plan as JSON.
    """
    plan = _read(path)
    if environment is None:
        known = Facts()
        return Judgement(tuple(check(plan, None, known)), skipped(None, known))
    loaded = settings.load(environment, folder)
    connection.require_running(loaded)
    with connection.answering(loaded):
        known = facts.gather(connection.workspace_client(loaded), loaded, [plan])
    return Judgement(tuple(_findings(plan, loaded, known)), skipped(loaded, known))


def _read(path: Path) -> Plan:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return Plan.of(json.loads(text))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"{path}: no JSON: give what `terraform show -json PLANFILE` prints"
        ) from error
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


def _findings(plan: Plan, loaded: Settings, known: Facts) -> Iterator[Finding]:
    yield from check(plan, loaded, known)
    yield from deployer(loaded, known)
    # As `terraform plan -destroy` makes it.
    if {change.action for change in plan.changes} - {"forget"} == {"delete"}:
        yield from destruction(loaded, known)
    yield from ungoverned(loaded, known, released=loaded.released() is not None)
    yield from on_waivers(loaded, known.today)
