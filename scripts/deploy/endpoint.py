"""Send what no plan shows, and what the provider never sends.

E-mail notifications of an endpoint have no update call in the provider. Its tags and AI Gateway
have one, but when it fails the state claims that it was done, and no later plan shows it. These are
sent here through the API. Of the other resources the provider misses what somebody has cleared.
Terraform reads each of them anew, and then changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scgpt_databricks.infra.endpoint import gateway, notifications
from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.infra.guards import Facts, deployer, refusals
from scgpt_databricks.infra.plan import Change
from scgpt_databricks.infra.settings import Settings

from . import facts
from .deployment import Deployment, opened
from .terraform import Report, Terraform
from .unseen import Differing, differing, read_anew, take_away
from .verify import Difference
from .verify.difference import ABSENT

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

ADDRESS = "databricks_model_serving.endpoint"

_AT_CREATION = (
    "The platform's API takes it at creation only. Undo it, or deploy an endpoint of another name "
    "beside this one and move its callers."
)
_WAYS_OUT = {
    "budget_policy_id": _AT_CREATION,
    "description": _AT_CREATION,
    "route_optimized": _AT_CREATION + " The URL changes with it.",
}


@dataclass(frozen=True)
class Sending:
    """One call to the API that makes the endpoint as declared."""

    call: str
    """As ``METHOD part``."""
    fields: tuple[str, ...]
    send: Callable[[], object]


@dataclass(frozen=True)
class EndpointResult:
    """The fields that were sent, and those that are left."""

    environment: str
    sent: tuple[Sending, ...]
    left: tuple[Difference, ...]
    """Differences that `scgpt deploy` takes away."""
    changes: tuple[Change, ...]
    """Terraform's plan afterwards, for the stacks that were touched and that of the endpoint."""
    applied: bool


def apply_endpoint(
    name: str,
    *,
    folder: Path | None = None,
    dry_run: bool = False,
    report: Report = lambda _: None,
) -> EndpointResult:
    """Make endpoint and other resources as declared where no plan does.

    Raises
    ------
    RefusedError
        When neither provider nor API can make a change, or a guard refuses; nothing was changed.
    DeployError
        When there is nothing to change it of, or a call fails.
    """
    with opened(name, folder, "endpoint apply", report) as deployment:
        client, loaded, found = deployment.client, deployment.settings, deployment.differences()
        of_endpoint = [each for each in found if each.resource.startswith("endpoint ")]
        _refuse_fixed(name, of_endpoint)
        stacks = [
            (terraform, _plan(deployment, terraform), differ)
            for terraform in deployment.stacks
            if (differ := differing(terraform, found))
            or terraform.stack == loaded.names.stack("serving")
        ]
        unseen = [
            resource
            for _, changes, differ in stacks
            for resource in differ
            if resource.address not in {change.address for change in changes}
        ]
        if not unseen:
            _require_endpoint(deployment)
        sendings = tuple(_sendings(client, loaded, of_endpoint))
        sent = sendings + tuple(_restoring(client, loaded, unseen))
        planned = tuple(change for _, changes, _ in stacks for change in changes)
        if dry_run or not (sent or planned):
            return EndpointResult(name, sent, _left(found, sent), planned, False)
        for sending in sent:
            report(f"{name}: {sending.call}: {', '.join(sending.fields)}")
            sending.send()
        for terraform, changes, _ in stacks:
            updated = ADDRESS in {each.address for each in changes if each.actions == ("update",)}
            if updated or (sendings and terraform.stack == loaded.names.stack("serving")):
                terraform.take_anew(ADDRESS, loaded.names.endpoint)
                report(f"{terraform.stack}: {ADDRESS}: read anew")
            if addresses := [each.address for each in unseen if each.terraform is terraform]:
                _plan(deployment, terraform, addresses)
                terraform.apply()
        after = [change for terraform, _, _ in stacks for change in _plan(deployment, terraform)]
        return EndpointResult(name, sent, tuple(deployment.differences()), tuple(after), True)


def _require_endpoint(deployment: Deployment) -> None:
    names = deployment.settings.names
    if deployment.manifest and facts.endpoint_of(deployment.client, names.endpoint) is None:
        raise DeployError(
            f"{names.environment} has no endpoint {names.endpoint}: `scgpt deploy "
            f"{names.environment}` makes it"
        )


def _restoring(
    client: WorkspaceClient, settings: Settings, unseen: Sequence[Differing]
) -> Iterator[Sending]:
    for resource in unseen:

        def send(resource: Differing = resource) -> None:
            take_away(client, settings, resource)
            read_anew(resource)

        yield Sending(f"update {resource.address}", resource.fields, send)


def _plan(
    deployment: Deployment, terraform: Terraform, targets: Sequence[str] = ()
) -> tuple[Change, ...]:
    """The changes of one stack. Guards judge as for a deploy, except on what is sent here."""
    planned = deployment.plan_one(terraform, targets)
    who = Facts(deployer=deployment.client.current_user.me().user_name)
    meant = {"no-call", *(["incomplete-plan"] if targets else [])}
    refused = [each for each in refusals(planned.findings) if each.check not in meant]
    refused += refusals(deployer(deployment.settings, who))
    if refused:
        name = deployment.settings.environment
        raise RefusedError("\n  ".join([f"{name}: refused:", *map(str, refused)]))
    return planned.plan.changes


def _refuse_fixed(name: str, found: Sequence[Difference]) -> None:
    if fixed := [each for each in found if each.field in _WAYS_OUT]:
        lines = [f"{each}. {_WAYS_OUT[each.field]}" for each in fixed]
        raise RefusedError("\n  ".join([f"{name}: refused, nothing was changed:", *lines]))


def _left(found: Sequence[Difference], sendings: Sequence[Sending]) -> tuple[Difference, ...]:
    sent = {field for sending in sendings for field in sending.fields}
    return tuple(each for each in found if each.field not in sent)


def _sendings(
    client: WorkspaceClient, settings: Settings, found: Sequence[Difference]
) -> list[Sending]:
    parts: list[tuple[str, tuple[str, ...], Callable[[list[Difference]], object]]] = [
        ("PATCH tags", ("tags.",), partial(_send_tags, client, settings)),
        (
            "PUT ai-gateway",
            ("inference_table", "usage_tracking", "rate_limits."),
            lambda _: _send_gateway(client, settings),
        ),
        (
            "PATCH notifications",
            ("email_notifications.",),
            lambda _: _send_notifications(client, settings),
        ),
    ]
    sendings = []
    for call, prefixes, send in parts:
        if theirs := [each for each in found if each.field.startswith(prefixes)]:
            fields = tuple(each.field for each in theirs)
            sendings.append(Sending(call, fields, partial(send, theirs)))
    return sendings


def _send_tags(client: WorkspaceClient, settings: Settings, found: list[Difference]) -> None:
    from databricks.sdk.service.serving import EndpointTag

    keys = [(each.field.removeprefix("tags."), each) for each in found]
    client.serving_endpoints.patch(
        settings.names.endpoint,
        add_tags=[EndpointTag(key, each.declared) for key, each in keys if each.declared != ABSENT],
        delete_tags=[key for key, each in keys if each.declared == ABSENT],
    )


def _send_gateway(client: WorkspaceClient, settings: Settings) -> None:
    """Send the whole gateway, as the stack declares it: the call replaces it."""
    path = f"/api/2.0/serving-endpoints/{settings.names.endpoint}/ai-gateway"
    client.api_client.do("PUT", path, body=gateway(settings) or {})


def _send_notifications(client: WorkspaceClient, settings: Settings) -> None:
    from databricks.sdk.service.serving import EmailNotifications

    # Nobody is told: without lists, since Terraform would read empty ones as a block.
    told = settings.endpoint.email_notifications.model_dump(mode="json")
    client.serving_endpoints.update_notifications(
        settings.names.endpoint,
        email_notifications=EmailNotifications(**(told if notifications(settings) else {})),
    )
