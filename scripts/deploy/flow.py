"""Plan, deploy and destroy one environment, stack by stack."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.infra.guards import Facts, Finding, deployer, destruction, refusals

from .. import connection, wheel
from ..commit import git_commit
from . import aliases, deployment_job, facts, record
from .deployment import Deployment, opened
from .results import DeployResult, PlanResult, StackPlan
from .sweep import sweep
from .terraform import ApplyError, Report, Terraform
from .unseen import differing, read_anew, take_away
from .verify import Difference, await_endpoint

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def plan(name: str, *, folder: Path | None = None, report: Report = lambda _: None) -> PlanResult:
    """Plan an environment and let the guards judge; nothing is changed.

    Raises
    ------
    InfraError
        When settings or manifest are wrong, or Terraform fails.
    """
    with opened(name, folder, "plan", report) as deployment:
        return deployment.plan_all()


def second_plan(name: str, *, folder: Path | None = None) -> int:
    """Return how many changes a plan of the environment holds; 0 after a deploy."""
    return plan(name, folder=folder).changes


def deploy(
    name: str,
    *,
    folder: Path | None = None,
    dry_run: bool = False,
    reviewed: str | None = None,
    report: Report = lambda _: None,
) -> DeployResult:
    """Deploy an environment: plan all, guard all, apply those plans, verify by API.

    Where the digest of a ``reviewed`` plan is given, no other plan is applied.

    Raises
    ------
    RefusedError
        When a guard refuses, or the plan is not the reviewed one; nothing was changed.
    DeployError
        When Terraform fails, or the workspace does not hold what was deployed.
    """
    started = time.monotonic()
    with opened(name, folder, "deploy", report) as deployment:
        planned = deployment.plan_all()
        _refuse(name, planned.findings, report)
        if reviewed is not None and reviewed != planned.digest:
            raise RefusedError(
                f"{name}: refused, nothing was changed: the plan is not the one that was reviewed "
                f"(reviewed {reviewed}, now {planned.digest}). The workspace or the sources have "
                "changed since: plan again, and review that"
            )
        if dry_run:
            return DeployResult(planned, False, False, time.monotonic() - started)
        _refuse(name, deployer(deployment.settings, planned.facts), report)
        try:
            for terraform, stack in zip(deployment.stacks, planned.stacks, strict=True):
                # Its jobs run from there; the volume is the registry's.
                if (built := wheel.of_stack(deployment.settings, terraform.stack)) is not None:
                    wheel.upload(deployment.client, deployment.settings, built)
                _apply(terraform, stack, deployment.client, planned.facts)
                if _has_deployment_job(deployment, stack):
                    deployment_job.connect(deployment.client, deployment.settings)
        except ApplyError as error:
            # The state may now claim changes that were never made, which no later plan shows.
            lines = [f"{error}\n  Run it again, to go on from here.", *_compared(deployment)]
            raise DeployError("\n  ".join(lines)) from error
        _verify(deployment, planned)
        if planned.changes:
            _record(deployment, planned)
            _name(deployment)
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
        When the environment has deletion protection, or is production and nobody waived that;
        nothing was changed.
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
    _refuse(name, destruction(loaded, Facts()), report)
    with opened(name, folder, "destroy", report) as deployment:
        if deployment.manifest is None:
            _require_no_endpoint(deployment)
        who = Facts(deployer=deployment.client.current_user.me().user_name)
        _refuse(name, deployer(loaded, who), report)
        stacks = deployment.stacks[::-1]
        planned = PlanResult(
            name,
            deployment.provider,
            tuple(
                deployment.judged(terraform, terraform.plan(destroy=True), None)
                for terraform in stacks
            ),
            who,
        )
        if dry_run:
            return DeployResult(planned, False, False, time.monotonic() - started)
        for terraform, stack in zip(stacks, planned.stacks, strict=True):
            _apply(terraform, stack, deployment.client, who)
        if loaded.is_local:
            # It names versions that are gone now. Elsewhere it is a reviewed file.
            loaded.manifest_path.unlink(missing_ok=True)
    return DeployResult(planned, planned.changes > 0, False, time.monotonic() - started)


def verify_environment(
    name: str, *, folder: Path | None = None, report: Report = lambda _: None
) -> list[Difference]:
    """Compare the workspace with what is declared; change nothing and run no Terraform."""
    loaded = settings.load(name, folder)
    connection.require_running(loaded)
    with connection.answering(loaded):
        return Deployment.of(loaded, report).differences()


def _refuse(name: str, findings: Iterable[Finding], report: Report = lambda _: None) -> None:
    """Stop where a finding refuses; report the others, before anything is done."""
    findings = list(findings)
    for finding in findings:
        if finding.severity == "warn":
            report(f"{name}: {finding.severity}: {finding}")
    if found := refusals(findings):
        lines = [f"{name}: refused, nothing was changed:", *map(str, found)]
        raise RefusedError("\n  ".join(lines))


def _apply(terraform: Terraform, planned: StackPlan, client: WorkspaceClient, known: Facts) -> None:
    from databricks.sdk.errors import DatabricksError

    changes = planned.plan.changes
    if not changes:
        return
    for change in changes:
        found = known.left_over(change.address)
        if change.created and found is not None and found.broken:
            terraform.report(f"{planned.stack}: {change.address}: never worked, is removed")
            client.serving_endpoints.delete(found.import_id)
    try:
        terraform.apply()
    except ApplyError:
        # The cause of the failure is what there is to tell.
        with suppress(DatabricksError, TimeoutError):
            sweep(client, terraform, planned, known)
        raise
    for change in changes:
        if change.importing:  # of which Terraform says nothing
            terraform.report(f"{planned.stack}: {change.address}: taken over")
    sweep(client, terraform, planned, known)


def _has_deployment_job(deployment: Deployment, planned: StackPlan) -> bool:
    """Tell whether a stack has the deployment job, or has just lost it."""
    if planned.stack != deployment.settings.names.stack("registry"):
        return False
    changed = any(each.address.endswith(".job_deployment") for each in planned.plan.changes)
    return changed or deployment.settings.promotion.deployment_job is not None


def _verify(deployment: Deployment, planned: PlanResult) -> None:
    name = deployment.settings.environment
    if deployment.manifest is not None:
        await_endpoint(deployment.client, deployment.settings)
    found = deployment.differences()
    if found and _finished(deployment, planned, found):
        found = deployment.differences()
    if found:
        done, then = "deployed", "Deploy again; what a plan does not see"
        if not planned.changes:
            done, then = "the plan is empty", "What a plan does not see"
        lines = [f"{name}: {done}, but the workspace differs:", *map(str, found)]
        lines.append(f"{then}, `scgpt endpoint apply {name}` sends")
        raise DeployError("\n  ".join(lines))
    deployment.report(f"{name}: verified by API")


def _finished(deployment: Deployment, planned: PlanResult, found: list[Difference]) -> bool:
    """Send what the plan took away and the provider sent as blanks; True where there was any."""
    resources = [
        resource
        for terraform, stack in zip(deployment.stacks, planned.stacks, strict=True)
        if (changed := {change.address for change in stack.plan.changes})
        for resource in differing(terraform, found)
        if resource.address in changed
        and take_away(deployment.client, deployment.settings, resource)
    ]
    for resource in resources:
        read_anew(resource)
    return bool(resources)


def _record(deployment: Deployment, planned: PlanResult) -> None:
    """Record the deploy for `scgpt environments`; a volume that cannot be written is no failure."""
    from databricks.sdk.errors import DatabricksError

    done = record.Record(
        at=datetime.now(UTC).replace(microsecond=0),
        by=str(planned.facts.deployer),
        commit=git_commit(),
        plan_digest=planned.digest,
    )
    try:
        record.write(deployment.client, deployment.settings, done)
    except (DatabricksError, TimeoutError) as error:
        deployment.report(f"{planned.environment}: the deploy could not be recorded: {error}")


def _name(deployment: Deployment) -> None:
    """Let the aliases follow the manifest; who may not move them deploys all the same."""
    from databricks.sdk.errors import DatabricksError

    if deployment.manifest is None:
        return
    try:
        aliases.follow(deployment.client, deployment.manifest)
    except (DatabricksError, TimeoutError) as error:
        deployment.report(f"{deployment.settings.environment}: aliases stay as they are: {error}")


def _compared(deployment: Deployment) -> list[str]:
    """Return the differences after a failure, or why they could not be asked for."""
    from databricks.sdk.errors import DatabricksError

    try:
        found = list(map(str, deployment.differences()))
    except (DatabricksError, TimeoutError) as error:
        return [f"The workspace could not be compared: {error}"]
    return ["The workspace differs:", *found] if found else []


def _require_no_endpoint(deployment: Deployment) -> None:
    """Refuse to destroy the registry under an endpoint whose manifest was lost."""
    loaded = deployment.settings
    if facts.endpoint_of(deployment.client, loaded.names.endpoint) is not None:
        raise DeployError(
            f"{loaded.environment} has an endpoint, but no {loaded.manifest_path}: put the release "
            "manifest back, so that the endpoint can be destroyed first"
        )
