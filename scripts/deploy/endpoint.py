"""Send an existing endpoint the fields that the API takes and the provider never sends.

E-mail notifications have no update call in the provider. Tags and the AI Gateway have one, but when
it fails the state claims that it was done, and no later plan shows it. All three are sent here
through the API; then Terraform reads the endpoint anew, so that its next plan is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from .verify import Difference
from .verify.difference import ABSENT
from .verify.serving import serving_differences

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
    """Terraform's plan for the serving stack afterwards."""
    applied: bool


def apply_endpoint(
    name: str,
    *,
    folder: Path | None = None,
    dry_run: bool = False,
    report: Report = lambda _: None,
) -> EndpointResult:
    """Make an endpoint as declared where only the API can.

    Raises
    ------
    RefusedError
        When neither provider nor API can make a change, or a guard refuses; nothing was changed.
    DeployError
        When there is no endpoint, or a call fails.
    """
    with opened(name, folder, "endpoint apply", report) as deployment:
        terraform = _serving(deployment)
        before = _plan(deployment, terraform)
        found = _differences(deployment)
        _refuse_fixed(name, found)
        sendings = tuple(_sendings(deployment.client, deployment.settings, found))
        if dry_run or not (sendings or before):
            return EndpointResult(name, sendings, _left(found, sendings), before, False)
        for sending in sendings:
            report(f"{name}: {sending.call}: {', '.join(sending.fields)}")
            sending.send()
        terraform.take_anew(ADDRESS, deployment.settings.names.endpoint)
        report(f"{terraform.stack}: {ADDRESS}: read anew")
        after = _plan(deployment, terraform)
        return EndpointResult(name, sendings, tuple(_differences(deployment)), after, True)


def _serving(deployment: Deployment) -> Terraform:
    names = deployment.settings.names
    if deployment.manifest is None or facts.endpoint_of(deployment.client, names.endpoint) is None:
        raise DeployError(
            f"{names.environment} has no endpoint {names.endpoint}: `scgpt deploy "
            f"{names.environment}` makes it, when a version was released"
        )
    return next(each for each in deployment.stacks if each.stack == names.stack("serving"))


def _plan(deployment: Deployment, terraform: Terraform) -> tuple[Change, ...]:
    """The changes of the serving stack. Guards judge as for a deploy, except on what is sent
    here.
    """
    planned = deployment.plan_one(terraform)
    who = Facts(deployer=deployment.client.current_user.me().user_name)
    refused = [each for each in refusals(planned.findings) if each.check != "no-call"]
    refused += refusals(deployer(deployment.settings, who))
    if refused:
        name = deployment.settings.environment
        raise RefusedError("\n  ".join([f"{name}: refused:", *map(str, refused)]))
    return planned.plan.changes


def _differences(deployment: Deployment) -> list[Difference]:
    assert deployment.manifest is not None
    return serving_differences(deployment.client, deployment.settings, deployment.manifest)


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
