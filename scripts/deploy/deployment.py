"""One environment and what a deploy of it works on: settings, release, stacks, plans."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.guards import Facts, check, on_waivers, ungoverned
from scgpt_databricks.infra.naming import STACKS
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from .. import connection
from . import facts
from .lock import only_one
from .results import PlanResult, StackPlan, counted
from .terraform import Report, Terraform
from .tools import require_tools
from .variables import child_environment, provider
from .verify import Difference, differences

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@contextmanager
def opened(name: str, folder: Path | None, operation: str, report: Report) -> Iterator[Deployment]:
    """The environment, held against other deploys on this machine.

    Raises
    ------
    SettingsError
        The environment is unknown, or its file is wrong.
    DeployError
        A tool is missing or too old, or another process works on the environment.
    """
    loaded = settings.load(name, folder)
    for finding in on_waivers(loaded, Facts().today):  # before a plan, which takes half a minute
        report(f"{name}: {finding.severity}: {finding}")
    require_tools()
    connection.require_running(loaded)
    with only_one(layout.runtime_folder(loaded.folder) / "deploy" / f"{name}.lock", operation):
        with connection.answering(loaded):
            deployment = Deployment.of(loaded, report)
        try:
            with connection.answering(loaded):
                yield deployment
        finally:
            deployment.forget_plans()


def bring_imports(environments: Path, stack: Path) -> None:
    """Put the import blocks of ``scgpt adopt --blocks`` beside the synthesised stack."""
    blocks = environments / f"{stack.name}.imports.tf.json"
    beside = stack / "imports.tf.json"
    if blocks.exists():
        shutil.copyfile(blocks, beside)
    else:
        beside.unlink(missing_ok=True)  # left by an earlier run


def left_over(plan: Plan, known: Facts) -> dict[str, str]:
    """Return what a plan would create and an own earlier deploy has made: address -> import id.

    A creation that took effect but whose answer was lost is in no state. An endpoint that never
    worked is not among them: it is made anew.
    """
    return {
        change.address: found.import_id
        for change in plan.changes
        if change.created
        and (found := known.left_over(change.address)) is not None
        and not found.broken
    }


@dataclass(frozen=True)
class Deployment:
    """One environment, while a command works on it."""

    settings: Settings
    report: Report

    @classmethod
    def of(cls, settings: Settings, report: Report) -> Deployment:
        """Log in: whoever is logged in deploys, where the file does not say who does."""
        deployment = cls(settings, report)
        me = deployment.client.current_user.me().user_name
        return cls(settings.deployed_by(me), report)

    @cached_property
    def manifest(self) -> Manifest | None:
        return self.settings.released()

    @cached_property
    def provider(self) -> str:
        found = provider()
        if found.kind == "stand-in" and not self.settings.is_local:
            raise DeployError(
                f"{self.settings.environment} needs the provider {found.label.split()[0]}, which "
                "Terraform cannot get here: the stand-in reaches the local workspace only. Reach "
                "the public registry or configure a mirror, then `scgpt provider --refresh`"
            )
        return found.label

    @cached_property
    def client(self) -> WorkspaceClient:
        for name in connection.foreign_variables(self.settings):
            del os.environ[name]
        return connection.workspace_client(self.settings)

    @cached_property
    def outdir(self) -> Path:
        # One per kind of provider: the checksums of one do not fit the other.
        folder = layout.runtime_folder(self.settings.folder) / "deploy"
        return folder / f"{self.settings.environment}-{provider().kind}"

    @cached_property
    def stacks(self) -> list[Terraform]:
        """The stacks, synthesised and initialised, in the order in which they are deployed."""
        self.report(f"{self.settings.environment}: provider {self.provider}")
        manifest = self.manifest  # before anything is run: it may be wrong
        environment = {
            **child_environment(self.settings),
            "CDKTF_OUTDIR": str(self.outdir),
            "SCGPT_DEPLOYER": self.settings.managed_by or "",
        }
        self._synthesise(environment)
        stacks = []
        # Folders of stacks that are no longer declared may still lie there.
        declared = json.loads((self.outdir / "manifest.json").read_text())["stacks"]
        for name in (self.settings.names.stack(kind) for kind in STACKS):
            if name not in declared:
                continue
            folder = self.outdir / "stacks" / name
            bring_imports(self.settings.folder, folder)
            terraform = Terraform(folder, environment, self.report)
            terraform.init(forget_lock=provider().kind == "stand-in")
            stacks.append(terraform)
        if manifest is None:
            self.report(
                f"{self.settings.environment}: nothing released yet (no "
                f"{self.settings.manifest_path.name}): no endpoint"
            )
        return stacks

    def plan_all(self) -> PlanResult:
        """Plan every stack, and let the guards judge.

        What an own earlier deploy left over is planned as an import: it is part of what is judged
        and reviewed.
        """
        plans = [terraform.plan() for terraform in self.stacks]
        known = facts.gather(self.client, self.settings, plans)
        for index, terraform in enumerate(self.stacks):
            if imports := left_over(plans[index], known):
                plans[index] = terraform.plan(imports=imports)
        beyond = (
            *ungoverned(self.settings, known, released=self.manifest is not None),
            *on_waivers(self.settings, known.today),
        )
        return PlanResult(
            self.settings.environment,
            self.provider,
            tuple(
                self.judged(terraform, plan, known)
                for terraform, plan in zip(self.stacks, plans, strict=True)
            ),
            known,
            beyond,
            released=self.manifest is not None,
        )

    def forget_plans(self) -> None:
        """Remove the plans' files: they hold values of variables as plain text."""
        for terraform in self.__dict__.get("stacks", []):  # where it came that far
            terraform.forget_plan()

    def plan_one(self, terraform: Terraform, targets: Sequence[str] = ()) -> StackPlan:
        """Plan one stack as it is, or only the targets, and let the guards judge."""
        plan = terraform.plan(targets=targets)
        return self.judged(terraform, plan, facts.gather(self.client, self.settings, [plan]))

    def judged(self, terraform: Terraform, plan: Plan, known: Facts | None) -> StackPlan:
        """Return a plan with what the guards say to it; without facts it is not judged."""
        self.report(f"{terraform.stack}: {counted(len(plan.changes), 'change')}")
        findings = () if known is None else tuple(check(plan, self.settings, known))
        return StackPlan(terraform.stack, plan, findings)

    def differences(self) -> list[Difference]:
        """Return the fields in which the workspace is not as declared."""
        return differences(self.client, self.settings, self.manifest)

    def _synthesise(self, environment: dict[str, str]) -> None:
        self.outdir.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "scgpt_databricks.infra.main"],
            cwd=self.outdir,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeployError(f"synthesis failed:\n{done.stderr.strip()}")
        self.report(f"{self.settings.environment}: synthesised")
