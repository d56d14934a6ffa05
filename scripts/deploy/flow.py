"""Plan, deploy and destroy one environment, stack by stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import layout, release, settings
from infra.errors import DeployError, RefusedError
from infra.guards import Facts, check
from infra.naming import STACKS
from infra.release import Manifest
from infra.settings import Settings
from scripts import connection

from . import verify
from .results import DeployResult, PlanResult, StackPlan
from .terraform import ApplyError, Report, Terraform
from .variables import child_environment, provider

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@dataclass(frozen=True)
class _Deployment:
    """One environment on its way: its settings, its release, where it is worked on."""

    settings: Settings
    report: Report

    @cached_property
    def manifest(self) -> Manifest | None:
        names = self.settings.names
        return release.find(self.settings.manifest_path, model=names.full_model)

    @cached_property
    def provider(self) -> str:
        found = provider()
        if found.kind == "stand-in" and not self.settings.is_local:
            raise DeployError(
                f"{self.settings.environment} needs the provider {found.label.split()[0]}, which "
                "Terraform cannot get here: the stand-in reaches the local workspace only"
            )
        return found.label

    @cached_property
    def environment(self) -> dict[str, str]:
        return {**child_environment(self.settings), "CDKTF_OUTDIR": str(self.outdir)}

    @cached_property
    def outdir(self) -> Path:
        # One per kind of provider: the checksums of one do not fit the other.
        folder = layout.runtime_folder(self.settings.folder) / "deploy"
        return folder / f"{self.settings.environment}-{provider().kind}"

    @cached_property
    def client(self) -> WorkspaceClient:
        for name in connection.foreign_variables(self.settings):
            del os.environ[name]
        return connection.workspace_client(self.settings)

    def stacks(self) -> list[Terraform]:
        """Synthesise, and prepare the stacks in the order in which they are deployed."""
        connection.require_running(self.settings)
        self.report(f"{self.settings.environment}: provider {self.provider}")
        self._synthesise()
        kinds = [kind for kind in STACKS if kind != "serving" or self.manifest is not None]
        stacks = []
        for kind in kinds:
            folder = self.outdir / "stacks" / self.settings.names.stack(kind)
            terraform = Terraform(folder, self.environment, self.report)
            terraform.init(forget_lock=provider().kind == "stand-in")
            stacks.append(terraform)
        if self.manifest is None:
            self.report(
                f"{self.settings.environment}: nothing released yet (no "
                f"{self.settings.manifest_path.name}): the registry only"
            )
        return stacks

    def plan(
        self, terraform: Terraform, facts: Facts | None, *, destroy: bool = False
    ) -> StackPlan:
        """Plan one stack; a destroy is not judged."""
        planned = terraform.plan(destroy=destroy)
        changes = tuple(_changes(planned))
        counted = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
        self.report(f"{terraform.stack}: {counted}")
        findings = () if facts is None else tuple(check(planned, self.settings, facts))
        for finding in findings:
            self.report(f"{terraform.stack}: {finding.severity}: {finding}")
        return StackPlan(terraform.stack, changes, findings)

    def differences(self) -> list[str]:
        """Where the workspace is not as deployed."""
        found = verify.registry_differences(self.client, self.settings)
        if self.manifest is not None:
            found += verify.serving_differences(self.client, self.settings, self.manifest)
        return found

    def _synthesise(self) -> None:
        self.outdir.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "infra.main"],
            cwd=layout.ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeployError(f"synthesis failed:\n{done.stderr.strip()}")
        self.report(f"{self.settings.environment}: synthesised")


def plan(name: str, *, folder: Path | None = None, report: Report = lambda _: None) -> PlanResult:
    """Plan an environment and let the guards judge; nothing is changed.

    Parameters
    ----------
    name
        Environment.
    folder
        Folder of the environments; by default the repository's.
    report
        Receives progress, line by line.

    Raises
    ------
    InfraError
        When settings or manifest are wrong, or Terraform fails.
    """
    deployment = _Deployment(settings.load(name, folder), report)
    stacks = deployment.stacks()
    result = _plan_all(deployment, stacks)
    for terraform in stacks:
        terraform.forget_plan()
    return result


def second_plan(name: str, *, folder: Path | None = None) -> int:
    """How many changes a plan of the environment holds; 0 after a deploy."""
    return plan(name, folder=folder).changes


def deploy(
    name: str,
    *,
    folder: Path | None = None,
    dry_run: bool = False,
    report: Report = lambda _: None,
) -> DeployResult:
    """Deploy an environment: plan all, guard all, apply those plans, verify by API.

    Raises
    ------
    RefusedError
        When a guard refuses; nothing was changed.
    DeployError
        When Terraform fails, or the workspace does not hold what was deployed.
    """
    started = time.monotonic()
    deployment = _Deployment(settings.load(name, folder), report)
    stacks = deployment.stacks()
    planned = _plan_all(deployment, stacks)
    if planned.refused:
        refusals = [str(f) for f in planned.findings if f.severity == "refuse"]
        raise RefusedError("\n  ".join([f"{name}: refused, nothing was changed:", *refusals]))
    if dry_run:
        return DeployResult(planned, False, False, time.monotonic() - started)
    try:
        _apply(stacks, planned)
    except ApplyError as error:
        # The state may now claim changes that were never made, which no later plan shows.
        found = "\n  ".join([f"{error}", "The workspace differs:", *deployment.differences()])
        raise DeployError(found) from error
    _verify(deployment)
    return DeployResult(planned, planned.changes > 0, True, time.monotonic() - started)


def destroy(
    name: str,
    *,
    folder: Path | None = None,
    dry_run: bool = False,
    report: Report = lambda _: None,
) -> DeployResult:
    """Destroy an environment: the endpoint first, then schema, volume and model with all versions.

    Raises
    ------
    RefusedError
        When the environment has deletion protection; nothing was changed.
    DeployError
        When Terraform fails.
    """
    started = time.monotonic()
    loaded = settings.load(name, folder)
    if loaded.deletion_protection:
        raise RefusedError(
            f"{name} has deletion protection; to take it down, set deletion_protection = false in "
            f"{loaded.folder / f'{name}.toml'}, deploy, then destroy"
        )
    deployment = _Deployment(loaded, report)
    if deployment.manifest is None:
        _require_no_endpoint(loaded)
    stacks = deployment.stacks()[::-1]
    planned = PlanResult(
        name,
        deployment.provider,
        tuple(deployment.plan(terraform, None, destroy=True) for terraform in stacks),
    )
    if dry_run:
        return DeployResult(planned, False, False, time.monotonic() - started)
    _apply(stacks, planned)
    if loaded.is_local:
        # It names versions that are gone now. Elsewhere it is a reviewed file.
        loaded.manifest_path.unlink(missing_ok=True)
    return DeployResult(planned, planned.changes > 0, False, time.monotonic() - started)


def _plan_all(deployment: _Deployment, stacks: list[Terraform]) -> PlanResult:
    facts = verify.facts(deployment.client, deployment.settings)
    return PlanResult(
        deployment.settings.environment,
        deployment.provider,
        tuple(deployment.plan(terraform, facts) for terraform in stacks),
    )


def _apply(stacks: list[Terraform], planned: PlanResult) -> None:
    for terraform, plan_ in zip(stacks, planned.stacks, strict=True):
        if plan_.changes:
            terraform.apply()
        else:
            terraform.forget_plan()


def _verify(deployment: _Deployment) -> None:
    found = deployment.differences()
    if found:
        names = deployment.settings.names
        stack = deployment.outdir / "stacks" / names.stack("serving")
        remedy = (
            "Plan again. Where that shows no change, the provider does not see it; make it look "
            f'again, after eval "$(scgpt env {names.environment})", in {stack}: '
            "terraform state rm databricks_model_serving.endpoint && "
            f"terraform import databricks_model_serving.endpoint {names.endpoint}"
        )
        lines = [f"{names.environment}: deployed, but the workspace differs:", *found, remedy]
        raise DeployError("\n  ".join(lines))
    deployment.report(f"{deployment.settings.environment}: verified by API")


def _changes(planned: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (entry["address"], "+".join(entry["change"]["actions"]))
        for entry in planned.get("resource_changes", [])
        if entry["change"]["actions"] not in (["no-op"], ["read"])
    ]


def _require_no_endpoint(loaded: Settings) -> None:
    """Refuse to destroy the registry under an endpoint whose manifest was lost."""
    state = layout.state_folder(loaded.folder) / f"{loaded.names.stack('serving')}.tfstate"
    if state.exists() and json.loads(state.read_text()).get("resources"):
        raise DeployError(
            f"{loaded.environment} has an endpoint, but no {loaded.manifest_path}: put the release "
            "manifest back, so that the endpoint can be destroyed first"
        )
